/* expect: out-of-bounds. An optional output that is not asked for is written all the same. */
#include "kernel.h"

template <bool REPAIRED> __global__ void scale(float *out, float *copy)
{
    float v = out[threadIdx.x] * 2;
    out[threadIdx.x] = v;
    if (!REPAIRED || copy != nullptr)
        copy[threadIdx.x] = v; // FAULT
}

SCENARIO(kernel_null_pointer)
{
    float *out = device_values<float>(THREADS);
    (repaired ? scale<true> : scale<false>)<<<1, THREADS>>>(out, nullptr);
    finish(out);
}
