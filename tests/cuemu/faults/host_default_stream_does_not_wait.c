/* expect: race-stream. cudaMemset in the default stream returns at once, and a non-blocking stream does not wait. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT), *b = device_floats(COUNT);
    cudaStream_t s = NULL;
#ifdef REPAIRED
    MUST(cudaStreamCreate(&s));
#else
    MUST(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
#endif
    MUST(cudaMemset(a, 1, BYTES));
    MUST(cudaMemcpyAsync(b, a, BYTES, cudaMemcpyDeviceToDevice, s)); /* FAULT */
    MUST(cudaDeviceSynchronize());
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
}
