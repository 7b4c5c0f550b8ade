/* expect: host-address. The kernel is given an array of the host. */
#include "kernel.h"

template <bool REPAIRED> __global__ void copy(float *out, const float *in)
{
    out[threadIdx.x] = in[threadIdx.x]; // FAULT
}

SCENARIO(kernel_host_pointer)
{
    static float numbers[THREADS];
    float *out = device_values<float>(THREADS), *in = device_values<float>(THREADS);
    (repaired ? copy<true> : copy<false>)<<<1, THREADS>>>(out, repaired ? in : numbers);
    finish(out, in);
}
