/* expect: host-dereference. Host code reads through a device pointer. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), first = 0;
#ifdef REPAIRED
    MUST(cudaMemcpy(&first, a, sizeof first, cudaMemcpyDeviceToHost));
#else
    first = a[0]; /* FAULT */
#endif
    MUST(cudaFree(a));
    if (first != 0)
        exit(1);
}
