/* expect: uninitialised. Adds to a gradient that nobody cleared. */
#include "kernel.h"

template <bool REPAIRED> __global__ void accumulate(float *gradient, const float *delta)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    gradient[i] += delta[i]; // FAULT
}

SCENARIO(kernel_accumulates_into_nothing)
{
    float *gradient = device_values<float>(COUNT, false), *delta = device_values<float>(COUNT);
    if (repaired)
        must(cudaMemset(gradient, 0, COUNT * sizeof *gradient));
    (repaired ? accumulate<true> : accumulate<false>)<<<BLOCKS, THREADS>>>(gradient, delta);
    finish(gradient, delta);
}
