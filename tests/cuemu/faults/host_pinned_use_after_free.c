/* expect: use-after-free. Host code writes to pinned memory that it has given back. */
#include "host.h"

void scenario(void)
{
    float *h = pinned_floats(COUNT);
#ifdef REPAIRED
    h[0] = 1;
    MUST(cudaFreeHost(h));
#else
    MUST(cudaFreeHost(h));
    h[0] = 1; /* FAULT */
#endif
}
