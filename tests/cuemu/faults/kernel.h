/* kernel.h: the frame of the kernel fault corpus.
 *
 * Each kernel_NAME.cu holds one kernel with one fault and, as another instance of the same template, its repaired twin.
 * The first line names the kind of report (and another that may come with it, "or ..."); each line that may be named
 * carries the comment FAULT (for a race both sides, since the order of threads decides which one comes second).
 * check_kernel_fault.sh runs the fault in every order of threads and wants that report there and no other; the twin
 * must stay silent over many seeds. */
#ifndef FAULTS_KERNEL_H
#define FAULTS_KERNEL_H

#include <cuda_runtime.h>
#include <stdio.h>
#include <stdlib.h>

#define SCENARIO(name) extern "C" void name(bool repaired)

enum { THREADS = 128, BLOCKS = 5, COUNT = THREADS * BLOCKS };

static inline void must(cudaError_t error)
{
    if (error != cudaSuccess) {
        fprintf(stderr, "unexpected: %s\n", cudaGetErrorString(error));
        exit(1);
    }
}

/* Device memory that holds numbers. */
template <class T> T *device_values(size_t count, bool initialised = true)
{
    T *device = nullptr, *host = (T *)malloc(count * sizeof(T));
    for (size_t i = 0; i < count; i++)
        host[i] = (T)(float)(i % 37);
    must(cudaMalloc((void **)&device, count * sizeof(T)));
    if (initialised)
        must(cudaMemcpy(device, host, count * sizeof(T), cudaMemcpyHostToDevice));
    must(cudaDeviceSynchronize()); /* a copy from pageable memory may still be on its way */
    free(host);
    return device;
}

/* The kernel ran, in good order or not; a sticky error leaves nothing to be freed. */
static inline void finish(void *a, void *b = nullptr)
{
    if (cudaDeviceSynchronize() != cudaSuccess)
        return;
    cudaFree(a);
    cudaFree(b);
}

#endif
