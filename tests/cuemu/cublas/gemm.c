/* gemm.c: the GEMMs of the cuBLAS API: arguments checked as the manual says, then one cue_gemm_call. */
#include "cublas/blas.h"

typedef struct request {
    const char *name;
    cublasOperation_t transa, transb;
    int64_t m, n, k;
    const void *alpha, *a, *b, *beta;
    void *c;
    cudaDataType_t a_type, b_type, c_type;
    int64_t lda, ldb, ldc, stride_a, stride_b, stride_c, batch_count;
    cublasComputeType_t compute;
} request;

static bool is_operation(cublasOperation_t op)
{
    return op == CUBLAS_OP_N || op == CUBLAS_OP_T || op == CUBLAS_OP_C;
}

static int64_t at_least_one(int64_t n)
{
    return n > 1 ? n : 1;
}

/* check_shapes: the manual's list for cublas<t>gemm: sizes, operations, leading dimensions. */
static cublasStatus_t check_shapes(const request *r)
{
    if (!is_operation(r->transa) || !is_operation(r->transb))
        return cue_blas_wrong("transa %d or transb %d is no operation", (int)r->transa, (int)r->transb);
    if (r->m < 0 || r->n < 0 || r->k < 0 || r->batch_count < 0)
        return cue_blas_wrong("m %lld, n %lld, k %lld or the batch count %lld is negative", (long long)r->m,
                              (long long)r->n, (long long)r->k, (long long)r->batch_count);
    int64_t rows_a = r->transa == CUBLAS_OP_N ? r->m : r->k, rows_b = r->transb == CUBLAS_OP_N ? r->k : r->n;
    if (r->lda < at_least_one(rows_a))
        return cue_blas_wrong("lda %lld is below the %lld rows of A", (long long)r->lda, (long long)rows_a);
    if (r->ldb < at_least_one(rows_b))
        return cue_blas_wrong("ldb %lld is below the %lld rows of B", (long long)r->ldb, (long long)rows_b);
    if (r->ldc < at_least_one(r->m))
        return cue_blas_wrong("ldc %lld is below the %lld rows of C", (long long)r->ldc, (long long)r->m);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_pointers(const request *r, const cue_gemm_call *g)
{
    if (r->alpha == NULL || r->beta == NULL)
        return cue_blas_wrong("%s is NULL", r->alpha == NULL ? "alpha" : "beta");
    if (r->m == 0 || r->n == 0 || r->batch_count == 0)
        return CUBLAS_STATUS_SUCCESS;
    if (r->c == NULL || (r->k > 0 && (r->a == NULL || r->b == NULL)))
        return cue_blas_wrong("%s is NULL", r->c == NULL ? "C" : r->a == NULL ? "A" : "B");
    const cue_matrix *all[] = {&g->a, &g->b, &g->c};
    for (int i = 0; i < 3; i++)
        if ((uintptr_t)all[i]->data % cue_scalar_bytes(all[i]->type) != 0)
            return cue_blas_wrong("%c = %p is not aligned to its elements", "ABC"[i], all[i] -> data);
    for (int i = 0; i < 3; i++)
        if (!cue_mem_is_device(all[i]->data) && (i == 2 || r->k > 0) && !cue_pinned_find(all[i]->data, 1, NULL))
            return cue_blas_wrong("%c = %p is not device memory", "ABC"[i], all[i] -> data);
    return CUBLAS_STATUS_SUCCESS;
}

static cue_scalar_argument scalar(const struct cublasContext *h, const void *value, cue_scalar_type type)
{
    if (h->pointer_mode == CUBLAS_POINTER_MODE_DEVICE)
        return (cue_scalar_argument){.device = value};
    return (cue_scalar_argument){.value = cue_scalar_load(value, type, 0)};
}

static cublasStatus_t submit(cublasHandle_t handle, const request *r)
{
    const struct cublasContext *h = cue_handle_get(handle, CUE_BLAS_HANDLE);
    cue_gemm_call g = {.epilogue = {.kind = CUBLASLT_EPILOGUE_DEFAULT}};
    if (h == NULL)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    cublasStatus_t status = check_shapes(r);
    if (status != CUBLAS_STATUS_SUCCESS)
        return status;
    if (!cue_gemm_types(r->compute, h->math, r->a_type, r->b_type, r->c_type, &g)) {
        cue_blas_wrong("types %d, %d, %d with compute type %d are not in the manual's table, or not implemented here",
                       (int)r->a_type, (int)r->b_type, (int)r->c_type, (int)r->compute);
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    bool ta = r->transa != CUBLAS_OP_N, tb = r->transb != CUBLAS_OP_N;
    g.transa = r->transa, g.transb = r->transb;
    g.m = r->m, g.n = r->n, g.k = r->k, g.batch_count = r->batch_count;
    g.a = (cue_matrix){r->a, g.a.type, ta ? r->k : r->m, ta ? r->m : r->k, r->lda, r->stride_a, false};
    g.b = (cue_matrix){r->b, g.b.type, tb ? r->n : r->k, tb ? r->k : r->n, r->ldb, r->stride_b, false};
    g.c = g.d = (cue_matrix){r->c, g.c.type, r->m, r->n, r->ldc, r->stride_c, false};
    status = check_pointers(r, &g);
    if (status != CUBLAS_STATUS_SUCCESS)
        return status;
    g.alpha = scalar(h, r->alpha, g.scalar_type);
    g.beta = scalar(h, r->beta, g.scalar_type);
    g.workspace = h->workspace;
    g.workspace_bytes = h->workspace_bytes;
    return cue_gemm_submit(h->stream, r->name, &g);
}

static cublasStatus_t enter_and_submit(const char *call, const void *address, cublasHandle_t handle, request r)
{
    cublasStatus_t status = cue_blas_enter(call, address, CUE_DEVICE);
    r.name = call;
    if (r.batch_count == 0 && r.stride_a == 0 && r.stride_b == 0 && r.stride_c == 0)
        r.batch_count = 1; /* the forms without a batch leave it out */
    return cue_blas_leave(status != CUBLAS_STATUS_SUCCESS ? status : submit(handle, &r));
}

#define SHAPE .transa = transa, .transb = transb, .m = m, .n = n, .k = k, .alpha = alpha, .beta = beta
#define MATRICES .a = A, .b = B, .c = C, .lda = lda, .ldb = ldb, .ldc = ldc
#define TYPES(t) .a_type = (t), .b_type = (t), .c_type = (t)
#define EX_TYPES .a_type = a_type, .b_type = b_type, .c_type = c_type, .compute = compute
#define STRIDES .stride_a = stride_a, .stride_b = stride_b, .stride_c = stride_c, .batch_count = batch_count

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                              int k, const float *alpha, const float *A, int lda, const float *B, int ldb,
                              const float *beta, float *C, int ldc)
{
    return enter_and_submit(CUE_HERE, handle,
                            (request){SHAPE, MATRICES, TYPES(CUDA_R_32F), .compute = CUBLAS_COMPUTE_32F});
}

cublasStatus_t cublasSgemm_v2_64(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int64_t m,
                                 int64_t n, int64_t k, const float *alpha, const float *A, int64_t lda, const float *B,
                                 int64_t ldb, const float *beta, float *C, int64_t ldc)
{
    return enter_and_submit(CUE_HERE, handle,
                            (request){SHAPE, MATRICES, TYPES(CUDA_R_32F), .compute = CUBLAS_COMPUTE_32F});
}

cublasStatus_t cublasDgemm_v2(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                              int k, const double *alpha, const double *A, int lda, const double *B, int ldb,
                              const double *beta, double *C, int ldc)
{
    return enter_and_submit(CUE_HERE, handle,
                            (request){SHAPE, MATRICES, TYPES(CUDA_R_64F), .compute = CUBLAS_COMPUTE_64F});
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                            int k, const void *alpha, const void *A, cudaDataType a_type, int lda, const void *B,
                            cudaDataType b_type, int ldb, const void *beta, void *C, cudaDataType c_type, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t algo)
{
    (void)algo; /* a hint */
    return enter_and_submit(CUE_HERE, handle, (request){SHAPE, MATRICES, EX_TYPES});
}

cublasStatus_t cublasGemmEx_64(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int64_t m,
                               int64_t n, int64_t k, const void *alpha, const void *A, cudaDataType a_type, int64_t lda,
                               const void *B, cudaDataType b_type, int64_t ldb, const void *beta, void *C,
                               cudaDataType c_type, int64_t ldc, cublasComputeType_t compute, cublasGemmAlgo_t algo)
{
    (void)algo;
    return enter_and_submit(CUE_HERE, handle, (request){SHAPE, MATRICES, EX_TYPES});
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                         int m, int n, int k, const float *alpha, const float *A, int lda,
                                         long long stride_a, const float *B, int ldb, long long stride_b,
                                         const float *beta, float *C, int ldc, long long stride_c, int batch_count)
{
    return enter_and_submit(CUE_HERE, handle,
                            (request){SHAPE, MATRICES, STRIDES, TYPES(CUDA_R_32F), .compute = CUBLAS_COMPUTE_32F});
}

cublasStatus_t cublasDgemmStridedBatched(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                         int m, int n, int k, const double *alpha, const double *A, int lda,
                                         long long stride_a, const double *B, int ldb, long long stride_b,
                                         const double *beta, double *C, int ldc, long long stride_c, int batch_count)
{
    return enter_and_submit(CUE_HERE, handle,
                            (request){SHAPE, MATRICES, STRIDES, TYPES(CUDA_R_64F), .compute = CUBLAS_COMPUTE_64F});
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                          int m, int n, int k, const void *alpha, const void *A, cudaDataType a_type,
                                          int lda, long long stride_a, const void *B, cudaDataType b_type, int ldb,
                                          long long stride_b, const void *beta, void *C, cudaDataType c_type, int ldc,
                                          long long stride_c, int batch_count, cublasComputeType_t compute,
                                          cublasGemmAlgo_t algo)
{
    (void)algo;
    return enter_and_submit(CUE_HERE, handle, (request){SHAPE, MATRICES, STRIDES, EX_TYPES});
}

cublasStatus_t cublasGemmStridedBatchedEx_64(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                             int64_t m, int64_t n, int64_t k, const void *alpha, const void *A,
                                             cudaDataType a_type, int64_t lda, long long stride_a, const void *B,
                                             cudaDataType b_type, int64_t ldb, long long stride_b, const void *beta,
                                             void *C, cudaDataType c_type, int64_t ldc, long long stride_c,
                                             int64_t batch_count, cublasComputeType_t compute, cublasGemmAlgo_t algo)
{
    (void)algo;
    return enter_and_submit(CUE_HERE, handle, (request){SHAPE, MATRICES, STRIDES, EX_TYPES});
}
