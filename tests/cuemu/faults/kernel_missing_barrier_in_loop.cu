/* expect: race-shared. A tree reduction without the barrier between its levels. */
#include "kernel.h"

template <bool REPAIRED> __global__ void sum(float *out, const float *in)
{
    __shared__ float s[THREADS];
    s[threadIdx.x] = in[blockIdx.x * THREADS + threadIdx.x];
    __syncthreads();
    for (unsigned w = THREADS / 2; w > 0; w /= 2) {
        if (threadIdx.x < w)
            s[threadIdx.x] += s[threadIdx.x + w]; // FAULT
        if (REPAIRED)
            __syncthreads();
    }
    if (threadIdx.x == 0)
        out[blockIdx.x] = s[0];
}

SCENARIO(kernel_missing_barrier_in_loop)
{
    float *out = device_values<float>(BLOCKS), *in = device_values<float>(COUNT);
    (repaired ? sum<true> : sum<false>)<<<BLOCKS, THREADS>>>(out, in);
    finish(out, in);
}
