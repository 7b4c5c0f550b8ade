/* expect: leak. The executable graph is destroyed, the graph is not. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT);
    cudaStream_t s = new_stream();
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    MUST(cudaMemsetAsync(a, 0, BYTES, s));
    MUST(cudaStreamEndCapture(s, &graph)); /* FAULT */
    MUST(cudaGraphInstantiate(&exec, graph, 0));
    MUST(cudaGraphLaunch(exec, s));
    MUST(cudaStreamSynchronize(s));
    MUST(cudaGraphExecDestroy(exec));
#ifdef REPAIRED
    MUST(cudaGraphDestroy(graph));
#endif
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
}
