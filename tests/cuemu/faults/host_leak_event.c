/* expect: leak. An event is never destroyed. */
#include "host.h"

void scenario(void)
{
    cudaEvent_t e;
    MUST(cudaEventCreate(&e)); /* FAULT */
#ifdef REPAIRED
    MUST(cudaEventDestroy(e));
#endif
}
