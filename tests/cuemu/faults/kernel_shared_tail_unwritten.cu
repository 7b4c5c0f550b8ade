/* expect: uninitialised. Idle threads of the last block leave their place in shared memory unwritten. */
#include "kernel.h"

template <bool REPAIRED> __global__ void sum(float *out, const float *in, unsigned n)
{
    __shared__ float s[THREADS];
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i < n)
        s[threadIdx.x] = in[i];
    else if (REPAIRED)
        s[threadIdx.x] = 0;
    __syncthreads();
    for (unsigned w = THREADS / 2; w > 0; w /= 2) {
        if (threadIdx.x < w)
            s[threadIdx.x] += s[threadIdx.x + w]; // FAULT
        __syncthreads();
    }
    if (threadIdx.x == 0)
        out[blockIdx.x] = s[0];
}

SCENARIO(kernel_shared_tail_unwritten)
{
    float *out = device_values<float>(BLOCKS), *in = device_values<float>(COUNT);
    (repaired ? sum<true> : sum<false>)<<<BLOCKS, THREADS>>>(out, in, COUNT - 7);
    finish(out, in);
}
