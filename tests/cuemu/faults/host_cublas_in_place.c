/* expect: blas. The result of a GEMM overwrites its operand. */
#include "host.h"

void scenario(void)
{
    enum { N = 16 };
    float *a = device_floats(N * N), *b = device_floats(N * N);
    const float one = 1, zero = 0;
    cublasHandle_t h;
    MUST(cublasCreate(&h));
#ifdef REPAIRED
    float *c = b;
#else
    float *c = a;
#endif
    MUST(cublasSgemm(h, CUBLAS_OP_N, CUBLAS_OP_N, N, N, N, &one, a, N, a, N, &zero, c, N)); /* FAULT */
    MUST(cudaDeviceSynchronize());
    MUST(cublasDestroy(h));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
}
