/* expect: uninitialised. The second stage sums more partial sums than the first one made. */
#include "kernel.h"

__global__ void first(float *partial, const float *in)
{
    if (threadIdx.x == 0)
        partial[blockIdx.x] = in[blockIdx.x * THREADS];
}

template <bool REPAIRED> __global__ void second(float *out, const float *partial)
{
    float sum = 0;
    for (int b = 0; b < (REPAIRED ? BLOCKS : BLOCKS + 3); b++)
        sum += partial[b]; // FAULT
    out[0] = sum;
}

SCENARIO(kernel_partials_that_nobody_wrote)
{
    float *in = device_values<float>(COUNT), *partial = device_values<float>(2 * BLOCKS, false);
    first<<<BLOCKS, THREADS>>>(partial, in);
    (repaired ? second<true> : second<false>)<<<1, 1>>>(in, partial);
    finish(in, partial);
}
