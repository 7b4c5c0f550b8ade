/* expect: race-global. Threads of one block count into the same bins with a plain increment. */
#include "kernel.h"

template <bool REPAIRED> __global__ void histogram(int *bins, const int *in)
{
    int bin = in[threadIdx.x] & 7;
    if (REPAIRED)
        atomicAdd(&bins[bin], 1);
    else
        bins[bin]++; // FAULT
}

SCENARIO(kernel_plain_histogram)
{
    int *bins = device_values<int>(8), *in = device_values<int>(THREADS);
    (repaired ? histogram<true> : histogram<false>)<<<1, THREADS>>>(bins, in);
    finish(bins, in);
}
