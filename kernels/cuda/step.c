/* step.c: the loss and the update: what reads and writes the step's state, which stays in device memory. */
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/kernels.h"

#include <assert.h>

/* loss_sum, correct and passes are neighbours: one memset. */
_Static_assert(offsetof(bpi_step_state, grad_norm) - offsetof(bpi_step_state, loss_sum) ==
                   sizeof(double) + 2 * sizeof(int64_t),
               "step_begin clears all three at once");

bp_status bpi_cuda_step_begin(bpi_backend *backend, bpi_step_state *state, const bpi_running *running)
{
    if (!running)
        return bpi_cuda_zero(backend, &state->loss_sum,
                             offsetof(bpi_step_state, grad_norm) - offsetof(bpi_step_state, loss_sum));
    assert((uintptr_t)running->kept % 16 == 0 && (uintptr_t)running->moved % 16 == 0 && running->count % 4 == 0);
    BPI_CUDA_TRY(backend->error, bpi_cuda_run_step_begin(bpi_cuda_of(backend)->lanes[0], state, running));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_loss(bpi_backend *backend, const bpi_loss_args *args)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    assert(args->state && (args->classes || args->targets.data));
    assert(!args->classes || args->loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY);
    assert(bpi_cuda_loss_bytes(args->z.rows, args->z.cols) <= cuda->workspace_bytes);
    BPI_CUDA_TRY(backend->error,
                 bpi_cuda_run_loss(cuda->lanes[0], backend->traits.activation_type, args, cuda->workspace));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_update_prepare(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients, int64_t count,
                                  bpi_step_state *state)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    assert(hyper && gradients && state && bpi_cuda_norm_bytes(count) <= cuda->workspace_bytes);
    BPI_CUDA_TRY(backend->error, bpi_cuda_run_norm(cuda->lanes[0], hyper, gradients, count, cuda->workspace, state));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_update(bpi_backend *backend, const bpi_update_args *args)
{
    assert(args->hyper && args->state && args->parameters && args->gradients);
    BPI_CUDA_TRY(backend->error, bpi_cuda_run_update(bpi_cuda_of(backend)->lanes[0], args));
    return BP_STATUS_OK;
}
