/* lt_plan.c: from layouts and a descriptor to one checked GEMM, without its pointers. */
#include "cublas/lt.h"

static bool is_order(int32_t order)
{
    return order == CUBLASLT_ORDER_COL || order == CUBLASLT_ORDER_ROW;
}

static cublasStatus_t plan_matrix(const char *name, const cue_lt_layout *l, cue_scalar_type type, cue_matrix *out)
{
    if (!is_order(l->order)) {
        cue_blas_wrong("the order %d of %s is not implemented", (int)l->order, name);
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    int64_t lines = (int64_t)(l->order == CUBLASLT_ORDER_ROW ? l->cols : l->rows);
    if (l->ld < lines)
        return cue_blas_wrong("the leading dimension %lld of %s is below %lld", (long long)l->ld, name,
                              (long long)lines);
    *out = (cue_matrix){.type = type,
                        .rows = (int64_t)l->rows,
                        .cols = (int64_t)l->cols,
                        .ld = l->ld,
                        .batch_stride = l->batch_stride,
                        .row_major = l->order == CUBLASLT_ORDER_ROW};
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_shapes(const cue_gemm_call *g)
{
    bool ta = g->transa != CUBLAS_OP_N, tb = g->transb != CUBLAS_OP_N;
    int64_t rows_a = ta ? g->a.cols : g->a.rows, cols_a = ta ? g->a.rows : g->a.cols;
    int64_t rows_b = tb ? g->b.cols : g->b.rows, cols_b = tb ? g->b.rows : g->b.cols;
    if (rows_a != g->m || cols_a != rows_b || cols_b != g->n)
        return cue_blas_wrong("op(A) is %lld x %lld, op(B) is %lld x %lld, D is %lld x %lld", (long long)rows_a,
                              (long long)cols_a, (long long)rows_b, (long long)cols_b, (long long)g->m,
                              (long long)g->n);
    if (g->c.rows != g->m || g->c.cols != g->n)
        return cue_blas_wrong("C is %lld x %lld, D is %lld x %lld", (long long)g->c.rows, (long long)g->c.cols,
                              (long long)g->m, (long long)g->n);
    return CUBLAS_STATUS_SUCCESS;
}

static bool is_epilogue(uint32_t e)
{
    static const uint32_t known[] = {
        CUBLASLT_EPILOGUE_DEFAULT,  CUBLASLT_EPILOGUE_RELU,        CUBLASLT_EPILOGUE_RELU_AUX,
        CUBLASLT_EPILOGUE_BIAS,     CUBLASLT_EPILOGUE_RELU_BIAS,   CUBLASLT_EPILOGUE_RELU_AUX_BIAS,
        CUBLASLT_EPILOGUE_DRELU,    CUBLASLT_EPILOGUE_DRELU_BGRAD, CUBLASLT_EPILOGUE_GELU,
        CUBLASLT_EPILOGUE_GELU_AUX, CUBLASLT_EPILOGUE_GELU_BIAS,   CUBLASLT_EPILOGUE_GELU_AUX_BIAS,
        CUBLASLT_EPILOGUE_DGELU,    CUBLASLT_EPILOGUE_DGELU_BGRAD, CUBLASLT_EPILOGUE_BGRADA,
        CUBLASLT_EPILOGUE_BGRADB,
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i] == e)
            return true;
    return false;
}

static bool type_or(int32_t wanted, cue_scalar_type otherwise, cue_scalar_type *out)
{
    *out = otherwise;
    return wanted < 0 || cue_type_of((cudaDataType_t)wanted, out);
}

/* The mask's leading dimension counts bits and is a multiple of 128; that of GELU's input counts elements, of 8. */
static cublasStatus_t plan_epilogue(const cue_lt_desc *desc, cue_gemm_call *g)
{
    const uint32_t relu_bits = 2 | 8, aux_bit = 128, bias_bits = 4 | 16 | 256 | 512;
    uint32_t e = desc->epilogue;
    cue_epilogue *out = &g->epilogue;
    if (!is_epilogue(e))
        return cue_blas_wrong("epilogue %u does not exist", e);
    *out = (cue_epilogue){.kind = (cublasLtEpilogue_t)e,
                          .bias = desc->bias,
                          .bias_batch_stride = desc->bias_batch_stride,
                          .aux = desc->aux,
                          .aux_ld = desc->aux_ld,
                          .aux_batch_stride = desc->aux_batch_stride};
    if (!type_or(desc->bias_type, g->d.type, &out->bias_type) || !type_or(desc->aux_type, g->d.type, &out->aux_type))
        return cue_blas_wrong("bias type %d or aux type %d is no real type", (int)desc->bias_type, (int)desc->aux_type);
    if (g->d.row_major && (e & (aux_bit | bias_bits)) != 0)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if ((e & aux_bit) == 0)
        return CUBLAS_STATUS_SUCCESS;
    int64_t multiple = (e & relu_bits) != 0 ? 128 : 8;
    if (desc->aux_ld < g->m || desc->aux_ld % multiple != 0 || desc->aux_batch_stride % multiple != 0)
        return cue_blas_wrong("the aux leading dimension %lld must be a multiple of %lld and at least %lld",
                              (long long)desc->aux_ld, (long long)multiple, (long long)g->m);
    return CUBLAS_STATUS_SUCCESS;
}

static bool asks_too_much(const cue_lt_desc *d)
{
    return d->scale_a != NULL || d->scale_b != NULL || d->scale_c != NULL || d->scale_d != NULL || d->amax_d != NULL ||
           d->aux_scale != NULL || d->aux_amax != NULL || d->transc != CUBLAS_OP_N ||
           d->fill_mode != CUBLAS_FILL_MODE_FULL || d->pointer_mode > CUBLASLT_POINTER_MODE_DEVICE;
}

cublasStatus_t cue_lt_plan(const cue_lt_desc *desc, const cue_lt_layout *a, const cue_lt_layout *b,
                           const cue_lt_layout *c, const cue_lt_layout *d, cue_gemm_call *g)
{
    *g = (cue_gemm_call){.transa = (cublasOperation_t)desc->transa, .transb = (cublasOperation_t)desc->transb};
    if (asks_too_much(desc))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (c->type != d->type)
        return cue_blas_wrong("C has type %u, D has type %u", c->type, d->type);
    if (!cue_gemm_types((cublasComputeType_t)desc->compute, CUBLAS_DEFAULT_MATH, (cudaDataType_t)a->type,
                        (cudaDataType_t)b->type, (cudaDataType_t)d->type, g))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (desc->scale_type != (g->f64 ? CUDA_R_64F : CUDA_R_32F))
        return cue_blas_wrong("scale type %d does not go with compute type %d", (int)desc->scale_type,
                              (int)desc->compute);
    if (a->batch_count != d->batch_count || b->batch_count != d->batch_count || c->batch_count != d->batch_count)
        return cue_blas_wrong("batch counts %d, %d, %d, %d differ", (int)a->batch_count, (int)b->batch_count,
                              (int)c->batch_count, (int)d->batch_count);
    cue_scalar_type type_a = g->a.type, type_b = g->b.type, type_d = g->d.type;
    cublasStatus_t status = plan_matrix("A", a, type_a, &g->a);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = plan_matrix("B", b, type_b, &g->b);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = plan_matrix("C", c, type_d, &g->c);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = plan_matrix("D", d, type_d, &g->d);
    g->m = (int64_t)d->rows;
    g->n = (int64_t)d->cols;
    g->k = (int64_t)(desc->transa == CUBLAS_OP_N ? a->cols : a->rows);
    g->batch_count = d->batch_count;
    if (status == CUBLAS_STATUS_SUCCESS)
        status = check_shapes(g);
    return status == CUBLAS_STATUS_SUCCESS ? plan_epilogue(desc, g) : status;
}

uint64_t cue_lt_problem(const cue_gemm_call *g)
{
    uint32_t shape = cue_hash3((uint32_t)g->m, (uint32_t)g->n, (uint32_t)g->k);
    uint32_t kind = cue_hash3((uint32_t)(g->transa * 4 + g->transb), (uint32_t)g->epilogue.kind,
                              (uint32_t)(g->a.type * 64 + g->b.type * 16 + g->d.type * 4 + g->rounding));
    uint32_t lds = cue_hash3((uint32_t)g->a.ld, (uint32_t)g->b.ld, (uint32_t)g->d.ld);
    return (uint64_t)cue_hash3(shape, kind, lds) << 32 | (uint32_t)g->batch_count;
}
