/* expect: warp-mask. A ballot of the whole warp inside a branch that some lanes do not take. */
#include "kernel.h"

template <bool REPAIRED> __global__ void count(int *out, const int *in)
{
    int v = in[threadIdx.x];
    unsigned votes = REPAIRED ? __ballot_sync(~0u, v > 20) : 0;
    if (v > 5) {
        if (!REPAIRED)
            votes = __ballot_sync(~0u, v > 20); // FAULT
        out[threadIdx.x] = __popc(votes);
    }
    __syncwarp(); // FAULT
}

SCENARIO(kernel_ballot_in_a_branch)
{
    int *out = device_values<int>(32), *in = device_values<int>(32);
    (repaired ? count<true> : count<false>)<<<1, 32>>>(out, in);
    finish(out, in);
}
