/* expect: api. An event is waited for after it was destroyed. */
#include "host.h"

void scenario(void)
{
    cudaStream_t s = new_stream();
    cudaEvent_t e = new_event();
    MUST(cudaEventRecord(e, s));
#ifdef REPAIRED
    MUST(cudaEventSynchronize(e));
    MUST(cudaEventDestroy(e));
#else
    MUST(cudaEventDestroy(e));
    (void)cudaEventSynchronize(e); /* FAULT */
#endif
    MUST(cudaStreamDestroy(s));
}
