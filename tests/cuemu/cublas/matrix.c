/* matrix.c: matrices in device memory: strides, and the checks of every element that an operation touches. */
#include "cublas/blas.h"

bool cue_type_of(cudaDataType_t type, cue_scalar_type *out)
{
    switch (type) {
    case CUDA_R_32F:
        *out = CUE_F32;
        return true;
    case CUDA_R_64F:
        *out = CUE_F64;
        return true;
    case CUDA_R_16BF:
        *out = CUE_BF16;
        return true;
    case CUDA_R_16F:
        *out = CUE_F16;
        return true;
    default:
        return false;
    }
}

cue_operand cue_matrix_operand(const cue_matrix *m, bool transposed, int64_t batch)
{
    int64_t row = m->row_major ? m->ld : 1, col = m->row_major ? 1 : m->ld;
    return (cue_operand){.data = (const char *)m->data + batch * m->batch_stride * (int64_t)cue_scalar_bytes(m->type),
                         .type = m->type,
                         .row_stride = transposed ? col : row,
                         .col_stride = transposed ? row : col};
}

static int64_t line_length(const cue_matrix *m)
{
    return m->row_major ? m->cols : m->rows;
}

static int64_t line_count(const cue_matrix *m)
{
    return m->row_major ? m->rows : m->cols;
}

cue_error cue_matrix_access(cue_op_id op, const cue_matrix *m, int64_t batch, cue_access access, const char *what)
{
    size_t element = cue_scalar_bytes(m->type);
    const char *base = cue_matrix_operand(m, false, batch).data;
    int64_t length = line_length(m), lines = line_count(m);
    if (length == m->ld) {
        length *= lines;
        lines = lines > 0;
    }
    for (int64_t i = 0; i < lines; i++) {
        cue_error error =
            cue_mem_access(op, base + (size_t)(i * m->ld) * element, (size_t)length * element, access, what);
        if (error != CUE_SUCCESS)
            return error;
    }
    return CUE_SUCCESS;
}

/* Lines ascend in both, so that one walk along them meets every pair that can overlap. */
bool cue_matrices_overlap(const cue_matrix *a, const cue_matrix *b)
{
    size_t ea = cue_scalar_bytes(a->type), eb = cue_scalar_bytes(b->type);
    size_t la = (size_t)line_length(a) * ea, lb = (size_t)line_length(b) * eb;
    int64_t i = 0, j = 0;
    if (la == 0 || lb == 0)
        return false;
    while (i < line_count(a) && j < line_count(b)) {
        uintptr_t pa = (uintptr_t)a->data + (size_t)(i * a->ld) * ea,
                  pb = (uintptr_t)b->data + (size_t)(j * b->ld) * eb;
        if (pa + la <= pb)
            i++;
        else if (pb + lb <= pa)
            j++;
        else
            return true;
    }
    return false;
}
