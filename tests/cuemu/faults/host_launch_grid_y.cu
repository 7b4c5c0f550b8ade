/* expect: launch. 100000 rows along y, where a grid has at most 65535 blocks: the kernel must loop over them. */
#include "host.h"

static __global__ void touch(float *x, int rows)
{
    for (int row = (int)blockIdx.y; row < rows; row += (int)gridDim.y)
        if (row < COUNT)
            x[row] = 1;
}

extern "C" void scenario(void)
{
    float *x = device_floats(COUNT);
#ifdef REPAIRED
    dim3 grid(1, 50);
#else
    dim3 grid(1, 100000);
#endif
    touch<<<grid, 1>>>(x, 2000); /* FAULT */
    (void)cudaGetLastError();
    MUST(cudaDeviceSynchronize());
    MUST(cudaFree(x));
}
