/* expect: out-of-bounds. An index into a thread's own array that is too large. */
#include "kernel.h"

template <bool REPAIRED> __global__ void bins(int *out, const int *in)
{
    int own[8];
    for (int b = 0; b < 8; b++)
        own[b] = b;
    own[in[threadIdx.x] & (REPAIRED ? 7 : 15)] = 5; // FAULT
    int sum = 0;
    for (int b = 0; b < 8; b++)
        sum += own[(b + in[threadIdx.x]) & 7];
    out[threadIdx.x] = sum;
}

SCENARIO(kernel_local_out_of_bounds)
{
    int *out = device_values<int>(THREADS), *in = device_values<int>(THREADS);
    (repaired ? bins<true> : bins<false>)<<<1, THREADS>>>(out, in);
    finish(out, in);
}
