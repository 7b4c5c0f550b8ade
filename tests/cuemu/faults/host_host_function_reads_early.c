/* expect: pinned-early. A host function on one stream reads what a copy on another stream writes. */
#include "host.h"

static void callback(void *user)
{
    volatile float first = *(const float *)user; /* FAULT */
    (void)first;
}

void scenario(void)
{
    float *a = device_floats(COUNT), *h = pinned_floats(COUNT);
    cudaStream_t copier = new_stream(), worker = new_stream();
    cudaEvent_t copied = new_event();
    MUST(cudaMemcpyAsync(h, a, BYTES, cudaMemcpyDeviceToHost, copier));
    MUST(cudaEventRecord(copied, copier));
#ifdef REPAIRED
    MUST(cudaStreamWaitEvent(worker, copied, 0));
#endif
    MUST(cudaLaunchHostFunc(worker, callback, h));
    MUST(cudaStreamSynchronize(worker));
    MUST(cudaDeviceSynchronize());
    MUST(cudaEventDestroy(copied));
    MUST(cudaStreamDestroy(copier));
    MUST(cudaStreamDestroy(worker));
    MUST(cudaFree(a));
    MUST(cudaFreeHost(h));
}
