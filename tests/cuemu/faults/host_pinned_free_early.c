/* expect: pinned-early. Pinned memory is given back while a copy into it is pending. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *h = pinned_floats(COUNT);
    cudaStream_t s = new_stream();
    MUST(cudaMemcpyAsync(h, a, BYTES, cudaMemcpyDeviceToHost, s));
#ifdef REPAIRED
    MUST(cudaStreamSynchronize(s));
#endif
    MUST(cudaFreeHost(h)); /* FAULT */
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
}
