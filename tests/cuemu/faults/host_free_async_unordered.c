/* expect: race-stream. cudaFreeAsync on one stream while another still uses the memory. */
#include "host.h"

void scenario(void)
{
    float *a = NULL;
    cudaStream_t owner = new_stream(), user = new_stream();
    cudaEvent_t ready = new_event(), used = new_event();
    MUST(cudaMallocAsync((void **)&a, BYTES, owner));
    MUST(cudaEventRecord(ready, owner));
    MUST(cudaStreamWaitEvent(user, ready, 0));
    MUST(cudaMemsetAsync(a, 1, BYTES, user));
    MUST(cudaEventRecord(used, user));
#ifdef REPAIRED
    MUST(cudaStreamWaitEvent(owner, used, 0));
#else
    MUST(cudaStreamSynchronize(owner));
#endif
    MUST(cudaFreeAsync(a, owner)); /* FAULT */
    (void)cudaDeviceSynchronize();
    (void)cudaEventDestroy(ready);
    (void)cudaEventDestroy(used);
    (void)cudaStreamDestroy(owner);
    (void)cudaStreamDestroy(user);
}
