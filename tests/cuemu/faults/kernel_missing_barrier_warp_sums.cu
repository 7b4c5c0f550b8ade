/* expect: race-shared or uninitialised. The first warp reads the sums of the others before they are there. */
#include "kernel.h"

template <bool REPAIRED> __global__ void sum(float *out, const float *in)
{
    __shared__ float sums[THREADS / 32];
    float v = in[threadIdx.x];
    for (int d = 16; d > 0; d /= 2)
        v += __shfl_xor_sync(~0u, v, d);
    if (threadIdx.x % 32 == 0)
        sums[threadIdx.x / 32] = v; // FAULT
    if (REPAIRED)
        __syncthreads();
    else
        __syncwarp();
    if (threadIdx.x == 0)
        for (int w = 1; w < THREADS / 32; w++)
            v += sums[w]; // FAULT
    if (threadIdx.x == 0)
        out[0] = v;
}

SCENARIO(kernel_missing_barrier_warp_sums)
{
    float *out = device_values<float>(1), *in = device_values<float>(COUNT);
    (repaired ? sum<true> : sum<false>)<<<1, THREADS>>>(out, in);
    finish(out, in);
}
