/* source.c: a copy of a data set on the device, where it takes at most half of what is free there. */
#include "kernels/cuda/source.h"

#include <string.h>

static size_t x_bytes(const bpi_source *source)
{
    return (size_t)(source->rows * source->inputs) * bpi_type_bytes(source->x_type);
}

static size_t classes_bytes(const bpi_source *source)
{
    return source->classes ? (size_t)source->rows * sizeof(int64_t) : 0;
}

static size_t targets_bytes(const bpi_source *source)
{
    return source->targets ? (size_t)(source->rows * source->target_cols) * sizeof(float) : 0;
}

static bp_status copy(bpi_cuda *cuda, const void *from, size_t bytes, void **to)
{
    if (bytes == 0)
        return BP_STATUS_OK;
    BPI_TRY(bpi_cuda_device_memory(cuda, bytes, to));
    return bpi_cuda_upload(&cuda->backend, from, bytes, *to);
}

static void free_resident(bpi_cuda *cuda, bpi_cuda_resident *resident)
{
    (void)cudaFree(resident->x);
    (void)cudaFree(resident->classes);
    (void)cudaFree(resident->targets);
    cuda->allocator.release(cuda->allocator.user, resident, sizeof *resident);
}

bp_status bpi_cuda_source_prepare(bpi_backend *backend, bpi_source *source)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    size_t free_bytes = 0, total_bytes = 0;
    if (source->resident)
        return BP_STATUS_OK;
    BPI_CUDA_TRY(backend->error, cudaMemGetInfo(&free_bytes, &total_bytes));
    if (x_bytes(source) + classes_bytes(source) + targets_bytes(source) > free_bytes / 2)
        return BP_STATUS_OK;
    bpi_cuda_resident *made = cuda->allocator.allocate(cuda->allocator.user, sizeof *made, 64);
    if (!made)
        return bpi_fail(backend->error, BP_STATUS_OUT_OF_MEMORY, "backend cuda: no memory for %zu bytes", sizeof *made);
    memset(made, 0, sizeof *made);
    bp_status status;
    BPI_TRY_GOTO(copy(cuda, source->x, x_bytes(source), &made->x), status, fail);
    BPI_TRY_GOTO(copy(cuda, source->classes, classes_bytes(source), &made->classes), status, fail);
    BPI_TRY_GOTO(copy(cuda, source->targets, targets_bytes(source), &made->targets), status, fail);
    source->resident = made;
    return BP_STATUS_OK;
fail:
    free_resident(cuda, made);
    return status;
}

void bpi_cuda_source_release(bpi_backend *backend, bpi_source *source)
{
    if (!source->resident)
        return;
    (void)bpi_cuda_synchronize(backend);
    free_resident(bpi_cuda_of(backend), source->resident);
    source->resident = NULL;
}
