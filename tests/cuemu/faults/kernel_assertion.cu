/* expect: device-assert. An assertion that does not hold. */
#undef NDEBUG
#include "kernel.h"

#include <assert.h>

template <bool REPAIRED> __global__ void look_up(float *out, const int *index)
{
    int i = REPAIRED ? index[threadIdx.x] % 10 : index[threadIdx.x];
    assert(i < 10); // FAULT
    out[threadIdx.x] = (float)i;
}

SCENARIO(kernel_assertion)
{
    float *out = device_values<float>(THREADS);
    int *index = device_values<int>(THREADS);
    (repaired ? look_up<true> : look_up<false>)<<<1, THREADS>>>(out, index);
    finish(out, index);
}
