/* expect: race-global. A thread looks at a counter that others still increment. */
#include "kernel.h"

template <bool REPAIRED> __global__ void count(int *counter, int *seen)
{
    int ticket = atomicAdd(counter, 1); // FAULT
    if (REPAIRED)
        seen[blockIdx.x * THREADS + threadIdx.x] = ticket;
    else
        seen[blockIdx.x * THREADS + threadIdx.x] = *counter; // FAULT
}

SCENARIO(kernel_counter_read_plainly)
{
    int *counter = device_values<int>(1), *seen = device_values<int>(COUNT);
    (repaired ? count<true> : count<false>)<<<BLOCKS, THREADS>>>(counter, seen);
    finish(counter, seen);
}
