/* expect: const-write. A kernel writes through a pointer to constant memory. */
#include "kernel.h"

__constant__ float factors[4];

template <bool REPAIRED> __global__ void store(float *to)
{
    to[threadIdx.x] = 1; // FAULT
}

SCENARIO(kernel_writes_a_constant)
{
    float *out = device_values<float>(4);
    void *constant = nullptr;
    must(cudaGetSymbolAddress(&constant, factors));
    (repaired ? store<true> : store<false>)<<<1, 4>>>(repaired ? out : (float *)constant);
    finish(out);
}
