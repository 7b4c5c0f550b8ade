/* expect: pinned-early. The input of a launched graph is refilled for the next launch too early. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *h = pinned_floats(COUNT);
    cudaStream_t s = new_stream();
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    MUST(cudaMemcpyAsync(a, h, BYTES, cudaMemcpyHostToDevice, s));
    MUST(cudaStreamEndCapture(s, &graph));
    MUST(cudaGraphInstantiate(&exec, graph, 0));
    h[0] = 2;
    MUST(cudaGraphLaunch(exec, s));
#ifdef REPAIRED
    MUST(cudaStreamSynchronize(s));
#endif
    h[0] = 3; /* FAULT */
    MUST(cudaGraphLaunch(exec, s));
    MUST(cudaStreamSynchronize(s));
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
    MUST(cudaFreeHost(h));
}
