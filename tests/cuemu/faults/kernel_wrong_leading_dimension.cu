/* expect: out-of-bounds. Row and column are exchanged in the index of a matrix that is not square. */
#include "kernel.h"

template <bool REPAIRED> __global__ void transpose(float *out, const float *in, int rows, int columns)
{
    int c = threadIdx.x, r = blockIdx.x;
    if (r < rows && c < columns)
        out[REPAIRED ? c * rows + r : c * columns + r] = in[r * columns + c]; // FAULT
}

SCENARIO(kernel_wrong_leading_dimension)
{
    float *out = device_values<float>(20 * 100), *in = device_values<float>(20 * 100);
    (repaired ? transpose<true> : transpose<false>)<<<20, THREADS>>>(out, in, 20, 100);
    finish(out, in);
}
