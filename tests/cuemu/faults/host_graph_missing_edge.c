/* expect: race-stream. Inside a captured graph one branch reads what the other writes. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *b = device_floats(COUNT);
    cudaStream_t s = new_stream(), side = new_stream();
    cudaEvent_t fork = new_event(), join = new_event();
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    MUST(cudaEventRecord(fork, s));
    MUST(cudaStreamWaitEvent(side, fork, 0));
    MUST(cudaMemsetAsync(a, 1, BYTES, s));
#ifdef REPAIRED
    MUST(cudaEventRecord(fork, s));
    MUST(cudaStreamWaitEvent(side, fork, 0));
#endif
    MUST(cudaMemcpyAsync(b, a, BYTES, cudaMemcpyDeviceToDevice, side)); /* FAULT */
    MUST(cudaEventRecord(join, side));
    MUST(cudaStreamWaitEvent(s, join, 0));
    MUST(cudaStreamEndCapture(s, &graph));
    MUST(cudaGraphInstantiate(&exec, graph, 0));
    MUST(cudaGraphLaunch(exec, s));
    MUST(cudaGraphLaunch(exec, s));
    MUST(cudaStreamSynchronize(s));
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaEventDestroy(fork));
    MUST(cudaEventDestroy(join));
    MUST(cudaStreamDestroy(s));
    MUST(cudaStreamDestroy(side));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
}
