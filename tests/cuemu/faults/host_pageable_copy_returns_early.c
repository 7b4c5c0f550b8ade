/* expect: race-stream. cudaMemcpy from pageable memory returns when the bytes are staged, not when they are there. */
#include "host.h"

void scenario(void)
{
    static float h[COUNT];
    float *a = device_floats(COUNT), *b = device_floats(COUNT);
    cudaStream_t s = new_stream();
    MUST(cudaMemcpy(a, h, BYTES, cudaMemcpyHostToDevice));
#ifdef REPAIRED
    MUST(cudaStreamSynchronize(NULL));
#endif
    MUST(cudaMemcpyAsync(b, a, BYTES, cudaMemcpyDeviceToDevice, s)); /* FAULT */
    MUST(cudaDeviceSynchronize());
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
}
