/* expect: race-stream. A stream overwrites what another still reads: the wait in the other direction is missing. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *b = device_floats(COUNT);
    cudaStream_t reader = new_stream(), writer = new_stream();
    cudaEvent_t read = new_event();
    MUST(cudaMemcpyAsync(b, a, BYTES, cudaMemcpyDeviceToDevice, reader));
    MUST(cudaEventRecord(read, reader));
#ifdef REPAIRED
    MUST(cudaStreamWaitEvent(writer, read, 0));
#endif
    MUST(cudaMemsetAsync(a, 1, BYTES, writer)); /* FAULT */
    MUST(cudaDeviceSynchronize());
    MUST(cudaEventDestroy(read));
    MUST(cudaStreamDestroy(reader));
    MUST(cudaStreamDestroy(writer));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
}
