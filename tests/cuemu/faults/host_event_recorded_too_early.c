/* expect: race-stream. The event stands before the work that it should announce. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *b = device_floats(COUNT);
    cudaStream_t producer = new_stream(), consumer = new_stream();
    cudaEvent_t done = new_event();
#ifdef REPAIRED
    MUST(cudaMemsetAsync(a, 1, BYTES, producer));
    MUST(cudaEventRecord(done, producer));
#else
    MUST(cudaEventRecord(done, producer));
    MUST(cudaMemsetAsync(a, 1, BYTES, producer));
#endif
    MUST(cudaStreamWaitEvent(consumer, done, 0));
    MUST(cudaMemcpyAsync(b, a, BYTES, cudaMemcpyDeviceToDevice, consumer)); /* FAULT */
    MUST(cudaDeviceSynchronize());
    MUST(cudaEventDestroy(done));
    MUST(cudaStreamDestroy(producer));
    MUST(cudaStreamDestroy(consumer));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
}
