/* expect: warp-mask. Lanes shuffle with a mask that does not name them. */
#include "kernel.h"

template <bool REPAIRED> __global__ void sums(float *out, const float *in)
{
    float v = in[threadIdx.x];
    out[threadIdx.x] = v + __shfl_xor_sync(REPAIRED ? ~0u : 0xffffu, v, 8); // FAULT
}

SCENARIO(kernel_mask_without_the_caller)
{
    float *out = device_values<float>(32), *in = device_values<float>(32);
    (repaired ? sums<true> : sums<false>)<<<1, 32>>>(out, in);
    finish(out, in);
}
