/* expect: race-stream. A kernel reads what a kernel on another stream writes, with no event between. */
#include "kernel.h"

__global__ void write(float *x)
{
    x[threadIdx.x] = 1; // FAULT
}

__global__ void read(float *out, const float *x)
{
    out[threadIdx.x] = x[threadIdx.x]; // FAULT
}

SCENARIO(kernel_streams_unordered)
{
    float *x = device_values<float>(THREADS), *out = device_values<float>(THREADS);
    cudaStream_t one, two;
    cudaEvent_t done;
    must(cudaStreamCreateWithFlags(&one, cudaStreamNonBlocking));
    must(cudaStreamCreateWithFlags(&two, cudaStreamNonBlocking));
    must(cudaEventCreateWithFlags(&done, cudaEventDisableTiming));
    write<<<1, THREADS, 0, one>>>(x);
    must(cudaEventRecord(done, one));
    if (repaired)
        must(cudaStreamWaitEvent(two, done, 0));
    read<<<1, THREADS, 0, two>>>(out, x);
    must(cudaDeviceSynchronize());
    must(cudaEventDestroy(done));
    must(cudaStreamDestroy(one));
    must(cudaStreamDestroy(two));
    finish(x, out);
}
