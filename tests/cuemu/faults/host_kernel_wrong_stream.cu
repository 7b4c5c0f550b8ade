/* expect: race-stream. The kernel goes to the default stream, its input is made on another one. */
#include "host.h"

static __global__ void twice(float *out, const float *x, int n)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n)
        out[i] = 2 * x[i]; /* reported here, naming the copy */
}

extern "C" void scenario(void)
{
    float *x = device_floats(COUNT), *out = device_floats(COUNT), *h = pinned_floats(COUNT);
    cudaStream_t s = new_stream();
    MUST(cudaMemcpyAsync(x, h, BYTES, cudaMemcpyHostToDevice, s)); /* FAULT */
#ifdef REPAIRED
    twice<<<(COUNT + 127) / 128, 128, 0, s>>>(out, x, COUNT);
#else
    twice<<<(COUNT + 127) / 128, 128>>>(out, x, COUNT);
#endif
    MUST(cudaGetLastError());
    MUST(cudaDeviceSynchronize());
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(x));
    MUST(cudaFree(out));
    MUST(cudaFreeHost(h));
}
