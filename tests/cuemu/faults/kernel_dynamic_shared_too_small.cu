/* expect: out-of-bounds. The launch asks for less shared memory than the kernel uses. */
#include "kernel.h"

template <bool REPAIRED> __global__ void turn(float *out, const float *in)
{
    extern __shared__ float s[];
    s[threadIdx.x] = in[threadIdx.x]; // FAULT
    __syncthreads();
    out[threadIdx.x] = s[THREADS - 1 - threadIdx.x];
}

SCENARIO(kernel_dynamic_shared_too_small)
{
    float *out = device_values<float>(THREADS), *in = device_values<float>(THREADS);
    size_t bytes = THREADS * sizeof(float);
    (repaired ? turn<true> : turn<false>)<<<1, THREADS, repaired ? bytes : bytes - 4>>>(out, in);
    finish(out, in);
}
