/* linear.c: the three matrix products of a linear layer, through cuBLAS.
 *
 * cuBLAS is column-major: our row-major [r,c] with a leading dimension is its [c,r], so that each product is asked for
 * transposed, with its factors changed round:
 *   z   = x w^T      z^T   [O,B] = (w^T)^T x^T
 *   d_x = delta w    d_x^T [I,B] = w^T delta^T
 *   d_w = delta^T x  d_w^T [I,O] = x^T (delta^T)^T
 * Accumulation is in f32. tf32 rounds the factors to 10 bits, and bf16 reads them in bf16 (the weights from the copy
 * that convert_weights and update make), and only where they were asked for by name.
 *
 * The plain way is a product of cuBLAS and one pass of ours over its result. On the ways that spec.ways names, cublasLt
 * does the pass's work while it stores the product (ways.c, lt.c). */
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/kernels.h"

#include <assert.h>
#include <string.h>

struct bpi_linear_plan {
    bpi_linear_spec spec;
    bpi_cuda_product products[BPI_WAYS]; /* of the ways that spec.ways names */
};

static int64_t parts_of(const bpi_linear_spec *spec)
{
    return bpi_cuda_split_of(spec->rows, spec->inputs, spec->outputs);
}

/* What cublasLt makes of the layer. */
static bp_status make_products(bpi_cuda *cuda, bpi_linear_plan *plan)
{
    bpi_error *error = cuda->backend.error;
    for (int way = BPI_WAY_FORWARD; way <= BPI_WAY_BIAS; ++way) {
        bpi_cuda_gemm gemm;
        if (!bpi_goes(plan->spec.ways, (bpi_way)way))
            continue;
        BPI_TRY(bpi_cuda_way_gemm(cuda, &plan->spec, (bpi_way)way, error, &gemm));
        BPI_TRY(bpi_cuda_product_make(cuda, &gemm, error, &plan->products[way]));
    }
    return BP_STATUS_OK;
}

bp_status bpi_cuda_linear_plan(bpi_backend *backend, const bpi_linear_spec *spec, bpi_linear_plan **plan)
{
    assert(spec->rows >= 1 && spec->inputs >= 1 && spec->outputs >= 1);
    assert(spec->ld_x >= spec->inputs && spec->ld_w >= spec->inputs && spec->ld_a >= spec->outputs);
    assert(!spec->gradients || (spec->ld_d_x >= spec->inputs && spec->ld_delta >= spec->outputs));
    assert(bpi_cuda_of(backend)->weights.bytes >= bpi_cuda_workspace_bytes(backend, spec, 1).weight_bytes);
    const bp_allocator *allocator = &bpi_cuda_of(backend)->allocator;
    *plan = allocator->allocate(allocator->user, sizeof **plan, 64);
    if (!*plan)
        return bpi_fail(backend->error, BP_STATUS_OUT_OF_MEMORY, "backend cuda: no memory for %zu bytes",
                        sizeof **plan);
    memset(*plan, 0, sizeof **plan);
    (*plan)->spec = *spec;
    bp_status status = make_products(bpi_cuda_of(backend), *plan);
    if (status != BP_STATUS_OK) {
        bpi_cuda_linear_unplan(backend, *plan);
        *plan = NULL;
    }
    return status;
}

void bpi_cuda_linear_unplan(bpi_backend *backend, bpi_linear_plan *plan)
{
    if (!plan)
        return;
    for (int way = 0; way < BPI_WAYS; ++way)
        bpi_cuda_product_free(&plan->products[way]);
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

/* aux: the mask, or gelu's z. */
static bp_status forward_in_one(bpi_cuda *cuda, const bpi_linear_plan *plan, const void *x, const void *w,
                                const void *bias, void *aux, void *a)
{
    union {
        const void *read;
        void *shown;
    } vector = {bias};
    bpi_cuda_operands operands = {.left = w, .right = x, .out = a, .vector = vector.shown, .aux = aux};
    return bpi_cuda_product_run(cuda, &plan->products[BPI_WAY_FORWARD], 0, &operands);
}

bp_status bpi_cuda_linear_forward_mask(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                       const void *bias, void *a, void *mask)
{
    assert(x && w && a && mask && plan->spec.keeps_mask && !bias == !plan->spec.bias);
    return forward_in_one(bpi_cuda_of(backend), plan, x, w, bias, mask, a);
}

bp_status bpi_cuda_linear_forward(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                  const void *bias, void *z, void *a)
{
    const bpi_linear_spec *spec = &plan->spec;
    bpi_cuda *cuda = bpi_cuda_of(backend);
    assert(x && w && a && !bias == !spec->bias);
    if (bpi_goes(spec->ways, BPI_WAY_FORWARD))
        return forward_in_one(cuda, plan, x, w, bias, z, a);
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
    factor weights = {w, spec->ld_w, CUBLAS_OP_N}, errors = {delta, spec->ld_delta, CUBLAS_OP_N};
    return multiply(bpi_cuda_of(backend), 0, spec->inputs, spec->rows, spec->outputs, weights, errors,
                    (result){d_x, spec->ld_d_x, backend->traits.activation_type, 0.0f});
}

/* Parts of as many rows each, all at once, then their sum from the first part on: as column_sums_finish adds slices. */
static bp_status weight_grad_in_parts(bpi_cuda *cuda, const bpi_linear_spec *spec, int lane, const void *delta,
                                      const void *x, bool accumulate, void *d_w)
{
    const float one = 1.0f, none = 0.0f;
    int64_t parts = parts_of(spec), rows = spec->rows / parts, count = spec->inputs * spec->outputs;
    BPI_CUDA_TRY(cuda->backend.error,
                 cublasGemmStridedBatchedEx_64(cuda->blas[lane], CUBLAS_OP_N, CUBLAS_OP_T, spec->inputs, spec->outputs,
                                               rows, &one, x, cuda->factors, spec->ld_x, rows * spec->ld_x, delta,
                                               cuda->factors, spec->ld_delta, rows * spec->ld_delta, &none,
                                               cuda->weights.memory, CUDA_R_32F, spec->inputs, bpi_cuda_sums_ld(count),
                                               parts, cuda->compute, CUBLAS_GEMM_DEFAULT));
    BPI_CUDA_TRY(cuda->backend.error, bpi_cuda_run_column_sums_finish(cuda->lanes[lane], cuda->weights.memory, parts,
                                                                      count, accumulate, d_w));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_linear_weight_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                      const void *x, bool accumulate, void *d_w)
{
    const bpi_linear_spec *spec = &plan->spec;
    assert(delta && x && d_w && lane >= 0 && lane < BPI_CUDA_LANES);
    if (bpi_goes(spec->ways, BPI_WAY_SPLIT))
        return weight_grad_in_parts(bpi_cuda_of(backend), spec, lane, delta, x, accumulate, d_w);
    factor samples = {x, spec->ld_x, CUBLAS_OP_N}, errors = {delta, spec->ld_delta, CUBLAS_OP_T};
    return multiply(bpi_cuda_of(backend), lane, spec->inputs, spec->outputs, spec->rows, samples, errors,
                    (result){d_w, spec->ld_w, backend->traits.parameter_type, accumulate ? 1.0f : 0.0f});
}

/* d_b out of one row of sums. */
static bp_status add_row(bpi_cuda *cuda, int lane, const void *row, int64_t cols, void *d_b)
{
    BPI_CUDA_TRY(cuda->backend.error, bpi_cuda_run_column_sums_finish(cuda->lanes[lane], row, 1, cols, true, d_b));
    return BP_STATUS_OK;
}

/* cublasLt's bias gradients take the place of what is there: one that is added goes through a row of the workspace. */
bp_status bpi_cuda_linear_hidden_delta(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                       const void *w, const bpi_activation_args *args)
{
    const bpi_linear_spec *spec = &plan->spec;
    bpi_cuda *cuda = bpi_cuda_of(backend);
    assert(bpi_goes(spec->ways, BPI_WAY_DELTA) && args->activation == spec->below && !args->d_b == !spec->below_bias);
    assert(args->saved.ld == spec->ld_x && args->delta.ld == spec->ld_d_x);
    union {
        const void *read;
        void *shown;
    } aux = {spec->below == BP_ACTIVATION_RELU ? args->mask : args->saved.data};
    bool adds = args->d_b && args->accumulate;
    bpi_cuda_operands operands = {.left = w,
                                  .right = delta,
                                  .out = args->delta.data,
                                  .vector = adds ? cuda->workspace : args->d_b,
                                  .aux = aux.shown};
    BPI_TRY(bpi_cuda_product_run(cuda, &plan->products[BPI_WAY_DELTA], 0, &operands));
    return adds ? add_row(cuda, 0, cuda->workspace, spec->inputs, args->d_b) : BP_STATUS_OK;
}

bp_status bpi_cuda_linear_weight_bias_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane,
                                           const void *delta, const void *x, bool accumulate, void *d_w, void *d_b)
{
    const bpi_linear_spec *spec = &plan->spec;
    bpi_cuda *cuda = bpi_cuda_of(backend);
    assert(delta && x && d_w && d_b && lane >= 0 && lane < BPI_CUDA_LANES);
    bpi_cuda_operands operands = {.left = x,
                                  .right = delta,
                                  .out = d_w,
                                  .vector = accumulate ? cuda->weights.memory : d_b,
                                  .add = accumulate ? 1.0f : 0.0f};
    BPI_TRY(bpi_cuda_product_run(cuda, &plan->products[BPI_WAY_BIAS], lane, &operands));
    return accumulate ? add_row(cuda, lane, cuda->weights.memory, spec->outputs, d_b) : BP_STATUS_OK;
}
