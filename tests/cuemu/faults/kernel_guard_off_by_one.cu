/* expect: out-of-bounds. The guard lets one element too many through. */
#include "kernel.h"

template <bool REPAIRED> __global__ void scale(float *out, const float *in, unsigned n)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (REPAIRED ? i < n : i <= n)
        out[i] = 2.0f * in[i]; // FAULT
}

SCENARIO(kernel_guard_off_by_one)
{
    float *out = device_values<float>(COUNT), *in = device_values<float>(COUNT - 1);
    (repaired ? scale<true> : scale<false>)<<<BLOCKS, THREADS>>>(out, in, COUNT - 1);
    finish(out, in);
}
