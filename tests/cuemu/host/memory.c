/* memory.c: device memory as programs ask for it. The arena itself, with its shadow, is device/'s. */
#include "internal.h"

#include <stdlib.h>

typedef struct allocation {
    void *base;
    size_t bytes;
    cue_site site;
    struct allocation *next;
} allocation;

static allocation *allocations;

static allocation **find(const void *base)
{
    allocation **link = &allocations;
    while (*link != NULL && (*link)->base != base)
        link = &(*link)->next;
    return link;
}

static cudaError_t allocate(void **out, size_t bytes)
{
    if (out == NULL)
        return cudaErrorInvalidValue;
    *out = NULL;
    if (bytes == 0)
        return cudaSuccess;
    allocation *a = malloc(sizeof *a);
    if (a == NULL)
        return cudaErrorMemoryAllocation;
    cue_error error = cue_mem_alloc(bytes, out);
    if (error != CUE_SUCCESS) {
        free(a);
        return (cudaError_t)error;
    }
    *a = (allocation){.base = *out, .bytes = bytes, .site = cue_here(), .next = allocations};
    allocations = a;
    cue_count("allocations", 1);
    cue_count("allocated_bytes", (int64_t)bytes);
    return cudaSuccess;
}

static void forget(const void *base)
{
    allocation **link = find(base), *a = *link;
    if (a != NULL) {
        *link = a->next;
        free(a);
    }
}

/* cudaFree waits until the device is idle, but that is no synchronisation to rely on: the host's clock stays. */
static cudaError_t release(void *pointer)
{
    if (pointer == NULL)
        return cudaSuccess;
    if (*find(pointer) == NULL) {
        cue_complain(CUE_BAD_FREE, "%p is not the start of live device memory", pointer);
        return cudaErrorInvalidValue;
    }
    cue_op_require_all();
    cue_mem_free(pointer);
    forget(pointer);
    cue_count("frees", 1);
    return cudaSuccess;
}

void cue_memory_report_leaks(void)
{
    for (const allocation *a = allocations; a != NULL; a = a->next) {
        cue_set_site(a->site);
        cue_complain(CUE_LEAK, "%zu bytes of device memory allocated here are never freed", a->bytes);
    }
}

void cue_memory_reset(void)
{
    while (allocations != NULL) {
        void *base = allocations->base;
        cue_mem_free(base);
        forget(base);
    }
}

cudaError_t cudaMalloc(void **pointer, size_t bytes)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE | CUE_UNSAFE);
    return cue_leave(error != cudaSuccess ? error : allocate(pointer, bytes));
}

cudaError_t cudaFree(void *pointer)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_UNSAFE);
    return cue_leave(error != cudaSuccess ? error : release(pointer));
}

cudaError_t cudaMallocPitch(void **pointer, size_t *pitch, size_t width, size_t height)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE | CUE_UNSAFE);
    if (error == cudaSuccess && pitch == NULL)
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess) {
        *pitch = (width + 511) / 512 * 512;
        error = allocate(pointer, *pitch * height);
    }
    return cue_leave(error);
}

/* ---------------------------------------------------------------------- in stream order */

typedef struct stream_memory {
    void *base;
    size_t bytes;
} stream_memory;

static void run_free(cue_op_id op, const void *payload, size_t bytes)
{
    (void)bytes;
    const stream_memory *m = payload;
    /* a release is an access to the whole range: who still uses it unordered is found here */
    if (cue_mem_access(op, m->base, m->bytes, CUE_WRITE, "memory released by cudaFreeAsync") == CUE_SUCCESS)
        cue_mem_free(m->base);
}

/* The memory exists from the call on, but it is the stream's: who uses it unordered is found here, or later. */
static void run_allocation(cue_op_id op, const void *payload, size_t bytes)
{
    (void)bytes;
    const stream_memory *m = payload;
    (void)cue_mem_access(op, m->base, m->bytes, CUE_CLAIM, "memory allocated by cudaMallocAsync");
}

static cudaError_t submit_memory(cudaStream_t stream, cue_work_fn *run, const char *name, void *base, size_t bytes)
{
    stream_memory m = {base, bytes};
    cue_work work = {.kind = CUE_WORK_MEMORY,
                     .name = name,
                     .site = cue_here(),
                     .run = run,
                     .payload = &m,
                     .payload_bytes = sizeof m};
    return cue_submit(stream, &work);
}

static cudaError_t refuse_in_capture(cudaStream_t stream, const char *call)
{
    const struct CUstream_st *s = cue_stream_find(stream);
    if (s == NULL)
        return cudaErrorInvalidResourceHandle;
    if (s->capture != NULL)
        cue_fatal("%s in a captured stream (a memory node) is not implemented", call);
    return cudaSuccess;
}

cudaError_t cudaMallocAsync(void **pointer, size_t bytes, cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess)
        error = refuse_in_capture(stream, "cudaMallocAsync");
    if (error == cudaSuccess)
        error = allocate(pointer, bytes);
    if (error == cudaSuccess)
        error = submit_memory(stream, run_allocation, "cudaMallocAsync", *pointer, bytes);
    return cue_leave(error);
}

cudaError_t cudaFreeAsync(void *pointer, cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess)
        error = refuse_in_capture(stream, "cudaFreeAsync");
    const allocation *a = error == cudaSuccess ? *find(pointer) : NULL;
    if (error == cudaSuccess && a == NULL && pointer != NULL) {
        cue_complain(CUE_BAD_FREE, "%p is not the start of live device memory", pointer);
        error = cudaErrorInvalidValue;
    }
    if (a != NULL) {
        size_t bytes = a->bytes;
        forget(pointer);
        cue_count("frees", 1);
        error = submit_memory(stream, run_free, "cudaFreeAsync", pointer, bytes);
    }
    return cue_leave(error);
}

/* ---------------------------------------------------------------------- asking */

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess && (free_bytes == NULL || total_bytes == NULL))
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess)
        cue_mem_info(free_bytes, total_bytes);
    return cue_leave(error);
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *out, const void *pointer)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess && out == NULL)
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess) {
        void *base;
        size_t bytes;
        *out = (struct cudaPointerAttributes){.type = cudaMemoryTypeUnregistered, .device = -2};
        if (cue_mem_find(pointer, &base, &bytes)) {
            out->type = cudaMemoryTypeDevice;
            out->device = 0;
            out->devicePointer = (void *)(uintptr_t)pointer;
        } else if (cue_pinned_find(pointer, 1, NULL)) {
            out->type = cudaMemoryTypeHost;
            out->device = 0;
            out->hostPointer = out->devicePointer = (void *)(uintptr_t)pointer;
        }
    }
    return cue_leave(error);
}
