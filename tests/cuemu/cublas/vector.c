/* vector.c: the few vector operations of cuBLAS in f32 that a training step may use: nrm2, asum, dot, axpy, scal,
 * gemv, ger. Sums are made in double and rounded once. A result on the host makes the call wait, as the manual says. */
#include "cublas/blas.h"

#include <math.h>

typedef enum operation { NRM2, ASUM, DOT, AXPY, SCAL, GEMV, GER } operation;

typedef struct vector_call {
    operation operation;
    int64_t n, m; /* m: rows of A */
    float *x, *y, *a, *result;
    int64_t incx, incy, lda;
    bool transposed;
    cue_scalar_argument alpha, beta;
} vector_call;

/* BLAS starts at the far end where the increment is negative. */
static float *element(float *v, int64_t increment, int64_t count, int64_t i)
{
    return v + (increment >= 0 ? i : i - (count - 1)) * increment;
}

static cue_error access_vector(cue_op_id op, float *v, int64_t increment, int64_t count, cue_access access,
                               const char *what)
{
    cue_error error = CUE_SUCCESS;
    if (increment == 1)
        return cue_mem_access(op, v, (size_t)count * sizeof *v, access, what);
    for (int64_t i = 0; i < count && error == CUE_SUCCESS; i++)
        error = cue_mem_access(op, element(v, increment, count, i), sizeof *v, access, what);
    return error;
}

static cue_error load_scalar(cue_op_id op, const cue_scalar_argument *s, double *out)
{
    *out = s->value;
    if (s->device == NULL)
        return CUE_SUCCESS;
    cue_error error = cue_mem_access(op, s->device, sizeof(float), CUE_READ, "cuBLAS scalar");
    if (error == CUE_SUCCESS) {
        cue_mem_unlock();
        *out = (double)*(const float *)s->device;
        cue_mem_lock();
    }
    return error;
}

static int64_t length_x(const vector_call *c)
{
    return c->operation == GER || (c->operation == GEMV && c->transposed) ? c->m : c->n;
}

static int64_t length_y(const vector_call *c)
{
    return c->operation == GEMV && !c->transposed ? c->m : c->n;
}

static cue_error check_memory(cue_op_id op, const vector_call *c, double beta)
{
    cue_matrix a = {c->a, CUE_F32, c->m, c->n, c->lda, 0, false};
    cue_error error = access_vector(op, c->x, c->incx, length_x(c), CUE_READ, "cuBLAS x");
    if (error == CUE_SUCCESS && c->y != NULL && (c->operation != GEMV || beta != 0))
        error = access_vector(op, c->y, c->incy, length_y(c), CUE_READ, "cuBLAS y");
    if (error == CUE_SUCCESS && c->a != NULL)
        error = cue_matrix_access(op, &a, 0, CUE_READ, "cuBLAS A");
    if (error == CUE_SUCCESS && c->operation == GER)
        error = cue_matrix_access(op, &a, 0, CUE_WRITE, "cuBLAS A");
    if (error == CUE_SUCCESS && (c->operation == AXPY || c->operation == GEMV))
        error = access_vector(op, c->y, c->incy, length_y(c), CUE_WRITE, "cuBLAS y");
    if (error == CUE_SUCCESS && c->operation == SCAL)
        error = access_vector(op, c->x, c->incx, c->n, CUE_WRITE, "cuBLAS x");
    if (error == CUE_SUCCESS && c->result != NULL)
        error = cue_mem_access(op, c->result, sizeof *c->result, CUE_WRITE, "cuBLAS result");
    return error;
}

static double reduce(const vector_call *c)
{
    double sum = 0;
    for (int64_t i = 0; i < c->n; i++) {
        double x = (double)*element(c->x, c->incx, c->n, i);
        sum += c->operation == ASUM   ? fabs(x)
               : c->operation == NRM2 ? x * x
                                      : x * (double)*element(c->y, c->incy, c->n, i);
    }
    return c->operation == NRM2 ? sqrt(sum) : sum;
}

static void multiply(const vector_call *c, double alpha, double beta)
{
    for (int64_t i = 0; i < length_y(c); i++) {
        double sum = 0;
        for (int64_t j = 0; j < length_x(c); j++)
            sum += (double)(c->transposed ? c->a[i * c->lda + j] : c->a[j * c->lda + i]) *
                   (double)*element(c->x, c->incx, length_x(c), j);
        float *y = element(c->y, c->incy, length_y(c), i);
        *y = (float)(alpha * sum + (beta != 0 ? beta * (double)*y : 0));
    }
}

static void compute(const vector_call *c, double alpha, double beta)
{
    switch (c->operation) {
    case NRM2:
    case ASUM:
    case DOT:
        *c->result = (float)reduce(c);
        break;
    case AXPY:
        for (int64_t i = 0; i < c->n; i++) {
            float *y = element(c->y, c->incy, c->n, i);
            *y = (float)(alpha * (double)*element(c->x, c->incx, c->n, i) + (double)*y);
        }
        break;
    case SCAL:
        for (int64_t i = 0; i < c->n; i++)
            *element(c->x, c->incx, c->n, i) *= (float)alpha;
        break;
    case GEMV:
        multiply(c, alpha, beta);
        break;
    case GER:
        for (int64_t j = 0; j < c->n; j++)
            for (int64_t i = 0; i < c->m; i++)
                c->a[j * c->lda + i] = (float)(alpha * (double)*element(c->x, c->incx, c->m, i) *
                                                   (double)*element(c->y, c->incy, c->n, j) +
                                               (double)c->a[j * c->lda + i]);
        break;
    }
}

static void run_vector(cue_op_id op, const void *payload, size_t bytes)
{
    (void)bytes;
    const vector_call *c = payload;
    double alpha = 0, beta = 0;
    cue_error error = load_scalar(op, &c->alpha, &alpha);
    if (error == CUE_SUCCESS)
        error = load_scalar(op, &c->beta, &beta);
    if (error == CUE_SUCCESS)
        error = check_memory(op, c, beta);
    if (error != CUE_SUCCESS) {
        cue_set_sticky_error((cudaError_t)error);
        return;
    }
    cue_mem_unlock();
    compute(c, alpha, beta);
    cue_mem_lock();
}

/* submit: the handle's modes, the argument checks that all share, and the wait for a result on the host. */
static cublasStatus_t submit(const char *call, const void *address, cublasHandle_t handle, vector_call c,
                             const float *alpha, const float *beta)
{
    cublasStatus_t status = cue_blas_enter(call, address, CUE_DEVICE);
    if (status != CUBLAS_STATUS_SUCCESS)
        return cue_blas_leave(status);
    const struct cublasContext *h = cue_handle_get(handle, CUE_BLAS_HANDLE);
    bool reduces = c.operation <= DOT, on_host = false;
    if (h == NULL)
        status = CUBLAS_STATUS_NOT_INITIALIZED;
    else if (c.operation >= GEMV && (c.m < 0 || c.n < 0 || c.lda < (c.m > 1 ? c.m : 1)))
        status = cue_blas_wrong("m %lld, n %lld, lda %lld", (long long)c.m, (long long)c.n, (long long)c.lda);
    else if (c.operation >= GEMV && (c.incx == 0 || c.incy == 0))
        status = cue_blas_wrong("an increment is 0");
    else if ((reduces && c.result == NULL) || (!reduces && alpha == NULL) || (c.operation == GEMV && beta == NULL))
        status = cue_blas_wrong("a scalar is NULL");
    if (status == CUBLAS_STATUS_SUCCESS) {
        bool device = h->pointer_mode == CUBLAS_POINTER_MODE_DEVICE;
        on_host = reduces && !device;
        if (alpha != NULL)
            c.alpha = device ? (cue_scalar_argument){.device = alpha} : (cue_scalar_argument){.value = (double)*alpha};
        if (beta != NULL)
            c.beta = device ? (cue_scalar_argument){.device = beta} : (cue_scalar_argument){.value = (double)*beta};
        if (c.n <= 0 && reduces && on_host)
            *c.result = 0;
        else if (c.n > 0 && (c.operation < GEMV || c.m > 0))
            status = cue_blas_submit(h->stream, call, run_vector, &c, sizeof c);
    }
    if (status == CUBLAS_STATUS_SUCCESS && on_host && c.n > 0) {
        cue_count("synchronisations", 1);
        struct CUstream_st *stream = cue_stream_find(h->stream);
        if (cue_capture_check_stream_wait(stream) != cudaSuccess)
            return cue_blas_leave(CUBLAS_STATUS_EXECUTION_FAILED);
        cue_stream_wait_now(stream);
    }
    return cue_blas_leave(status);
}

cublasStatus_t cublasSnrm2_v2(cublasHandle_t handle, int n, const float *x, int incx, float *result)
{
    return submit(CUE_HERE, handle,
                  (vector_call){.operation = NRM2, .n = n, .x = (float *)(uintptr_t)x, .incx = incx, .result = result},
                  NULL, NULL);
}

cublasStatus_t cublasSasum_v2(cublasHandle_t handle, int n, const float *x, int incx, float *result)
{
    return submit(CUE_HERE, handle,
                  (vector_call){.operation = ASUM, .n = n, .x = (float *)(uintptr_t)x, .incx = incx, .result = result},
                  NULL, NULL);
}

cublasStatus_t cublasSdot_v2(cublasHandle_t handle, int n, const float *x, int incx, const float *y, int incy,
                             float *result)
{
    return submit(CUE_HERE, handle,
                  (vector_call){.operation = DOT,
                                .n = n,
                                .x = (float *)(uintptr_t)x,
                                .incx = incx,
                                .y = (float *)(uintptr_t)y,
                                .incy = incy,
                                .result = result},
                  NULL, NULL);
}

cublasStatus_t cublasSaxpy_v2(cublasHandle_t handle, int n, const float *alpha, const float *x, int incx, float *y,
                              int incy)
{
    return submit(
        CUE_HERE, handle,
        (vector_call){.operation = AXPY, .n = n, .x = (float *)(uintptr_t)x, .incx = incx, .y = y, .incy = incy}, alpha,
        NULL);
}

cublasStatus_t cublasSscal_v2(cublasHandle_t handle, int n, const float *alpha, float *x, int incx)
{
    return submit(CUE_HERE, handle, (vector_call){.operation = SCAL, .n = n, .x = x, .incx = incx}, alpha, NULL);
}

cublasStatus_t cublasSgemv_v2(cublasHandle_t handle, cublasOperation_t trans, int m, int n, const float *alpha,
                              const float *A, int lda, const float *x, int incx, const float *beta, float *y, int incy)
{
    return submit(CUE_HERE, handle,
                  (vector_call){.operation = GEMV,
                                .m = m,
                                .n = n,
                                .a = (float *)(uintptr_t)A,
                                .lda = lda,
                                .x = (float *)(uintptr_t)x,
                                .incx = incx,
                                .y = y,
                                .incy = incy,
                                .transposed = trans != CUBLAS_OP_N},
                  alpha, beta);
}

cublasStatus_t cublasSger_v2(cublasHandle_t handle, int m, int n, const float *alpha, const float *x, int incx,
                             const float *y, int incy, float *A, int lda)
{
    return submit(CUE_HERE, handle,
                  (vector_call){.operation = GER,
                                .m = m,
                                .n = n,
                                .a = A,
                                .lda = lda,
                                .x = (float *)(uintptr_t)x,
                                .incx = incx,
                                .y = (float *)(uintptr_t)y,
                                .incy = incy},
                  alpha, NULL);
}
