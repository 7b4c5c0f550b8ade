/* expect: deadlock. A named barrier for two warps, and one comes. */
#include "kernel.h"

template <bool REPAIRED> __global__ void meet(float *out)
{
    if (threadIdx.x < (REPAIRED ? 64 : 32))
        asm volatile("bar.sync 1, 64;" ::: "memory"); // FAULT
    out[threadIdx.x] = 1;
}

SCENARIO(kernel_barrier_nobody_joins)
{
    float *out = device_values<float>(THREADS);
    (repaired ? meet<true> : meet<false>)<<<1, THREADS>>>(out);
    finish(out);
}
