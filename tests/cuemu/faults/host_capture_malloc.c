/* expect: capture. cudaMalloc between begin and end of a capture. */
#include "host.h"

void scenario(void)
{
    float *a = NULL;
    cudaStream_t s = new_stream();
    cudaGraph_t graph = NULL;
#ifdef REPAIRED
    MUST(cudaMalloc((void **)&a, BYTES));
#endif
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
#ifndef REPAIRED
    if (cudaMalloc((void **)&a, BYTES) != cudaErrorStreamCaptureUnsupported) /* FAULT */
        exit(1);
#else
    MUST(cudaMemsetAsync(a, 0, BYTES, s));
#endif
    (void)cudaStreamEndCapture(s, &graph);
    if (graph != NULL)
        MUST(cudaGraphDestroy(graph));
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
}
