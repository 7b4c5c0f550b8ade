/* expect: race-shared or uninitialised. Lanes exchange through shared memory and trust that a warp runs in step. */
#include "kernel.h"

template <bool REPAIRED> __global__ void neighbours(float *out, const float *in)
{
    __shared__ float s[32];
    s[threadIdx.x] = in[threadIdx.x]; // FAULT
    if (REPAIRED)
        __syncwarp();
    out[threadIdx.x] = s[threadIdx.x ^ 1]; // FAULT
}

SCENARIO(kernel_missing_syncwarp)
{
    float *out = device_values<float>(32), *in = device_values<float>(32);
    (repaired ? neighbours<true> : neighbours<false>)<<<1, 32>>>(out, in);
    finish(out, in);
}
