/* expect: launch. No element, so no block: CUDA refuses an empty grid. */
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
    int n = 0;
#ifdef REPAIRED
    if (n > 0)
#endif
        fill<<<(n + 255) / 256, 256>>>(x, n); /* FAULT */
    (void)cudaGetLastError();
    MUST(cudaFree(x));
}
