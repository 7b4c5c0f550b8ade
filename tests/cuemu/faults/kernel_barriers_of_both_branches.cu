/* expect: barrier-divergence. Each branch has a barrier of its own, and threads of one block take both. */
#include "kernel.h"

template <bool REPAIRED> __global__ void pass(float *out, const float *in)
{
    __shared__ float s[THREADS];
    s[threadIdx.x] = in[threadIdx.x];
    unsigned who = REPAIRED ? blockIdx.x : threadIdx.x / 64;
    if (who == 0) {
        __syncthreads(); // FAULT
        out[threadIdx.x] = s[threadIdx.x ^ 64];
    } else {
        out[threadIdx.x] = s[threadIdx.x];
        __syncthreads(); // FAULT
    }
}

SCENARIO(kernel_barriers_of_both_branches)
{
    float *out = device_values<float>(THREADS), *in = device_values<float>(THREADS);
    (repaired ? pass<true> : pass<false>)<<<1, THREADS>>>(out, in);
    finish(out, in);
}
