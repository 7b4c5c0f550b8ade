/* expect: host-dereference. The C library's memcpy is given a device pointer. */
#include "host.h"

void scenario(void)
{
    static float h[COUNT];
    float *a = device_floats(COUNT);
#ifdef REPAIRED
    MUST(cudaMemcpy(h, a, BYTES, cudaMemcpyDeviceToHost));
#else
    memcpy(h, a, BYTES); /* FAULT */
#endif
    MUST(cudaFree(a));
}
