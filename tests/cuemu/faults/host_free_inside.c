/* expect: bad-free. The pointer has moved since cudaMalloc. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *cursor = a + 1;
#ifdef REPAIRED
    cursor = a;
#endif
    if (cudaFree(cursor) != cudaSuccess) /* FAULT */
        MUST(cudaFree(a));
}
