/* expect: race-stream. Two streams use one cuBLAS workspace at the same time. */
#include "host.h"

void scenario(void)
{
    enum { N = 16, WORKSPACE = 1 << 16 };
    float *a = device_floats(N * N), *c = device_floats(N * N), *d = device_floats(N * N);
    float *workspace = device_floats(2 * WORKSPACE / sizeof(float)), *second = workspace;
    const float one = 1, zero = 0;
    cudaStream_t s = new_stream(), t = new_stream();
    cublasHandle_t h;
#ifdef REPAIRED
    second = workspace + WORKSPACE / sizeof(float);
#endif
    MUST(cublasCreate(&h));
    MUST(cublasSetStream(h, s));
    MUST(cublasSetWorkspace(h, workspace, WORKSPACE));
    MUST(cublasSgemm(h, CUBLAS_OP_N, CUBLAS_OP_N, N, N, N, &one, a, N, a, N, &zero, c, N));
    MUST(cublasSetStream(h, t));
    MUST(cublasSetWorkspace(h, second, WORKSPACE));
    MUST(cublasSgemm(h, CUBLAS_OP_N, CUBLAS_OP_N, N, N, N, &one, a, N, a, N, &zero, d, N)); /* FAULT */
    MUST(cudaDeviceSynchronize());
    MUST(cublasDestroy(h));
    MUST(cudaStreamDestroy(s));
    MUST(cudaStreamDestroy(t));
    MUST(cudaFree(a));
    MUST(cudaFree(c));
    MUST(cudaFree(d));
    MUST(cudaFree(workspace));
}
