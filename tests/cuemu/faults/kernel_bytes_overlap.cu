/* expect: race-global. A mask of one byte each, written one byte too far: two threads share a byte, not only a word. */
#include "kernel.h"

template <bool REPAIRED> __global__ void mark(unsigned char *mask, const float *in)
{
    unsigned i = 2 * (blockIdx.x * THREADS + threadIdx.x);
    unsigned char flag = in[i / 2] > 3;
    mask[i] = flag;                      // FAULT
    mask[i + (REPAIRED ? 1 : 2)] = flag; // FAULT
}

SCENARIO(kernel_bytes_overlap)
{
    unsigned char *mask = device_values<unsigned char>(2 * COUNT + 2);
    float *in = device_values<float>(COUNT);
    (repaired ? mark<true> : mark<false>)<<<BLOCKS, THREADS>>>(mask, in);
    finish(mask, in);
}
