/* linear.c: the three matrix products of a linear layer, through cuBLAS.
 *
 * cuBLAS is column-major: our row-major [r,c] with a leading dimension is its [c,r], so that each product is asked for
 * transposed, with its factors changed round:
 *   z   = x w^T      z^T   [O,B] = (w^T)^T x^T
 *   d_x = delta w    d_x^T [I,B] = w^T delta^T
 *   d_w = delta^T x  d_w^T [I,O] = x^T (delta^T)^T
 * Accumulation is in f32. tf32 rounds the factors to 10 bits, and bf16 reads them in bf16 (the weights from the copy
 * that convert_weights and update make), and only where they were asked for by name. */
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

/* Where a product goes. */
typedef struct result {
    void *data;
    int64_t ld;
    bpi_type type;
    float add; /* times what is there */
} result;

/* out [m,n] = left [m,k] right [k,n] + add * out, all column-major. */
static bp_status multiply(bpi_cuda *cuda, int lane, int64_t m, int64_t n, int64_t k, factor left, factor right,
                          result out)
{
    const float one = 1.0f;
    cudaDataType_t type = out.type == BPI_TYPE_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    BPI_CUDA_TRY(cuda->backend.error,
                 cublasGemmEx_64(cuda->blas[lane], left.operation, right.operation, m, n, k, &one, left.data,
                                 cuda->factors, left.ld, right.data, cuda->factors, right.ld, &out.add, out.data, type,
                                 out.ld, cuda->compute, CUBLAS_GEMM_DEFAULT));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_convert_weights(bpi_backend *backend, const void *parameters, int64_t count, void *weights)
{
    assert(parameters && weights && backend->traits.weight_type == BPI_TYPE_BF16);
    BPI_CUDA_TRY(backend->error, bpi_cuda_run_convert(bpi_cuda_of(backend)->lanes[0], parameters, count, weights));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_linear_forward(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                  const void *bias, void *z, void *a)
{
    const bpi_linear_spec *spec = &plan->spec;
    bpi_cuda *cuda = bpi_cuda_of(backend);
    assert(x && w && a && !bias == !spec->bias);
    bpi_type type = spec->wide ? backend->traits.parameter_type : backend->traits.activation_type;
    result product = {z ? z : a, spec->ld_a, type, 0.0f};
    factor weights = {w, spec->ld_w, CUBLAS_OP_T}, samples = {x, spec->ld_x, CUBLAS_OP_N};
    BPI_TRY(multiply(cuda, 0, spec->outputs, spec->rows, spec->inputs, weights, samples, product));
    if (!bias && !z && spec->activation == BP_ACTIVATION_IDENTITY)
        return BP_STATUS_OK;
    bpi_matrix from = {product.data, spec->rows, spec->outputs, spec->ld_a},
               to = {a, spec->rows, spec->outputs, spec->ld_a};
    bpi_cuda_pass pass = bpi_cuda_pass_over(type, from, to, to, bias);
    BPI_CUDA_TRY(backend->error,
                 bpi_cuda_run_forward(cuda->lanes[0], pass, type, spec->activation, spec->slope, from, bias, to));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_linear_input_grad(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                     const void *w, void *d_x)
{
    const bpi_linear_spec *spec = &plan->spec;
    assert(delta && w && d_x);
    factor weights = {w, spec->ld_w, CUBLAS_OP_N}, errors = {delta, spec->ld_a, CUBLAS_OP_N};
    return multiply(bpi_cuda_of(backend), 0, spec->inputs, spec->rows, spec->outputs, weights, errors,
                    (result){d_x, spec->ld_x, backend->traits.activation_type, 0.0f});
}

bp_status bpi_cuda_linear_weight_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                      const void *x, bool accumulate, void *d_w)
{
    const bpi_linear_spec *spec = &plan->spec;
    assert(delta && x && d_w && lane >= 0 && lane < BPI_CUDA_LANES);
    factor samples = {x, spec->ld_x, CUBLAS_OP_N}, errors = {delta, spec->ld_a, CUBLAS_OP_T};
    return multiply(bpi_cuda_of(backend), lane, spec->inputs, spec->outputs, spec->rows, samples, errors,
                    (result){d_w, spec->ld_w, backend->traits.parameter_type, accumulate ? 1.0f : 0.0f});
}
