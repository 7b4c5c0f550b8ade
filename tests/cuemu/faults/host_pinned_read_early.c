/* expect: pinned-early. The result is read before the copy is waited for. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *h = pinned_floats(COUNT);
    cudaStream_t s = new_stream();
    MUST(cudaMemcpyAsync(h, a, BYTES, cudaMemcpyDeviceToHost, s));
#ifdef REPAIRED
    MUST(cudaStreamSynchronize(s));
#endif
    volatile float last = h[COUNT - 1]; /* FAULT */
    (void)last;
    MUST(cudaStreamSynchronize(s));
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
    MUST(cudaFreeHost(h));
}
