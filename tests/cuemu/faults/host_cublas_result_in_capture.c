/* expect: capture. cublasSnrm2 with a result on the host waits for the stream. */
#include "host.h"

void scenario(void)
{
    float *x = device_floats(COUNT), *result = device_floats(1), on_host;
    cudaStream_t s = new_stream();
    cudaGraph_t graph = NULL;
    cublasHandle_t h;
    MUST(cublasCreate(&h));
    MUST(cublasSetStream(h, s));
#ifdef REPAIRED
    MUST(cublasSetPointerMode(h, CUBLAS_POINTER_MODE_DEVICE));
    float *out = result;
#else
    float *out = &on_host;
#endif
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    (void)cublasSnrm2(h, COUNT, x, 1, out); /* FAULT */
    (void)cudaStreamEndCapture(s, &graph);
    if (graph != NULL)
        MUST(cudaGraphDestroy(graph));
    MUST(cublasDestroy(h));
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(x));
    MUST(cudaFree(result));
    (void)on_host;
}
