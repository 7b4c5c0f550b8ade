/* expect: out-of-bounds. A block of 32 columns over a matrix of 40, with a guard for the rows alone. */
#include "kernel.h"

template <bool REPAIRED> __global__ void scale(float *x, int rows, int columns)
{
    int column = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 4 + threadIdx.y;
    if (row < rows && (!REPAIRED || column < columns))
        x[row * 64 + column] = 1.0f; // FAULT
}

SCENARIO(kernel_missing_column_guard)
{
    float *x = device_values<float>(9 * 64 + 40);
    (repaired ? scale<true> : scale<false>)<<<dim3(2, 3), dim3(32, 4)>>>(x, 10, 40);
    finish(x);
}
