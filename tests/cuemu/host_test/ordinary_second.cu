// ordinary_second.cu: a second translation unit, whose static kernel has the name of one in ordinary.cu.
#include "ordinary.h"

static __global__ void elementwise(float *out, const float *, const float *, size_t n)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        out[i] = (float)i;
}

extern "C" cudaError_t ordinary_iota(float *out, int n, cudaStream_t stream)
{
    elementwise<<<(n + 31) / 32, 32, 0, stream>>>(out, nullptr, nullptr, (size_t)n);
    return cudaGetLastError();
}

extern "C" const void *ordinary_iota_kernel(void)
{
    return (const void *)elementwise;
}
