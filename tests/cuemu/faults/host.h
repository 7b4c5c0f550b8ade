/* host.h: the frame of the host-side fault corpus.
 *
 * Each host_NAME.c holds one function, scenario, built twice: as it is, with one fault, and with -DREPAIRED, its twin.
 * The first line names the kind of report; the faulty line carries the comment FAULT. check_host_fault.sh runs the
 * first in every mode and wants exactly that report at that line; the twin runs over many seeds in one process and must
 * stay silent.
 */
#ifndef FAULTS_HOST_H
#define FAULTS_HOST_H

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 1000
#define BYTES (COUNT * sizeof(float))

/* MUST: a call that both the faulty program and its twin expect to succeed. */
#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        int status_of_call = (int)(call);                                                                              \
        if (status_of_call != 0) {                                                                                     \
            fprintf(stderr, "%s:%d: %s gives %d\n", __FILE__, __LINE__, #call, status_of_call);                        \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#ifdef __cplusplus
extern "C"
#endif
    void
    scenario(void);

/* Device memory that is initialised and waited for. */
static inline float *device_floats(size_t count)
{
    float *p = NULL;
    MUST(cudaMalloc((void **)&p, count * sizeof *p));
    MUST(cudaMemset(p, 0, count * sizeof *p));
    MUST(cudaDeviceSynchronize());
    return p;
}

static inline float *pinned_floats(size_t count)
{
    float *p = NULL;
    MUST(cudaMallocHost((void **)&p, count * sizeof *p));
    for (size_t i = 0; i < count; i++)
        p[i] = (float)i;
    return p;
}

static inline cudaStream_t new_stream(void)
{
    cudaStream_t s = NULL;
    MUST(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    return s;
}

static inline cudaEvent_t new_event(void)
{
    cudaEvent_t e = NULL;
    MUST(cudaEventCreateWithFlags(&e, cudaEventDisableTiming));
    return e;
}

#endif
