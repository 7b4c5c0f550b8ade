/* epilogue.c: what cublasLt does between the product and the store: bias, activation, masks, bias gradients.
 *
 * As the manual's cublasLtEpilogue_t says: the bias has one entry per row of D. RELU_AUX writes one bit per element,
 * GELU_AUX writes the value before the activation; both in columns of aux_ld elements. GELU is the tanh form. DRELU and
 * DGELU multiply by the derivative that the aux buffer gives; BGRAD sums the rows of what D gets. BGRADA and BGRADB sum
 * an operand over k. */
#include "cublas/blas.h"

#include <math.h>

static bool has(const cue_gemm_call *g, unsigned bit)
{
    return ((unsigned)g->epilogue.kind & bit) != 0;
}

/* The bits of cublasLtEpilogue_t. */
enum { RELU = 2, BIAS = 4, DRELU = 8, BGRAD = 16, GELU = 32, DGELU = 64, AUX = 128, BGRADA = 256, BGRADB = 512 };

static int64_t bias_length(const cue_gemm_call *g)
{
    return has(g, BGRADB) ? g->n : g->m;
}

static char *bias_at(const cue_gemm_call *g, int64_t batch)
{
    return (char *)g->epilogue.bias +
           batch * g->epilogue.bias_batch_stride * (int64_t)cue_scalar_bytes(g->epilogue.bias_type);
}

static cue_error access_aux(cue_op_id op, const cue_gemm_call *g, int64_t batch)
{
    bool mask = has(g, RELU | DRELU);
    cue_access access = has(g, DRELU | DGELU) ? CUE_READ : CUE_WRITE;
    size_t element = mask ? 0 : cue_scalar_bytes(g->epilogue.aux_type);
    for (int64_t j = 0; j < g->n; j++) {
        int64_t start = batch * g->epilogue.aux_batch_stride + j * g->epilogue.aux_ld;
        const char *base = (const char *)g->epilogue.aux + (mask ? start / 8 : start * (int64_t)element);
        size_t bytes = mask ? (size_t)(g->m + 7) / 8 : (size_t)g->m * element;
        cue_error error = cue_mem_access(op, base, bytes, access, mask ? "epilogue mask" : "epilogue aux");
        if (error != CUE_SUCCESS)
            return error;
    }
    return CUE_SUCCESS;
}

cue_error cue_epilogue_access(cue_op_id op, const cue_gemm_call *g, int64_t batch)
{
    cue_error error = CUE_SUCCESS;
    size_t bias_bytes = (size_t)bias_length(g) * cue_scalar_bytes(g->epilogue.bias_type);
    if (has(g, BIAS))
        error = cue_mem_access(op, bias_at(g, batch), bias_bytes, CUE_READ, "epilogue bias");
    if (has(g, BGRAD | BGRADA | BGRADB))
        error = cue_mem_access(op, bias_at(g, batch), bias_bytes, CUE_WRITE, "epilogue bias gradient");
    return error == CUE_SUCCESS && has(g, AUX) ? access_aux(op, g, batch) : error;
}

int64_t cue_epilogue_bytes(const cue_gemm_call *g, bool written)
{
    int64_t vector = bias_length(g) * (int64_t)cue_scalar_bytes(g->epilogue.bias_type), bytes = 0;
    int64_t aux =
        has(g, RELU | DRELU) ? (g->m + 7) / 8 * g->n : g->m * g->n * (int64_t)cue_scalar_bytes(g->epilogue.aux_type);
    if (has(g, BIAS) && !written)
        bytes += vector;
    if (has(g, BGRAD | BGRADA | BGRADB) && written)
        bytes += vector;
    if (has(g, AUX) && has(g, DRELU | DGELU) != written)
        bytes += aux;
    return (unsigned)g->epilogue.kind <= CUBLASLT_EPILOGUE_DEFAULT ? 0 : bytes * g->batch_count;
}

static double gelu(double x)
{
    return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

static double gelu_derivative(double x)
{
    double t = tanh(0.7978845608028654 * (x + 0.044715 * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * x * x);
}

static bool mask_bit(const cue_gemm_call *g, int64_t index)
{
    return ((const uint8_t *)g->epilogue.aux)[index / 8] >> (index % 8) & 1;
}

static void set_mask_bit(const cue_gemm_call *g, int64_t index, bool value)
{
    uint8_t *byte = (uint8_t *)g->epilogue.aux + index / 8, bit = (uint8_t)(1u << (index % 8));
    *byte = value ? (uint8_t)(*byte | bit) : (uint8_t)(*byte & ~bit);
}

/* One element; aux is its index in the aux buffer. NaN stays NaN. */
static double activate(const cue_gemm_call *g, double x, int64_t aux)
{
    if (has(g, RELU)) {
        bool dead = x <= 0;
        if (has(g, AUX))
            set_mask_bit(g, aux, !dead);
        return dead ? 0 : x;
    }
    if (has(g, GELU)) {
        if (has(g, AUX))
            cue_scalar_store(g->epilogue.aux, g->epilogue.aux_type, aux, x);
        return (double)(float)gelu(x);
    }
    if (has(g, DRELU))
        return mask_bit(g, aux) ? x : 0;
    if (has(g, DGELU))
        return (double)(float)(x * gelu_derivative(cue_scalar_load(g->epilogue.aux, g->epilogue.aux_type, aux)));
    return x;
}

static void sum_rows(const cue_gemm_call *g, int64_t batch, const double *v)
{
    for (int64_t i = 0; i < g->m; i++) {
        double sum = 0;
        for (int64_t j = 0; j < g->n; j++)
            sum += v[j * g->m + i];
        cue_scalar_store(bias_at(g, batch), g->epilogue.bias_type, i, sum);
    }
}

static void sum_operand(const cue_gemm_call *g, int64_t batch)
{
    bool of_a = has(g, BGRADA);
    const cue_matrix *m = of_a ? &g->a : &g->b;
    cue_operand o = cue_matrix_operand(m, (of_a ? g->transa : g->transb) != CUBLAS_OP_N, batch);
    int64_t outer = of_a ? o.row_stride : o.col_stride, inner = of_a ? o.col_stride : o.row_stride;
    for (int64_t i = 0; i < bias_length(g); i++) {
        double sum = 0;
        for (int64_t p = 0; p < g->k; p++)
            sum += cue_scalar_load(o.data, o.type, i * outer + p * inner);
        cue_scalar_store(bias_at(g, batch), g->epilogue.bias_type, i, sum);
    }
}

void cue_epilogue_apply(const cue_gemm_call *g, int64_t batch, double *v)
{
    if ((unsigned)g->epilogue.kind <= CUBLASLT_EPILOGUE_DEFAULT)
        return;
    for (int64_t j = 0; j < g->n; j++)
        for (int64_t i = 0; i < g->m; i++) {
            double x = v[j * g->m + i];
            int64_t aux = batch * g->epilogue.aux_batch_stride + j * g->epilogue.aux_ld + i;
            if (has(g, BIAS)) {
                x += cue_scalar_load(bias_at(g, batch), g->epilogue.bias_type, i);
                x = g->f64 ? x : (double)(float)x;
            }
            v[j * g->m + i] = activate(g, x, aux);
        }
    if (has(g, BGRAD))
        sum_rows(g, batch, v);
    if (has(g, BGRADA | BGRADB))
        sum_operand(g, batch);
}
