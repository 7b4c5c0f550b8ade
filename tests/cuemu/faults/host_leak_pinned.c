/* expect: leak. Pinned memory is never freed. */
#include "host.h"

void scenario(void)
{
    float *h = NULL;
    MUST(cudaMallocHost((void **)&h, BYTES)); /* FAULT */
#ifdef REPAIRED
    MUST(cudaFreeHost(h));
#endif
}
