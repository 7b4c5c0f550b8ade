/* expect: uninitialised. The result is copied out, but nothing wrote it. */
#include "host.h"

void scenario(void)
{
    float *a = NULL, *h = pinned_floats(COUNT);
    MUST(cudaMalloc((void **)&a, BYTES));
#ifdef REPAIRED
    MUST(cudaMemset(a, 0, BYTES));
#endif
    MUST(cudaMemcpy(h, a, BYTES, cudaMemcpyDeviceToHost)); /* FAULT */
    MUST(cudaFree(a));
    MUST(cudaFreeHost(h));
}
