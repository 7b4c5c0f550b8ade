/* expect: warp-mask. Half of the warp shuffles, with a mask that names all of it. */
#include "kernel.h"

template <bool REPAIRED> __global__ void sums(float *out, const float *in)
{
    float v = in[threadIdx.x];
    if (threadIdx.x < 16)
        v += __shfl_xor_sync(REPAIRED ? 0xffffu : ~0u, v, 8); // FAULT
    __syncthreads();
    out[threadIdx.x] = v;
}

SCENARIO(kernel_shuffle_with_full_mask)
{
    float *out = device_values<float>(32), *in = device_values<float>(32);
    (repaired ? sums<true> : sums<false>)<<<1, 32>>>(out, in);
    finish(out, in);
}
