/* kernels.h: what the .cu files offer to the orchestration: each function enqueues its kernels on a stream and returns
 * what the launch returned. Shapes of launches come from launch.h; workspaces are as large as it says. */
#ifndef BPI_CUDA_KERNELS_H
#define BPI_CUDA_KERNELS_H

#include <cuda_runtime_api.h>

#include "kernels/cuda/launch.h"
#include "kernels/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `type` is that of the activation arrays, f32 or bf16; of forward, that of z and a, which may be wide (ops.h).
 * activation.cu: t = z + bias (NULL: z), a = f(t); t goes back to z where there is a bias and a is another array.
 * partials NULL: d_b is not wanted; the finish is column_sums_finish. */
cudaError_t bpi_cuda_run_forward(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type, bp_activation activation,
                                 float slope, bpi_matrix z, const float *bias, bpi_matrix a);
/* activation_grad.cu */
cudaError_t bpi_cuda_run_backward(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                  const bpi_activation_args *args, float *partials);
cudaError_t bpi_cuda_run_derivative(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type, bp_activation activation,
                                    float slope, bpi_matrix saved, bpi_matrix derivative);
/* hadamard.cu */
cudaError_t bpi_cuda_run_hadamard(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type, bpi_matrix left,
                                  bpi_matrix right, bpi_matrix product);

/* column_sums.cu: partials [slices, sums_ld] of delta, and d_b out of `parts` rows of partials */
cudaError_t bpi_cuda_run_column_sums(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type, bpi_matrix delta,
                                     float *partials);
cudaError_t bpi_cuda_run_column_sums_finish(cudaStream_t stream, const float *partials, int64_t parts, int64_t cols,
                                            bool accumulate, float *d_b);

/* The same for up to three kinds of sum at once: parts rows of kinds times sums_ld each. out NULL: not wanted. */
typedef struct bpi_cuda_sums {
    const float *partials;
    int64_t parts, cols;
    int kinds;
    float *out[3];
    bool accumulate;
} bpi_cuda_sums;
cudaError_t bpi_cuda_run_sums_finish(cudaStream_t stream, const bpi_cuda_sums *sums);

/* block_statistics.cu: mean and inv_std, of a batch (with the running values) or from the running values
 * block_forward.cu: what follows, with no norm or a batch norm; layer_norm.cu: all of it with a layer norm */
cudaError_t bpi_cuda_run_batch_norm_statistics(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                               const bpi_block_args *args, void *workspace);
cudaError_t bpi_cuda_run_running_statistics(cudaStream_t stream, const bpi_block_args *args);
cudaError_t bpi_cuda_run_block_forward(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                       const bpi_block_args *args);
cudaError_t bpi_cuda_run_layer_norm(cudaStream_t stream, bpi_cuda_teams teams, bpi_type type,
                                    const bpi_block_args *args);

/* block_backward.cu: without a norm; with batch norm. layer_norm_grad.cu: with layer norm. The second stages of all
 * sums are in it. */
cudaError_t bpi_cuda_run_block_backward(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                        const bpi_block_grad_args *args, float *workspace);
cudaError_t bpi_cuda_run_batch_norm_backward(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                             const bpi_block_grad_args *args, float *workspace);
cudaError_t bpi_cuda_run_layer_norm_grad(cudaStream_t stream, bpi_cuda_teams teams, bpi_type type,
                                         const bpi_block_grad_args *args, float *workspace);

/* loss.cu */
cudaError_t bpi_cuda_run_loss(cudaStream_t stream, bpi_type type, const bpi_loss_args *args, void *workspace);

/* update.cu */
cudaError_t bpi_cuda_run_norm(cudaStream_t stream, const bpi_hyper *hyper, const float *gradients, int64_t count,
                              void *workspace, bpi_step_state *state);
cudaError_t bpi_cuda_run_step_begin(cudaStream_t stream, bpi_step_state *state, const bpi_running *running);
cudaError_t bpi_cuda_run_update(cudaStream_t stream, const bpi_update_args *args);
/* the second half of run_norm, on the partial sums that stand in the workspace */
cudaError_t bpi_cuda_run_norm_finish(cudaStream_t stream, const bpi_hyper *hyper, int64_t count, const void *workspace,
                                     bpi_step_state *state);

/* observe.cu: partials as of column_sums; gradient_sums is the first half of run_norm, with sums by tensor */
cudaError_t bpi_cuda_run_observe_units(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type, bp_activation activation,
                                       bpi_matrix a, bool accumulate, float *partials, int64_t *counts);
cudaError_t bpi_cuda_run_gradient_sums(cudaStream_t stream, const bpi_hyper *hyper, const float *gradients,
                                       int64_t count, void *workspace, const bpi_observe_args *args);
cudaError_t bpi_cuda_run_move_sums(cudaStream_t stream, const float *before, const float *after, int64_t count,
                                   const bpi_observe_args *args);

/* convert.cu: count elements, both arrays on 16 bytes */
cudaError_t bpi_cuda_run_convert(cudaStream_t stream, const float *from, int64_t count, void *to);

/* load.cu: like bpi_load_args with everything in device memory: sample b of the batch is row index[b], or first + b. */
typedef struct bpi_cuda_gather {
    bpi_type activation_type; /* of x */
    const void *source_x;
    bpi_type x_type;
    float divisor;
    const int64_t *source_classes;
    const float *source_targets;
    const int64_t *index;
    int64_t first;
    const float *mean, *inv_std;
    bpi_matrix x;
    int64_t *classes;
    bpi_matrix targets;
} bpi_cuda_gather;
cudaError_t bpi_cuda_run_gather(cudaStream_t stream, const bpi_cuda_gather *gather);

#ifdef __cplusplus
}
#endif
#endif
