/* reference.h: the entries of the reference backend's table, one source file a family.
 *
 * The reference is the judge: double precision, the formulas of docs/numerics.md written out, no BLAS, no SIMD, no
 * threads, nothing of kernels/math, so that a mistake there cannot hide here. It works in place on host memory,
 * allocates in create, allocate and linear_plan alone, and finishes each call before it returns. The contract:
 * kernels/ops.h. */
#ifndef BPI_REFERENCE_H
#define BPI_REFERENCE_H

#include "kernels/ops.h"

typedef struct bpi_reference {
    bpi_backend backend; /* first: the host sees this part */
    bp_allocator allocator;
} bpi_reference;

struct bpi_linear_plan {
    bpi_linear_spec spec;
};

static inline double *bpi_reference_row(bpi_matrix matrix, int64_t row)
{
    return (double *)matrix.data + row * matrix.ld;
}

/* activation.c */
double bpi_reference_activation(bp_activation activation, float slope, double z);
double bpi_reference_derivative(bp_activation activation, float slope, double saved);
double bpi_reference_sigmoid(double z);
double bpi_reference_softplus(double z);

/* schedule.c: the learning rate of step s, counted from 0 */
double bpi_reference_learning_rate(const bpi_hyper *hyper, int64_t step);

bp_status bpi_reference_allocate(bpi_backend *backend, size_t bytes, void **memory);
void bpi_reference_release(bpi_backend *backend, void *memory, size_t bytes);
bp_status bpi_reference_upload(bpi_backend *backend, const void *source, size_t bytes, void *destination);
bp_status bpi_reference_download(bpi_backend *backend, const void *source, size_t bytes, void *destination);
bp_status bpi_reference_zero(bpi_backend *backend, void *memory, size_t bytes);

bp_status bpi_reference_load(bpi_backend *backend, const bpi_load_args *args);

bp_status bpi_reference_linear_plan(bpi_backend *backend, const bpi_linear_spec *spec, bpi_linear_plan **plan);
void bpi_reference_linear_unplan(bpi_backend *backend, bpi_linear_plan *plan);
bp_status bpi_reference_linear_forward(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                       const void *bias, void *z, void *a);
bp_status bpi_reference_linear_input_grad(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                          const void *w, void *d_x);
bp_status bpi_reference_linear_weight_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane,
                                           const void *delta, const void *x, bool accumulate, void *d_w);

bp_status bpi_reference_activation_forward(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix z,
                                           bpi_matrix a);
bp_status bpi_reference_activation_backward(bpi_backend *backend, const bpi_activation_args *args);
bp_status bpi_reference_activation_derivative(bpi_backend *backend, bp_activation activation, float slope,
                                              bpi_matrix saved, bpi_matrix derivative);
bp_status bpi_reference_hadamard(bpi_backend *backend, bpi_matrix left, bpi_matrix right, bpi_matrix product);
bp_status bpi_reference_bias_grad(bpi_backend *backend, bpi_matrix delta, bool accumulate, void *d_b);

bp_status bpi_reference_block_forward(bpi_backend *backend, const bpi_block_args *args);
bp_status bpi_reference_block_backward(bpi_backend *backend, const bpi_block_grad_args *args);

bp_status bpi_reference_step_begin(bpi_backend *backend, bpi_step_state *state, const bpi_running *running);
bp_status bpi_reference_loss(bpi_backend *backend, const bpi_loss_args *args);
bp_status bpi_reference_update_prepare(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients,
                                       int64_t count, bpi_step_state *state);
bp_status bpi_reference_update(bpi_backend *backend, const bpi_update_args *args);

bp_status bpi_reference_observe_units(bpi_backend *backend, bp_activation activation, bpi_matrix a, bool wide,
                                      bool accumulate, int64_t *counts);
size_t bpi_reference_observe_scratch_bytes(bpi_backend *backend, int64_t count, int64_t tensors);
bp_status bpi_reference_observe_gradients(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients,
                                          int64_t count, bpi_step_state *state, const bpi_observe_args *args);
bp_status bpi_reference_observe_update(bpi_backend *backend, const bpi_update_args *update,
                                       const bpi_observe_args *args);

#endif
