/* expect: capture. A forked stream has work that is never joined. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *b = device_floats(COUNT);
    cudaStream_t s = new_stream(), side = new_stream();
    cudaEvent_t fork = new_event(), join = new_event();
    cudaGraph_t graph = NULL;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    MUST(cudaEventRecord(fork, s));
    MUST(cudaStreamWaitEvent(side, fork, 0));
    MUST(cudaMemsetAsync(a, 0, BYTES, side));
    MUST(cudaMemsetAsync(b, 0, BYTES, s));
#ifdef REPAIRED
    MUST(cudaEventRecord(join, side));
    MUST(cudaStreamWaitEvent(s, join, 0));
    MUST(cudaStreamEndCapture(s, &graph));
    MUST(cudaGraphDestroy(graph));
#else
    if (cudaStreamEndCapture(s, &graph) != cudaErrorStreamCaptureUnjoined) /* FAULT */
        exit(1);
#endif
    MUST(cudaEventDestroy(fork));
    MUST(cudaEventDestroy(join));
    MUST(cudaStreamDestroy(s));
    MUST(cudaStreamDestroy(side));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
}
