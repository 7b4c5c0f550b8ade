/* expect: uninitialised. Reads what an asynchronous copy has not yet brought. */
#include "kernel.h"

#include <cuda_pipeline.h>

template <bool REPAIRED> __global__ void copy(float *out, const float *in)
{
    __shared__ float s[THREADS];
    __pipeline_memcpy_async(&s[threadIdx.x], &in[threadIdx.x], sizeof(float));
    __pipeline_commit();
    if (REPAIRED)
        __pipeline_wait_prior(0);
    out[threadIdx.x] = s[threadIdx.x]; // FAULT
}

SCENARIO(kernel_async_copy_not_awaited)
{
    float *out = device_values<float>(THREADS), *in = device_values<float>(THREADS);
    (repaired ? copy<true> : copy<false>)<<<1, THREADS>>>(out, in);
    finish(out, in);
}
