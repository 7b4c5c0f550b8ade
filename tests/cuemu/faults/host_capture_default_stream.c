/* expect: capture. Work in the default stream would wait for the captured blocking stream. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT);
    cudaStream_t s;
    cudaGraph_t graph = NULL;
    MUST(cudaStreamCreate(&s));
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed));
#ifdef REPAIRED
    MUST(cudaMemsetAsync(a, 0, BYTES, s));
#else
    if (cudaMemsetAsync(a, 0, BYTES, NULL) != cudaErrorStreamCaptureImplicit) /* FAULT */
        exit(1);
#endif
    (void)cudaStreamEndCapture(s, &graph);
    if (graph != NULL)
        MUST(cudaGraphDestroy(graph));
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
}
