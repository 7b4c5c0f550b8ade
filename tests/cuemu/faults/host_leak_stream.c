/* expect: leak. A stream is never destroyed. */
#include "host.h"

void scenario(void)
{
    cudaStream_t s;
    MUST(cudaStreamCreate(&s)); /* FAULT */
#ifdef REPAIRED
    MUST(cudaStreamDestroy(s));
#endif
}
