/* expect: pinned-early. Two halves of one page: the wrong one is refilled. The right one is nobody's. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(64), *h = pinned_floats(128);
    cudaStream_t s = new_stream();
    MUST(cudaMemcpyAsync(a, h, 64 * sizeof *h, cudaMemcpyHostToDevice, s));
    for (int i = 64; i < 128; i++)
        h[i] = 1;
#ifndef REPAIRED
    h[63] = 1; /* FAULT */
#endif
    MUST(cudaStreamSynchronize(s));
    MUST(cudaMemcpyAsync(a, h + 64, 64 * sizeof *h, cudaMemcpyHostToDevice, s));
    MUST(cudaStreamSynchronize(s));
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
    MUST(cudaFreeHost(h));
}
