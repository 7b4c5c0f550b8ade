/* linear.c: the three matrix products of a linear layer, through cuBLAS.
 *
 * cuBLAS is column-major: our row-major [r,c] with a leading dimension is its [c,r], so that each product is asked for
 * transposed, with its factors changed round:
 *   z   = x w^T      z^T   [O,B] = (w^T)^T x^T
 *   d_x = delta w    d_x^T [I,B] = w^T delta^T
 *   d_w = delta^T x  d_w^T [I,O] = x^T (delta^T)^T
 * Accumulation is in f32. tf32 rounds the factors to 10 bits, and only where it was asked for by name. */
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/kernels.h"

#include <assert.h>
#include <string.h>

struct bpi_linear_plan {
    bpi_linear_spec spec;
};

bp_status bpi_cuda_linear_plan(bpi_backend *backend, const bpi_linear_spec *spec, bpi_linear_plan **plan)
{
    assert(spec->rows >= 1 && spec->inputs >= 1 && spec->outputs >= 1);
    assert(spec->ld_x >= spec->inputs && spec->ld_w >= spec->inputs && spec->ld_a >= spec->outputs);
    const bp_allocator *allocator = &bpi_cuda_of(backend)->allocator;
    *plan = allocator->allocate(allocator->user, sizeof **plan, 64);
    if (!*plan)
        return bpi_fail(backend->error, BP_STATUS_OUT_OF_MEMORY, "backend cuda: no memory for %zu bytes",
                        sizeof **plan);
    (*plan)->spec = *spec;
    return BP_STATUS_OK;
}

void bpi_cuda_linear_unplan(bpi_backend *backend, bpi_linear_plan *plan)
{
    if (!plan)
        return;
    const bp_allocator *allocator = &bpi_cuda_of(backend)->allocator;
    allocator->release(allocator->user, plan, sizeof *plan);
}

/* A factor as cuBLAS sees it. */
typedef struct factor {
    const void *data;
    int64_t ld;
    cublasOperation_t operation;
} factor;

/* out [m,n] = left [m,k] right [k,n] + add * out, all column-major. */
static bp_status multiply(bpi_cuda *cuda, int lane, int64_t m, int64_t n, int64_t k, factor left, factor right,
                          float add, void *out, int64_t ld)
{
    const float one = 1.0f;
    BPI_CUDA_TRY(cuda->backend.error, cublasGemmEx_64(cuda->blas[lane], left.operation, right.operation, m, n, k, &one,
                                                      left.data, CUDA_R_32F, left.ld, right.data, CUDA_R_32F, right.ld,
                                                      &add, out, CUDA_R_32F, ld, cuda->compute, CUBLAS_GEMM_DEFAULT));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_linear_forward(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                  const void *bias, void *z, void *a)
{
    const bpi_linear_spec *spec = &plan->spec;
    bpi_cuda *cuda = bpi_cuda_of(backend);
    assert(x && w && a && !bias == !spec->bias);
    void *product = z ? z : a;
    factor weights = {w, spec->ld_w, CUBLAS_OP_T}, samples = {x, spec->ld_x, CUBLAS_OP_N};
    BPI_TRY(multiply(cuda, 0, spec->outputs, spec->rows, spec->inputs, weights, samples, 0.0f, product, spec->ld_a));
    if (!bias && !z && spec->activation == BP_ACTIVATION_IDENTITY)
        return BP_STATUS_OK;
    bpi_matrix from = {product, spec->rows, spec->outputs, spec->ld_a}, to = {a, spec->rows, spec->outputs, spec->ld_a};
    bpi_cuda_pass pass = bpi_cuda_pass_over(from, to, to, bias);
    BPI_CUDA_TRY(backend->error,
                 bpi_cuda_run_forward(cuda->lanes[0], pass, spec->activation, spec->slope, from, bias, to));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_linear_input_grad(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                     const void *w, void *d_x)
{
    const bpi_linear_spec *spec = &plan->spec;
    assert(delta && w && d_x);
    factor weights = {w, spec->ld_w, CUBLAS_OP_N}, errors = {delta, spec->ld_a, CUBLAS_OP_N};
    return multiply(bpi_cuda_of(backend), 0, spec->inputs, spec->rows, spec->outputs, weights, errors, 0.0f, d_x,
                    spec->ld_x);
}

bp_status bpi_cuda_linear_weight_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                      const void *x, bool accumulate, void *d_w)
{
    const bpi_linear_spec *spec = &plan->spec;
    assert(delta && x && d_w && lane >= 0 && lane < BPI_CUDA_LANES);
    factor samples = {x, spec->ld_x, CUBLAS_OP_N}, errors = {delta, spec->ld_a, CUBLAS_OP_T};
    return multiply(bpi_cuda_of(backend), lane, spec->inputs, spec->outputs, spec->rows, samples, errors,
                    accumulate ? 1.0f : 0.0f, d_w, spec->ld_w);
}
