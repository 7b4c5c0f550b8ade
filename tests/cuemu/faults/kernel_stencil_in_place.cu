/* expect: race-global. A stencil reads its neighbours' cells while they write them. */
#include "kernel.h"

template <bool REPAIRED> __global__ void smooth(float *out, const float *in)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    float left = i > 0 ? in[i - 1] : 0; // FAULT
    out[i] = 0.5f * left;               // FAULT
}

SCENARIO(kernel_stencil_in_place)
{
    float *out = device_values<float>(COUNT), *in = device_values<float>(COUNT);
    (repaired ? smooth<true> : smooth<false>)<<<BLOCKS, THREADS>>>(repaired ? out : in, in);
    finish(out, in);
}
