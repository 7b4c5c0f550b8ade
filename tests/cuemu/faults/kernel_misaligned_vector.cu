/* expect: misaligned. A row of 33 floats does not begin at a multiple of 16 bytes. */
#include "kernel.h"

template <bool REPAIRED> __global__ void sums(float *out, const float *in)
{
    const float *row = in + threadIdx.x * (REPAIRED ? 36 : 33);
    float4 v = *(const float4 *)row; // FAULT
    out[threadIdx.x] = v.x + v.y + v.z + v.w;
}

SCENARIO(kernel_misaligned_vector)
{
    float *out = device_values<float>(8), *in = device_values<float>(8 * 36);
    (repaired ? sums<true> : sums<false>)<<<1, 8>>>(out, in);
    finish(out, in);
}
