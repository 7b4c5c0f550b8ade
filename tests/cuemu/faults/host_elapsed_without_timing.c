/* expect: api. The time between events that do not measure time. */
#include "host.h"

void scenario(void)
{
    cudaStream_t s = new_stream();
    cudaEvent_t first, second;
    float ms = -1;
#ifdef REPAIRED
    MUST(cudaEventCreate(&first));
    MUST(cudaEventCreate(&second));
#else
    first = new_event();
    second = new_event();
#endif
    MUST(cudaEventRecord(first, s));
    MUST(cudaEventRecord(second, s));
    MUST(cudaEventSynchronize(second));
    (void)cudaEventElapsedTime(&ms, first, second); /* FAULT */
    MUST(cudaEventDestroy(first));
    MUST(cudaEventDestroy(second));
    MUST(cudaStreamDestroy(s));
}
