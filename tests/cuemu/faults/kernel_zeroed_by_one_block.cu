/* expect: race-global. Block 0 clears the sum that the other blocks add to. */
#include "kernel.h"

template <bool REPAIRED> __global__ void sum(float *out, const float *in)
{
    if (!REPAIRED && blockIdx.x == 0 && threadIdx.x == 0)
        *out = 0; // FAULT
    __syncthreads();
    atomicAdd(out, in[blockIdx.x * THREADS + threadIdx.x]); // FAULT
}

SCENARIO(kernel_zeroed_by_one_block)
{
    float *out = device_values<float>(1), *in = device_values<float>(COUNT);
    must(cudaMemset(out, 0, sizeof *out));
    (repaired ? sum<true> : sum<false>)<<<BLOCKS, THREADS>>>(out, in);
    finish(out, in);
}
