/* expect: race-stream. The cuBLAS handle was left on the default stream. */
#include "host.h"

void scenario(void)
{
    enum { N = 16 };
    float *a = device_floats(N * N), *c = device_floats(N * N);
    const float one = 1, zero = 0;
    cudaStream_t s = new_stream();
    cublasHandle_t h;
    MUST(cublasCreate(&h));
#ifdef REPAIRED
    MUST(cublasSetStream(h, s));
#endif
    MUST(cudaMemsetAsync(a, 0, N * N * sizeof *a, s));
    MUST(cublasSgemm(h, CUBLAS_OP_N, CUBLAS_OP_T, N, N, N, &one, a, N, a, N, &zero, c, N)); /* FAULT */
    MUST(cudaDeviceSynchronize());
    MUST(cublasDestroy(h));
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
    MUST(cudaFree(c));
}
