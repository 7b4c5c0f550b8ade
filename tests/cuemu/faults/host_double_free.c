/* expect: bad-free. Device memory freed twice. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT);
    MUST(cudaFree(a));
#ifndef REPAIRED
    (void)cudaFree(a); /* FAULT */
#endif
}
