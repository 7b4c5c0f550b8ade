/* expect: out-of-bounds. m and k are exchanged: the GEMM reads behind A. */
#include "host.h"

void scenario(void)
{
    enum { M = 24, N = 8, K = 40 };
    float *a = device_floats(M * K), *b = device_floats(K * N), *c = device_floats(M * N);
    const float one = 1, zero = 0;
    cublasHandle_t h;
    MUST(cublasCreate(&h));
#ifdef REPAIRED
    int lda = M;
#else
    int lda = K;
#endif
    MUST(cublasSgemm(h, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &one, a, lda, b, K, &zero, c, M)); /* FAULT */
    (void)cudaDeviceSynchronize();
    (void)cublasDestroy(h);
    (void)cudaFree(a);
    (void)cudaFree(b);
    (void)cudaFree(c);
}
