/* expect: api. An executable graph is launched after it was destroyed. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT);
    cudaStream_t s = new_stream();
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    MUST(cudaMemsetAsync(a, 0, BYTES, s));
    MUST(cudaStreamEndCapture(s, &graph));
    MUST(cudaGraphInstantiate(&exec, graph, 0));
    MUST(cudaGraphDestroy(graph));
#ifdef REPAIRED
    MUST(cudaGraphLaunch(exec, s));
    MUST(cudaGraphExecDestroy(exec));
#else
    MUST(cudaGraphExecDestroy(exec));
    (void)cudaGraphLaunch(exec, s); /* FAULT */
#endif
    MUST(cudaStreamSynchronize(s));
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
}
