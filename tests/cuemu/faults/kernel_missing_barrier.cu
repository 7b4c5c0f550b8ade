/* expect: race-shared or uninitialised. Threads read what their neighbours store, with no barrier between. */
#include "kernel.h"

template <bool REPAIRED> __global__ void turn(float *out, const float *in)
{
    __shared__ float tile[THREADS];
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    tile[threadIdx.x] = in[i]; // FAULT
    if (REPAIRED)
        __syncthreads();
    out[i] = tile[THREADS - 1 - threadIdx.x]; // FAULT
}

SCENARIO(kernel_missing_barrier)
{
    float *out = device_values<float>(COUNT), *in = device_values<float>(COUNT);
    (repaired ? turn<true> : turn<false>)<<<BLOCKS, THREADS>>>(out, in);
    finish(out, in);
}
