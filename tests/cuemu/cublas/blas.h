/* blas.h: what the files of cublas/ share. libcublas.so and libcublasLt.so are two libraries, as NVIDIA's are; the
 * arithmetic lives in the second, and both submit their work through host/. */
#ifndef CUE_CUBLAS_BLAS_H
#define CUE_CUBLAS_BLAS_H

#include <cublasLt.h>
#include <cublas_v2.h>

#include "cublas/gemm_core.h"
#include "host/internal.h"

/* cue_blas_enter: the lock, as cue_enter; a sticky CUDA error or CUEMU_FAIL give a status that is no success. */
cublasStatus_t cue_blas_enter(const char *call, const void *address, int flags);
cublasStatus_t cue_blas_leave(cublasStatus_t status);
/* cue_blas_wrong: reports what is wrong with the arguments; INVALID_VALUE. */
cublasStatus_t cue_blas_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
cublasStatus_t cue_blas_submit(cudaStream_t stream, const char *name, cue_work_fn *run, const void *payload,
                               size_t bytes);

/* ------------------------------------------------------------------ matrices in device memory (matrix.c) */
typedef struct cue_matrix {
    const void *data;
    cue_scalar_type type;
    int64_t rows, cols, ld; /* ld: elements between columns, or between rows where row_major */
    int64_t batch_stride;   /* elements */
    bool row_major;
} cue_matrix;

bool cue_type_of(cudaDataType_t type, cue_scalar_type *out);
cue_operand cue_matrix_operand(const cue_matrix *m, bool transposed, int64_t batch);
/* cue_matrix_access: bounds, order and initialisation of all elements of one batch entry. */
cue_error cue_matrix_access(cue_op_id op, const cue_matrix *m, int64_t batch, cue_access access, const char *what);
bool cue_matrices_overlap(const cue_matrix *a, const cue_matrix *b);

/* ------------------------------------------------------------------ one GEMM (gemm_run.c) */
typedef struct cue_scalar_argument { /* alpha, beta */
    const void *device;              /* NULL: the value is here */
    double value;
} cue_scalar_argument;

typedef struct cue_epilogue {
    cublasLtEpilogue_t kind;
    void *bias; /* or bias gradient */
    cue_scalar_type bias_type;
    int64_t bias_batch_stride;
    void *aux;
    cue_scalar_type aux_type;
    int64_t aux_ld, aux_batch_stride;
} cue_epilogue;

typedef struct cue_gemm_call {
    cublasOperation_t transa, transb;
    int64_t m, n, k, batch_count;
    cue_matrix a, b, c, d;
    cue_scalar_argument alpha, beta;
    cue_scalar_type scalar_type;
    cue_operand_rounding rounding;
    bool f64;
    void *workspace;
    size_t workspace_bytes; /* that the algorithm writes */
    cue_epilogue epilogue;
} cue_gemm_call;

cublasStatus_t cue_gemm_submit(cudaStream_t stream, const char *name, const cue_gemm_call *call);
/* cue_gemm_types: which operand, result and compute types the manual lists, and what they do to the operands. */
bool cue_gemm_types(cublasComputeType_t compute, cublasMath_t math, cudaDataType_t a, cudaDataType_t b,
                    cudaDataType_t c, cue_gemm_call *out);

/* epilogue.c: v[i,j] (column-major, m rows) becomes what D gets; bias gradients and masks are written on the way. */
cue_error cue_epilogue_access(cue_op_id op, const cue_gemm_call *g, int64_t batch);
void cue_epilogue_apply(const cue_gemm_call *g, int64_t batch, double *v);
/* Bytes of vectors and aux buffers that it reads, or writes: each once. */
int64_t cue_epilogue_bytes(const cue_gemm_call *g, bool written);

struct cublasContext {
    cudaStream_t stream;
    cublasPointerMode_t pointer_mode;
    cublasMath_t math;
    cublasAtomicsMode_t atomics;
    void *workspace;
    size_t workspace_bytes;
};

/* What a GEMM writes of a workspace: enough to find one that two streams share. */
enum { CUE_WORKSPACE_TOUCHED = 4096 };

#endif
