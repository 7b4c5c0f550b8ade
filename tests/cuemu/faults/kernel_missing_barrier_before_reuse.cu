/* expect: race-shared. The next tile overwrites the last one while others still read it. */
#include "kernel.h"

template <bool REPAIRED> __global__ void sums(float *out, const float *in)
{
    __shared__ float tile[THREADS];
    float sum = 0;
    for (unsigned b = 0; b < BLOCKS; b++) {
        tile[threadIdx.x] = in[b * THREADS + threadIdx.x]; // FAULT
        __syncthreads();
        sum += tile[THREADS - 1 - threadIdx.x]; // FAULT
        if (REPAIRED)
            __syncthreads();
    }
    out[threadIdx.x] = sum;
}

SCENARIO(kernel_missing_barrier_before_reuse)
{
    float *out = device_values<float>(THREADS), *in = device_values<float>(COUNT);
    (repaired ? sums<true> : sums<false>)<<<1, THREADS>>>(out, in);
    finish(out, in);
}
