/* observe.c: the observed halves of an update, and copies to the host that nobody waits for. */
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/kernels.h"

#include <assert.h>
#include <string.h>

bp_status bpi_cuda_observe_units(bpi_backend *backend, bp_activation activation, bpi_matrix a, bool wide,
                                 bool accumulate, int64_t *counts)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    assert(bpi_cuda_pass_bytes(a.rows, a.cols) <= cuda->workspace_bytes);
    bpi_type type = wide ? backend->traits.parameter_type : backend->traits.activation_type;
    bpi_cuda_pass pass = bpi_cuda_pass_over(type, a, a, a, NULL);
    BPI_CUDA_TRY(backend->error, bpi_cuda_run_observe_units(cuda->lanes[0], pass, type, activation, a, accumulate,
                                                            cuda->workspace, counts));
    return BP_STATUS_OK;
}

/* The blocks' sums; behind them the parameters as they were. */
size_t bpi_cuda_observe_scratch_bytes(bpi_backend *backend, int64_t count, int64_t tensors)
{
    (void)backend;
    return bpi_cuda_tensor_parts_bytes(count, tensors) + (size_t)count * sizeof(float);
}

bp_status bpi_cuda_observe_gradients(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients, int64_t count,
                                     bpi_step_state *state, const bpi_observe_args *args)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    assert(hyper && state && bpi_cuda_norm_bytes(count) <= cuda->workspace_bytes && (uintptr_t)gradients % 16 == 0);
    BPI_CUDA_TRY(backend->error,
                 bpi_cuda_run_gradient_sums(cuda->lanes[0], hyper, gradients, count, cuda->workspace, args));
    BPI_CUDA_TRY(backend->error, bpi_cuda_run_norm_finish(cuda->lanes[0], hyper, count, cuda->workspace, state));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_observe_update(bpi_backend *backend, const bpi_update_args *update, const bpi_observe_args *args)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    float *before =
        (float *)(void *)((char *)args->scratch + bpi_cuda_tensor_parts_bytes(update->count, args->tensors));
    assert((uintptr_t)update->parameters % 16 == 0);
    BPI_CUDA_TRY(backend->error, cudaMemcpyAsync(before, update->parameters, (size_t)update->count * sizeof *before,
                                                 cudaMemcpyDeviceToDevice, cuda->lanes[0]));
    BPI_TRY(bpi_cuda_update(backend, update));
    BPI_CUDA_TRY(backend->error,
                 bpi_cuda_run_move_sums(cuda->lanes[0], before, update->parameters, update->count, args));
    return BP_STATUS_OK;
}

/* ---- readback ---- */

struct bpi_readback {
    void *pinned;
    cudaEvent_t sealed;
};

void bpi_cuda_readback_destroy(bpi_backend *backend, bpi_readback *readback)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    if (!readback)
        return;
    (void)cudaStreamSynchronize(cuda->lanes[0]); /* a copy may be on its way */
    (void)cudaFreeHost(readback->pinned);
    if (readback->sealed)
        (void)cudaEventDestroy(readback->sealed);
    cuda->allocator.release(cuda->allocator.user, readback, sizeof *readback);
}

static bp_status open_readback(bpi_cuda *cuda, bpi_readback *readback, size_t bytes)
{
    BPI_CUDA_TRY(cuda->backend.error, cudaMallocHost(&readback->pinned, bytes));
    BPI_CUDA_TRY(cuda->backend.error, cudaEventCreateWithFlags(&readback->sealed, cudaEventDisableTiming));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_readback_create(bpi_backend *backend, size_t bytes, bpi_readback **readback)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    *readback = NULL;
    bpi_readback *made = cuda->allocator.allocate(cuda->allocator.user, sizeof *made, 64);
    if (!made)
        return bpi_fail(backend->error, BP_STATUS_OUT_OF_MEMORY, "backend cuda: no memory for %zu bytes", sizeof *made);
    memset(made, 0, sizeof *made);
    bp_status status = open_readback(cuda, made, bytes);
    if (status == BP_STATUS_OK)
        *readback = made;
    else
        bpi_cuda_readback_destroy(backend, made);
    return status;
}

bp_status bpi_cuda_readback_copy(bpi_backend *backend, bpi_readback *readback, size_t offset, const void *source,
                                 size_t bytes)
{
    BPI_CUDA_TRY(backend->error, cudaMemcpyAsync((char *)readback->pinned + offset, source, bytes,
                                                 cudaMemcpyDeviceToHost, bpi_cuda_of(backend)->lanes[0]));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_readback_seal(bpi_backend *backend, bpi_readback *readback)
{
    BPI_CUDA_TRY(backend->error, cudaEventRecord(readback->sealed, bpi_cuda_of(backend)->lanes[0]));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_readback_poll(bpi_backend *backend, bpi_readback *readback, bool wait, const void **data)
{
    *data = NULL;
    cudaError_t code = cudaEventQuery(readback->sealed);
    if (code == cudaErrorNotReady) {
        (void)cudaGetLastError();
        if (!wait)
            return BP_STATUS_OK;
        code = cudaEventSynchronize(readback->sealed);
    }
    BPI_CUDA_TRY(backend->error, code);
    *data = readback->pinned;
    return BP_STATUS_OK;
}
