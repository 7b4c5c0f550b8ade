/* expect: device-trap. A case that must not happen, happens. */
#include "kernel.h"

template <bool REPAIRED> __global__ void apply(float *out, int kind)
{
    float v = out[threadIdx.x];
    if (kind == 0)
        v *= 2;
    else if (kind == 1)
        v += 1;
    else
        asm volatile("trap;"); // FAULT
    out[threadIdx.x] = v;
}

SCENARIO(kernel_trap)
{
    float *out = device_values<float>(THREADS);
    (repaired ? apply<true> : apply<false>)<<<1, THREADS>>>(out, repaired ? 1 : 2);
    finish(out);
}
