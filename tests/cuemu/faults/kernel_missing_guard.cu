/* expect: out-of-bounds. The last block is not full, and nobody asks whether i is below n. */
#include "kernel.h"

template <bool REPAIRED> __global__ void scale(float *out, unsigned n)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (!REPAIRED || i < n)
        out[i] = 2.0f * (float)i; // FAULT
}

SCENARIO(kernel_missing_guard)
{
    float *out = device_values<float>(COUNT - 3);
    (repaired ? scale<true> : scale<false>)<<<BLOCKS, THREADS>>>(out, COUNT - 3);
    finish(out);
}
