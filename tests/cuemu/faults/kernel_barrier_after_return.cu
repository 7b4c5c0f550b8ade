/* expect: barrier-divergence. Threads past the end return, the others wait for them. */
#include "kernel.h"

template <bool REPAIRED> __global__ void turn(float *out, const float *in, unsigned n)
{
    __shared__ float s[THREADS];
    unsigned i = threadIdx.x;
    if (!REPAIRED && i >= n)
        return;
    s[i] = in[i];
    __syncthreads(); // FAULT
    if (i < n)
        out[i] = s[n - 1 - i];
}

SCENARIO(kernel_barrier_after_return)
{
    float *out = device_values<float>(THREADS), *in = device_values<float>(THREADS);
    (repaired ? turn<true> : turn<false>)<<<1, THREADS>>>(out, in, 70);
    finish(out, in);
}
