/* expect: capture. A captured stream waits for an event that was recorded outside the capture. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT);
    cudaStream_t s = new_stream(), other = new_stream();
    cudaEvent_t outside = new_event();
    cudaGraph_t graph = NULL;
    MUST(cudaMemsetAsync(a, 0, BYTES, other));
    MUST(cudaEventRecord(outside, other));
#ifdef REPAIRED
    MUST(cudaStreamWaitEvent(s, outside, 0));
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
#else
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    if (cudaStreamWaitEvent(s, outside, 0) != cudaErrorStreamCaptureIsolation) /* FAULT */
        exit(1);
#endif
    (void)cudaStreamEndCapture(s, &graph);
    if (graph != NULL)
        MUST(cudaGraphDestroy(graph));
    MUST(cudaDeviceSynchronize());
    MUST(cudaEventDestroy(outside));
    MUST(cudaStreamDestroy(s));
    MUST(cudaStreamDestroy(other));
    MUST(cudaFree(a));
}
