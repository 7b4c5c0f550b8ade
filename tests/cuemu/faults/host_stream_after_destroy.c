/* expect: api. A stream is used after it was destroyed. */
#include "host.h"

void scenario(void)
{
    float *a = device_floats(COUNT);
    cudaStream_t s = new_stream();
#ifdef REPAIRED
    MUST(cudaMemsetAsync(a, 0, BYTES, s));
    MUST(cudaStreamDestroy(s));
#else
    MUST(cudaStreamDestroy(s));
    (void)cudaMemsetAsync(a, 0, BYTES, s); /* FAULT */
#endif
    MUST(cudaDeviceSynchronize());
    MUST(cudaFree(a));
}
