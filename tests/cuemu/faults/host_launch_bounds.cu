/* expect: launch. More threads than the kernel's __launch_bounds__ promise. */
#include "host.h"

static __global__ void __launch_bounds__(128) fill(float *x, int n)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n)
        x[i] = 1;
}

extern "C" void scenario(void)
{
    float *x = device_floats(COUNT);
#ifdef REPAIRED
    int threads = 128;
#else
    int threads = 256;
#endif
    fill<<<(COUNT + threads - 1) / threads, threads>>>(x, COUNT); /* FAULT */
    (void)cudaGetLastError();
    MUST(cudaDeviceSynchronize());
    MUST(cudaFree(x));
}
