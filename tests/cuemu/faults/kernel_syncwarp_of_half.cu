/* expect: race-shared or uninitialised. The tile of 16 lanes synchronises, and reads what the other half wrote. */
#include "kernel.h"

#include <cooperative_groups.h>
namespace cg = cooperative_groups;

template <bool REPAIRED> __global__ void exchange(float *out, const float *in)
{
    __shared__ float s[32];
    auto tile = cg::tiled_partition<16>(cg::this_thread_block());
    s[threadIdx.x] = in[threadIdx.x]; // FAULT
    tile.sync();
    out[threadIdx.x] = s[threadIdx.x ^ (REPAIRED ? 15 : 31)]; // FAULT
}

SCENARIO(kernel_syncwarp_of_half)
{
    float *out = device_values<float>(32), *in = device_values<float>(32);
    (repaired ? exchange<true> : exchange<false>)<<<1, 32>>>(out, in);
    finish(out, in);
}
