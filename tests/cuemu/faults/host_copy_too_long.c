/* expect: out-of-bounds. One element more than was allocated. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *h = pinned_floats(COUNT + 1);
#ifdef REPAIRED
    size_t bytes = BYTES;
#else
    size_t bytes = BYTES + sizeof *a;
#endif
    (void)cudaMemcpy(a, h, bytes, cudaMemcpyHostToDevice); /* FAULT */
    (void)cudaDeviceSynchronize();
    (void)cudaFree(a);
    (void)cudaFreeHost(h);
}
