/* expect: use-after-free. The kernel reads a buffer that was released. */
#include "kernel.h"

template <bool REPAIRED> __global__ void copy(float *out, const float *in)
{
    out[threadIdx.x] = in[threadIdx.x]; // FAULT
}

SCENARIO(kernel_freed_before_the_launch)
{
    float *out = device_values<float>(THREADS), *in = device_values<float>(THREADS);
    if (!repaired)
        must(cudaFree(in));
    (repaired ? copy<true> : copy<false>)<<<1, THREADS>>>(out, in);
    finish(out, repaired ? in : nullptr);
}
