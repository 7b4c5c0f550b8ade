/* expect: race-global. Blocks add to one number without an atomic. */
#include "kernel.h"

template <bool REPAIRED> __global__ void sum(float *out, const float *in)
{
    float v = in[blockIdx.x * THREADS];
    if (threadIdx.x == 0) {
        if (REPAIRED)
            atomicAdd(out, v);
        else
            *out += v; // FAULT
    }
}

SCENARIO(kernel_plain_sum_of_blocks)
{
    float *out = device_values<float>(1), *in = device_values<float>(COUNT);
    (repaired ? sum<true> : sum<false>)<<<BLOCKS, THREADS>>>(out, in);
    finish(out, in);
}
