/* expect: out-of-bounds. The first thread reads what lies before the array. */
#include "kernel.h"

template <bool REPAIRED> __global__ void differences(float *out, const float *in)
{
    int i = blockIdx.x * THREADS + threadIdx.x;
    float left = !REPAIRED || i > 0 ? in[i - 1] : 0; // FAULT
    out[i] = in[i] - left;
}

SCENARIO(kernel_left_of_the_first)
{
    float *out = device_values<float>(COUNT), *in = device_values<float>(COUNT);
    (repaired ? differences<true> : differences<false>)<<<BLOCKS, THREADS>>>(out, in);
    finish(out, in);
}
