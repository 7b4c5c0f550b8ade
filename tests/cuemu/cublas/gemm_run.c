/* gemm_run.c: a GEMM as a piece of work: checks its memory when it runs, computes, scales, stores. */
#include "cublas/blas.h"

#include <stdlib.h>
#include <string.h>

/* The compute types of the manual's table for cublasGemmEx and cublasLtMatmul, real types only. f16 accumulation is
 * left out: nothing here computes in it. */
bool cue_gemm_types(cublasComputeType_t compute, cublasMath_t math, cudaDataType_t a, cudaDataType_t b,
                    cudaDataType_t c, cue_gemm_call *out)
{
    bool all_f32 = a == CUDA_R_32F && b == CUDA_R_32F && c == CUDA_R_32F;
    bool half = a == b && (a == CUDA_R_16BF || a == CUDA_R_16F) && (c == a || c == CUDA_R_32F);
    if (!cue_type_of(a, &out->a.type) || !cue_type_of(b, &out->b.type) || !cue_type_of(c, &out->c.type))
        return false;
    out->d.type = out->c.type;
    out->scalar_type = CUE_F32;
    out->rounding = CUE_ROUND_NONE;
    out->f64 = false;
    switch (compute) {
    case CUBLAS_COMPUTE_32F:
        if (all_f32 && (math & 0xf) == CUBLAS_TF32_TENSOR_OP_MATH)
            out->rounding = CUE_ROUND_TF32;
        return all_f32 || half;
    case CUBLAS_COMPUTE_32F_PEDANTIC:
        return all_f32 || half;
    case CUBLAS_COMPUTE_32F_FAST_TF32:
        out->rounding = CUE_ROUND_TF32;
        return all_f32;
    case CUBLAS_COMPUTE_32F_FAST_16BF:
        out->rounding = CUE_ROUND_BF16;
        return all_f32;
    case CUBLAS_COMPUTE_32F_FAST_16F:
        out->rounding = CUE_ROUND_F16;
        return all_f32;
    case CUBLAS_COMPUTE_64F:
    case CUBLAS_COMPUTE_64F_PEDANTIC:
        out->scalar_type = CUE_F64;
        out->f64 = true;
        return a == CUDA_R_64F && b == CUDA_R_64F && c == CUDA_R_64F;
    default:
        return false;
    }
}

static cue_error load_scalar(cue_op_id op, const cue_scalar_argument *s, cue_scalar_type type, const char *what,
                             double *out)
{
    *out = s->value;
    if (s->device == NULL)
        return CUE_SUCCESS;
    cue_error error = cue_mem_access(op, s->device, cue_scalar_bytes(type), CUE_READ, what);
    if (error == CUE_SUCCESS) {
        cue_mem_unlock();
        *out = cue_scalar_load(s->device, type, 0);
        cue_mem_lock();
    }
    return error;
}

/* The workspace belongs to this GEMM while it runs: its content is lost. */
static cue_error spoil_workspace(cue_op_id op, const cue_gemm_call *g)
{
    size_t bytes = g->workspace_bytes < CUE_WORKSPACE_TOUCHED ? g->workspace_bytes : CUE_WORKSPACE_TOUCHED;
    if (g->workspace == NULL || bytes == 0)
        return CUE_SUCCESS;
    cue_error error = cue_mem_access(op, g->workspace, bytes, CUE_WRITE, "cuBLAS workspace");
    if (error == CUE_SUCCESS) {
        cue_mem_unlock();
        memset(g->workspace, 0xff, bytes);
        cue_mem_lock();
    }
    return error;
}

/* Looked at when all bounds are known to hold: otherwise a wrong leading dimension is an overlap too. */
static void check_overlap(cue_op_id op, const cue_gemm_call *g)
{
    cue_place place;
    bool with_a = cue_matrices_overlap(&g->d, &g->a), with_b = cue_matrices_overlap(&g->d, &g->b);
    if (g->k == 0 || (!with_a && !with_b))
        return;
    cue_op_place(op, &place);
    cue_report(CUE_BLAS, &place, "the result of the GEMM overlaps operand %s", with_a ? "A" : "B");
}

static cue_error check_memory(cue_op_id op, const cue_gemm_call *g, int64_t batch, double beta)
{
    cue_error error = CUE_SUCCESS;
    if (g->k > 0)
        error = cue_matrix_access(op, &g->a, batch, CUE_READ, "GEMM operand A");
    if (error == CUE_SUCCESS && g->k > 0)
        error = cue_matrix_access(op, &g->b, batch, CUE_READ, "GEMM operand B");
    if (error == CUE_SUCCESS && beta != 0)
        error = cue_matrix_access(op, &g->c, batch, CUE_READ, "GEMM operand C");
    if (error == CUE_SUCCESS)
        error = cue_matrix_access(op, &g->d, batch, CUE_WRITE, "GEMM result");
    return error == CUE_SUCCESS ? cue_epilogue_access(op, g, batch) : error;
}

/* The same call gives the same bits: the seed depends on the shape, not on time or address. */
static uint32_t seed_of(const cue_gemm_call *g)
{
    uint32_t shape = cue_hash3((uint32_t)g->m, (uint32_t)g->n, (uint32_t)g->k);
    return cue_hash3((uint32_t)cue_settings_get()->gemm_seed, shape, (uint32_t)(g->transa * 4 + g->transb));
}

static void compute(const cue_gemm_call *g, int64_t batch, double alpha, double beta, double *v)
{
    cue_gemm core = {.m = g->m,
                     .n = g->n,
                     .k = g->k,
                     .a = cue_matrix_operand(&g->a, g->transa != CUBLAS_OP_N, batch),
                     .b = cue_matrix_operand(&g->b, g->transb != CUBLAS_OP_N, batch),
                     .rounding = g->rounding,
                     .f64 = g->f64,
                     .seed = seed_of(g)};
    cue_operand c = cue_matrix_operand(&g->c, false, batch), d = cue_matrix_operand(&g->d, false, batch);
    if (cue_gemm_core(&core, v) != 0)
        cue_fatal("no memory for a GEMM of %lld x %lld x %lld", (long long)g->m, (long long)g->n, (long long)g->k);
    for (int64_t j = 0; j < g->n; j++)
        for (int64_t i = 0; i < g->m; i++) {
            double x = alpha * v[j * g->m + i];
            if (beta != 0)
                x += beta * cue_scalar_load(c.data, c.type, i * c.row_stride + j * c.col_stride);
            v[j * g->m + i] = g->f64 ? x : (double)(float)x;
        }
    cue_epilogue_apply(g, batch, v);
    for (int64_t j = 0; j < g->n; j++)
        for (int64_t i = 0; i < g->m; i++)
            cue_scalar_store((void *)(uintptr_t)d.data, d.type, i * d.row_stride + j * d.col_stride, v[j * g->m + i]);
}

static void count_gemm(const cue_gemm_call *g)
{
    int64_t ea = (int64_t)cue_scalar_bytes(g->a.type), eb = (int64_t)cue_scalar_bytes(g->b.type);
    int64_t ed = (int64_t)cue_scalar_bytes(g->d.type);
    cue_count("gemms", g->batch_count);
    cue_count("gemm_flops", 2 * g->m * g->n * g->k * g->batch_count);
    cue_count("gemm_read_bytes", (g->m * g->k * ea + g->k * g->n * eb) * g->batch_count);
    cue_count("gemm_write_bytes", g->m * g->n * ed * g->batch_count);
    cue_count("epilogue_read_bytes", cue_epilogue_bytes(g, false));
    cue_count("epilogue_write_bytes", cue_epilogue_bytes(g, true));
}

static void run_gemm(cue_op_id op, const void *payload, size_t bytes)
{
    (void)bytes;
    const cue_gemm_call *g = payload;
    double alpha = 0, beta = 0;
    cue_error error = load_scalar(op, &g->alpha, g->scalar_type, "GEMM alpha", &alpha);
    if (error == CUE_SUCCESS)
        error = load_scalar(op, &g->beta, g->scalar_type, "GEMM beta", &beta);
    if (error == CUE_SUCCESS)
        error = spoil_workspace(op, g);
    double *v = malloc(sizeof *v * (size_t)(g->m * g->n));
    if (v == NULL)
        cue_fatal("no memory for a GEMM result of %lld x %lld", (long long)g->m, (long long)g->n);
    for (int64_t batch = 0; batch < g->batch_count && error == CUE_SUCCESS; batch++) {
        error = check_memory(op, g, batch, beta);
        if (error != CUE_SUCCESS)
            break;
        if (batch == 0)
            check_overlap(op, g);
        cue_mem_unlock();
        compute(g, batch, alpha, beta, v);
        cue_mem_lock();
    }
    free(v);
    count_gemm(g);
    if (error != CUE_SUCCESS)
        cue_set_sticky_error((cudaError_t)error);
}

cublasStatus_t cue_gemm_submit(cudaStream_t stream, const char *name, const cue_gemm_call *call)
{
    if (call->m == 0 || call->n == 0 || call->batch_count == 0)
        return CUBLAS_STATUS_SUCCESS;
    return cue_blas_submit(stream, name, run_gemm, call, sizeof *call);
}
