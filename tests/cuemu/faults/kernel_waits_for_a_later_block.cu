/* expect: hang. A block spins on a flag that nobody sets. */
#include "kernel.h"

template <bool REPAIRED> __global__ void wait(volatile int *flag)
{
    if (threadIdx.x == 0)  // FAULT
        while (*flag == 0) // FAULT
            ;
}

SCENARIO(kernel_waits_for_a_later_block)
{
    int *flag = device_values<int>(2);
    if (repaired)
        must(cudaMemset(flag, 1, sizeof *flag));
    (repaired ? wait<true> : wait<false>)<<<1, 32>>>(flag);
    finish(flag);
}
