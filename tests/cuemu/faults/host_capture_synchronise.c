/* expect: capture. A captured stream is waited for. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT);
    cudaStream_t s = new_stream();
    cudaGraph_t graph = NULL;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
    MUST(cudaMemsetAsync(a, 0, BYTES, s));
#ifndef REPAIRED
    if (cudaStreamSynchronize(s) != cudaErrorStreamCaptureUnsupported) /* FAULT */
        exit(1);
    if (cudaStreamEndCapture(s, &graph) != cudaErrorStreamCaptureInvalidated || graph != NULL)
        exit(1);
#else
    MUST(cudaStreamEndCapture(s, &graph));
    MUST(cudaGraphDestroy(graph));
#endif
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
}
