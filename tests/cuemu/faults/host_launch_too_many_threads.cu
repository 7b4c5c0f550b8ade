/* expect: launch. A block of 2048 threads; a block has at most 1024. */
#include "host.h"

static __global__ void fill(float *x, int n)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n)
        x[i] = 1;
}

extern "C" void scenario(void)
{
    float *x = device_floats(COUNT);
#ifdef REPAIRED
    int threads = 256;
#else
    int threads = 2048;
#endif
    fill<<<(COUNT + threads - 1) / threads, threads>>>(x, COUNT); /* FAULT */
    (void)cudaGetLastError();
    MUST(cudaDeviceSynchronize());
    MUST(cudaFree(x));
}
