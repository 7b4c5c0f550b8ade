/* expect: stack-overflow. A recursion without an end. */
#include "kernel.h"

__device__ __noinline__ int depth(int n, int end)
{
    return n == end ? 0 : 1 + depth(n + 1, end) * 2; // FAULT
}

template <bool REPAIRED> __global__ void recurse(int *out)
{
    out[0] = depth(0, REPAIRED ? 5 : -1); // FAULT
}

SCENARIO(kernel_endless_recursion)
{
    int *out = device_values<int>(1);
    (repaired ? recurse<true> : recurse<false>)<<<1, 1>>>(out);
    finish(out);
}
