/* expect: blas. lda counts the columns, as in row-major code, and is below the rows. */
#include "host.h"

void scenario(void)
{
    enum { M = 24, K = 8 };
    float *a = device_floats(M * K), *b = device_floats(K * K), *c = device_floats(M * K);
    const float one = 1, zero = 0;
    cublasHandle_t h;
#ifdef REPAIRED
    int lda = M;
#else
    int lda = K;
#endif
    MUST(cublasCreate(&h));
    (void)cublasSgemm(h, CUBLAS_OP_N, CUBLAS_OP_N, M, K, K, &one, a, lda, b, K, &zero, c, M); /* FAULT */
    MUST(cudaDeviceSynchronize());
    MUST(cublasDestroy(h));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
    MUST(cudaFree(c));
}
