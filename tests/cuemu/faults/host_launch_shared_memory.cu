/* expect: launch. 64 KiB of dynamic shared memory without the opt-in. */
#include "host.h"

static __global__ void last(float *x, int n)
{
    extern __shared__ float buffer[];
    buffer[n - 1] = 1;
    x[0] = buffer[n - 1];
}

extern "C" void scenario(void)
{
    const int bytes = 64 * 1024;
    float *x = device_floats(COUNT);
#ifdef REPAIRED
    MUST(cudaFuncSetAttribute(last, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
#endif
    last<<<1, 1, bytes>>>(x, bytes / 4); /* FAULT */
    (void)cudaGetLastError();
    MUST(cudaDeviceSynchronize());
    MUST(cudaFree(x));
}
