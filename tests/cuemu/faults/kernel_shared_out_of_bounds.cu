/* expect: out-of-bounds. A tile with a halo on both sides, and room for one. */
#include "kernel.h"

template <bool REPAIRED> __global__ void halo(float *out, const float *in)
{
    __shared__ float s[THREADS + (REPAIRED ? 2 : 1)];
    s[threadIdx.x + 1] = in[threadIdx.x]; // FAULT
    if (threadIdx.x == 0)
        s[0] = 0;
    if (threadIdx.x == THREADS - 1)
        s[THREADS + 1] = 0; // FAULT
    __syncthreads();
    out[threadIdx.x] = s[threadIdx.x] + s[threadIdx.x + 2]; // FAULT
}

SCENARIO(kernel_shared_out_of_bounds)
{
    float *out = device_values<float>(THREADS), *in = device_values<float>(THREADS);
    (repaired ? halo<true> : halo<false>)<<<1, THREADS>>>(out, in);
    finish(out, in);
}
