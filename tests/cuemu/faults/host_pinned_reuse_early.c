/* expect: pinned-early. The staging buffer is filled again while the copy out of it is pending. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *h = pinned_floats(COUNT);
    cudaStream_t s = new_stream();
    MUST(cudaMemcpyAsync(a, h, BYTES, cudaMemcpyHostToDevice, s));
#ifdef REPAIRED
    MUST(cudaStreamSynchronize(s));
#endif
    h[COUNT / 2] = -1; /* FAULT */
    MUST(cudaMemcpyAsync(a, h, BYTES, cudaMemcpyHostToDevice, s));
    MUST(cudaStreamSynchronize(s));
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
    MUST(cudaFreeHost(h));
}
