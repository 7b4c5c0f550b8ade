/* expect: race-global. bf16: the rows overlap by one element, which is half a word. */
#include "kernel.h"

#include <cuda_bf16.h>

template <bool REPAIRED> __global__ void fill(__nv_bfloat16 *out, unsigned columns)
{
    unsigned stride = REPAIRED ? columns : columns - 1;
    for (unsigned c = threadIdx.x; c < columns; c += THREADS)
        out[blockIdx.x * stride + c] = __float2bfloat16((float)c); // FAULT
}

SCENARIO(kernel_halves_overlap)
{
    __nv_bfloat16 *out = device_values<__nv_bfloat16>(BLOCKS * 33);
    (repaired ? fill<true> : fill<false>)<<<BLOCKS, THREADS>>>(out, 33);
    finish(out);
}
