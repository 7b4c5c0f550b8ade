/* expect: race-stream. A copy on one stream reads what another stream writes. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *b = device_floats(COUNT), *h = pinned_floats(COUNT);
    cudaStream_t producer = new_stream(), consumer = new_stream();
    cudaEvent_t done = new_event();
    MUST(cudaMemcpyAsync(a, h, BYTES, cudaMemcpyHostToDevice, producer));
    MUST(cudaEventRecord(done, producer));
#ifdef REPAIRED
    MUST(cudaStreamWaitEvent(consumer, done, 0));
#endif
    MUST(cudaMemcpyAsync(b, a, BYTES, cudaMemcpyDeviceToDevice, consumer)); /* FAULT */
    MUST(cudaDeviceSynchronize());
    MUST(cudaEventDestroy(done));
    MUST(cudaStreamDestroy(producer));
    MUST(cudaStreamDestroy(consumer));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
    MUST(cudaFreeHost(h));
}
