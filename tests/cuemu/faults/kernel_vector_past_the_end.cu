/* expect: out-of-bounds. Four floats at a time, and the count is no multiple of four. */
#include "kernel.h"

template <bool REPAIRED> __global__ void sums(float *out, const float *in, unsigned n)
{
    unsigned i = 4 * threadIdx.x;
    if (i >= n)
        return;
    float sum = 0;
    if (!REPAIRED || i + 4 <= n) {
        float4 v = *(const float4 *)(in + i); // FAULT
        sum = v.x + v.y + v.z + v.w;
    } else {
        for (unsigned k = i; k < n; k++)
            sum += in[k];
    }
    out[threadIdx.x] = sum;
}

SCENARIO(kernel_vector_past_the_end)
{
    float *out = device_values<float>(THREADS), *in = device_values<float>(4 * 20 + 3);
    (repaired ? sums<true> : sums<false>)<<<1, THREADS>>>(out, in, 4 * 20 + 3);
    finish(out, in);
}
