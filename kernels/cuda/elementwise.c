/* elementwise.c: the operations that go once over a matrix; their kernels are in activation*.cu, hadamard.cu and
 * column_sums.cu. A bias gradient is made in two stages: partial sums by the pass, and a small kernel that adds them.
 */
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/kernels.h"

#include <assert.h>
#include <stdint.h>

/* Whether rows start on 16 bytes, as the host's do; programs that link the operations may bring others. */
static bool aligned(const void *data, int64_t ld, int width)
{
    return (uintptr_t)data % 16 == 0 && ld % width == 0;
}

bool bpi_cuda_in_quads(const void *data, int64_t ld)
{
    return aligned(data, ld, 4);
}

bpi_cuda_pass bpi_cuda_pass_over(bpi_type type, bpi_matrix first, bpi_matrix second, bpi_matrix third,
                                 const void *vector)
{
    int width = 16 / (int)bpi_type_bytes(type);
    bool all = aligned(first.data, first.ld, width) && aligned(second.data, second.ld, width) &&
               aligned(third.data, third.ld, width) && aligned(vector, 0, width);
    return bpi_cuda_pass_of(first.rows, first.cols, all ? width : 1);
}

bp_status bpi_cuda_activation_forward(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix z,
                                      bpi_matrix a)
{
    assert(z.rows == a.rows && z.cols == a.cols);
    bpi_type type = backend->traits.activation_type;
    bpi_cuda_pass pass = bpi_cuda_pass_over(type, z, a, a, NULL);
    BPI_CUDA_TRY(backend->error,
                 bpi_cuda_run_forward(bpi_cuda_of(backend)->lanes[0], pass, type, activation, slope, z, NULL, a));
    return BP_STATUS_OK;
}

static bp_status finish(bpi_cuda *cuda, bpi_cuda_pass pass, int64_t cols, bool accumulate, void *d_b)
{
    BPI_CUDA_TRY(cuda->backend.error,
                 bpi_cuda_run_column_sums_finish(cuda->lanes[0], cuda->workspace, pass.slices, cols, accumulate, d_b));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_activation_backward(bpi_backend *backend, const bpi_activation_args *args)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    bpi_matrix delta = args->delta;
    assert(args->saved.rows == delta.rows && args->saved.cols == delta.cols);
    assert(args->d_a.rows == delta.rows && args->d_a.cols == delta.cols);
    assert(!args->d_b || bpi_cuda_pass_bytes(delta.rows, delta.cols) <= cuda->workspace_bytes);
    bpi_type type = backend->traits.activation_type;
    bpi_cuda_pass pass = bpi_cuda_pass_over(type, delta, args->saved, args->d_a, NULL);
    if (args->wide && type != backend->traits.parameter_type)
        pass = bpi_cuda_pass_of(delta.rows, delta.cols, 1);
    BPI_CUDA_TRY(backend->error,
                 bpi_cuda_run_backward(cuda->lanes[0], pass, type, args, args->d_b ? cuda->workspace : NULL));
    return args->d_b ? finish(cuda, pass, delta.cols, args->accumulate, args->d_b) : BP_STATUS_OK;
}

bp_status bpi_cuda_activation_derivative(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix saved,
                                         bpi_matrix derivative)
{
    assert(saved.rows == derivative.rows && saved.cols == derivative.cols);
    bpi_type type = backend->traits.activation_type;
    bpi_cuda_pass pass = bpi_cuda_pass_over(type, saved, derivative, derivative, NULL);
    BPI_CUDA_TRY(backend->error, bpi_cuda_run_derivative(bpi_cuda_of(backend)->lanes[0], pass, type, activation, slope,
                                                         saved, derivative));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_hadamard(bpi_backend *backend, bpi_matrix left, bpi_matrix right, bpi_matrix product)
{
    assert(left.rows == product.rows && left.cols == product.cols);
    assert(right.rows == product.rows && right.cols == product.cols);
    bpi_type type = backend->traits.activation_type;
    bpi_cuda_pass pass = bpi_cuda_pass_over(type, product, left, right, NULL);
    BPI_CUDA_TRY(backend->error,
                 bpi_cuda_run_hadamard(bpi_cuda_of(backend)->lanes[0], pass, type, left, right, product));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_bias_grad(bpi_backend *backend, bpi_matrix delta, bool accumulate, void *d_b)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    assert(d_b && bpi_cuda_pass_bytes(delta.rows, delta.cols) <= cuda->workspace_bytes);
    bpi_type type = backend->traits.activation_type;
    bpi_cuda_pass pass = bpi_cuda_pass_over(type, delta, delta, delta, NULL);
    BPI_CUDA_TRY(backend->error, bpi_cuda_run_column_sums(cuda->lanes[0], pass, type, delta, cuda->workspace));
    return finish(cuda, pass, delta.cols, accumulate, d_b);
}
