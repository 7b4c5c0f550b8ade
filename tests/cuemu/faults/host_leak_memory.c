/* expect: leak. Device memory is never freed. */
#include "host.h"

void scenario(void)
{
    float *a = NULL;
    MUST(cudaMalloc((void **)&a, BYTES)); /* FAULT */
#ifdef REPAIRED
    MUST(cudaFree(a));
#endif
}
