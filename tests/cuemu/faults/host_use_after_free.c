/* expect: use-after-free. A copy from memory that was freed before. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *h = pinned_floats(COUNT);
#ifdef REPAIRED
    MUST(cudaMemcpy(h, a, BYTES, cudaMemcpyDeviceToHost));
    MUST(cudaFree(a));
#else
    MUST(cudaFree(a));
    (void)cudaMemcpy(h, a, BYTES, cudaMemcpyDeviceToHost); /* FAULT */
#endif
    (void)cudaFreeHost(h);
}
