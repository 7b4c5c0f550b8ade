/* memory.c: device memory, copies in the order of lane 0, and the workspace for partial results. */
#include "kernels/cuda/cuda.h"

#include <assert.h>

/* Says how much was wanted and how much there was. What of it grows with the batch, the host knows. */
static bp_status out_of_memory(bpi_cuda *cuda, size_t bytes)
{
    size_t free_bytes = 0, total_bytes = 0;
    (void)cudaGetLastError();
    if (cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess)
        (void)cudaGetLastError();
    return bpi_fail(cuda->backend.error, BP_STATUS_OUT_OF_MEMORY,
                    "backend cuda: no memory for %zu bytes: %zu are free of %zu on the device", bytes, free_bytes,
                    total_bytes);
}

bp_status bpi_cuda_device_memory(bpi_cuda *cuda, size_t bytes, void **memory)
{
    *memory = NULL;
    cudaError_t code = cudaMalloc(memory, bytes ? bytes : 64);
    if (code == cudaErrorMemoryAllocation)
        return out_of_memory(cuda, bytes);
    return bpi_cuda_check(cuda->backend.error, code, "cudaMalloc", __FILE__, __LINE__);
}

bp_status bpi_cuda_allocate(bpi_backend *backend, size_t bytes, void **memory)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    BPI_TRY(bpi_cuda_device_memory(cuda, bytes, memory));
    bp_status status = bpi_cuda_zero(backend, *memory, bytes);
    if (status == BP_STATUS_OK)
        return BP_STATUS_OK;
    (void)cudaFree(*memory);
    *memory = NULL;
    return status;
}

/* Not every cudaFree waits for what still uses the memory. What fails here has nobody left to be told. */
void bpi_cuda_release(bpi_backend *backend, void *memory, size_t bytes)
{
    (void)bytes;
    if (!memory)
        return;
    (void)bpi_cuda_synchronize(backend);
    (void)cudaFree(memory);
}

bp_status bpi_cuda_memory_free(bpi_backend *backend, size_t *bytes)
{
    size_t total_bytes;
    BPI_CUDA_TRY(backend->error, cudaMemGetInfo(bytes, &total_bytes));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_upload(bpi_backend *backend, const void *source, size_t bytes, void *destination)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    assert(bytes == 0 || (source && destination));
    if (bytes == 0)
        return BP_STATUS_OK;
    BPI_CUDA_TRY(backend->error, cudaMemcpyAsync(destination, source, bytes, cudaMemcpyHostToDevice, cuda->lanes[0]));
    BPI_CUDA_TRY(backend->error, cudaStreamSynchronize(cuda->lanes[0]));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_download(bpi_backend *backend, const void *source, size_t bytes, void *destination)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    assert(bytes == 0 || (source && destination));
    BPI_TRY(bpi_cuda_synchronize(backend));
    if (bytes == 0)
        return BP_STATUS_OK;
    BPI_CUDA_TRY(backend->error, cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDeviceToHost, cuda->lanes[0]));
    BPI_CUDA_TRY(backend->error, cudaStreamSynchronize(cuda->lanes[0]));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_zero(bpi_backend *backend, void *memory, size_t bytes)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    assert(bytes == 0 || memory);
    if (bytes)
        BPI_CUDA_TRY(backend->error, cudaMemsetAsync(memory, 0, bytes, cuda->lanes[0]));
    return BP_STATUS_OK;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* A row for a bias gradient that is added to what is there; and the parts of a weight gradient. */
static size_t weight_bytes(const bpi_linear_spec *spec)
{
    size_t bytes = 0;
    if (bpi_goes(spec->ways, BPI_WAY_BIAS))
        bytes = (size_t)bpi_cuda_sums_ld(spec->outputs) * sizeof(float);
    if (bpi_goes(spec->ways, BPI_WAY_SPLIT) && spec->ld_w == spec->inputs)
        bytes = larger(bytes, bpi_cuda_split_bytes(spec->rows, spec->inputs, spec->outputs));
    return bytes;
}

bpi_workspace bpi_cuda_workspace_bytes(bpi_backend *backend, const bpi_linear_spec *spec, int64_t parameter_count)
{
    (void)backend;
    size_t bytes = bpi_cuda_norm_bytes(parameter_count);
    bytes = larger(bytes, bpi_cuda_pass_bytes(spec->rows, spec->outputs));
    bytes = larger(bytes, bpi_cuda_block_bytes(spec->rows, spec->outputs));
    bytes = larger(bytes, bpi_cuda_loss_bytes(spec->rows, spec->outputs));
    return (bpi_workspace){bytes, weight_bytes(spec)};
}

/* The old one is kept: a graph that was captured before would go on using it. */
static bp_status retire(bpi_cuda *cuda, void *memory)
{
    if (!memory)
        return BP_STATUS_OK;
    bpi_cuda_retired *node = cuda->allocator.allocate(cuda->allocator.user, sizeof *node, 64);
    if (!node)
        return bpi_fail(cuda->backend.error, BP_STATUS_OUT_OF_MEMORY, "backend cuda: no memory for %zu bytes",
                        sizeof *node);
    node->memory = memory;
    node->next = cuda->retired;
    cuda->retired = node;
    return BP_STATUS_OK;
}

static bp_status grow(bpi_cuda *cuda, size_t bytes, void **memory, size_t *memory_bytes)
{
    if (bytes <= *memory_bytes)
        return BP_STATUS_OK;
    void *made;
    BPI_TRY(bpi_cuda_device_memory(cuda, bytes, &made));
    bp_status status = retire(cuda, *memory);
    if (status != BP_STATUS_OK) {
        (void)cudaFree(made);
        return status;
    }
    *memory = made;
    *memory_bytes = bytes;
    return BP_STATUS_OK;
}

bp_status bpi_cuda_reserve(bpi_backend *backend, bpi_workspace workspace)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    BPI_TRY(grow(cuda, workspace.bytes, &cuda->workspace, &cuda->workspace_bytes));
    return grow(cuda, workspace.weight_bytes, &cuda->weights.memory, &cuda->weights.bytes);
}

void bpi_cuda_workspace_close(bpi_cuda *cuda)
{
    (void)cudaFree(cuda->workspace);
    (void)cudaFree(cuda->weights.memory);
    while (cuda->retired) {
        bpi_cuda_retired *node = cuda->retired;
        cuda->retired = node->next;
        (void)cudaFree(node->memory);
        cuda->allocator.release(cuda->allocator.user, node, sizeof *node);
    }
}
