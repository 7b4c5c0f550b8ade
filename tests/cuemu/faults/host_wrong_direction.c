/* expect: api. The copy's direction does not fit its pointers. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *h = pinned_floats(COUNT);
#ifdef REPAIRED
    enum cudaMemcpyKind kind = cudaMemcpyHostToDevice;
#else
    enum cudaMemcpyKind kind = cudaMemcpyDeviceToHost;
#endif
    (void)cudaMemcpy(a, h, BYTES, kind); /* FAULT */
    (void)cudaDeviceSynchronize();
    MUST(cudaFree(a));
    MUST(cudaFreeHost(h));
}
