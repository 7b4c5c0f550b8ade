/* expect: race-stream. Memory is used on another stream than the one whose order it was allocated in. */
#include "host.h"

void scenario(void)
{
    float *a = NULL;
    cudaStream_t owner = new_stream(), user = new_stream();
    cudaEvent_t ready = new_event(), used = new_event();
    MUST(cudaMallocAsync((void **)&a, BYTES, owner));
    MUST(cudaEventRecord(ready, owner));
#ifdef REPAIRED
    MUST(cudaStreamWaitEvent(user, ready, 0));
#endif
    MUST(cudaMemsetAsync(a, 1, BYTES, user)); /* FAULT */
    MUST(cudaEventRecord(used, user));
    MUST(cudaStreamWaitEvent(owner, used, 0));
    MUST(cudaFreeAsync(a, owner));
    MUST(cudaDeviceSynchronize());
    MUST(cudaEventDestroy(ready));
    MUST(cudaEventDestroy(used));
    MUST(cudaStreamDestroy(owner));
    MUST(cudaStreamDestroy(user));
}
