/* memset.c: cudaMemset and cudaMemset2D. They never wait, with or without Async. */
#include "internal.h"

#include <string.h>

typedef struct set_payload {
    char *base;
    size_t pitch, width, height;
    int value;
} set_payload;

static void run_set(cue_op_id op, const void *payload, size_t bytes)
{
    (void)bytes;
    const set_payload *m = payload;
    cue_count("memsets", 1);
    cue_count("memset_bytes", (int64_t)(m->width * m->height));
    for (size_t row = 0; row < m->height; row++) {
        char *start = m->base + row * m->pitch;
        cue_error error = cue_mem_access(op, start, m->width, CUE_WRITE, "cudaMemset destination");
        if (error != CUE_SUCCESS) {
            cue_set_sticky_error((cudaError_t)error);
            return;
        }
        cue_mem_unlock();
        memset(start, m->value, m->width);
        cue_mem_lock();
    }
}

_Static_assert(sizeof(set_payload) <= CUE_SET_BYTES, "storage in internal.h");

cudaError_t cue_set_work(cue_work *work, void *storage, void *base, size_t pitch, int value, size_t width,
                         size_t height)
{
    if (width == 0 || height == 0)
        return cudaSuccess;
    if (!cue_mem_is_device(base) && !cue_pinned_find(base, cue_extent(pitch, width, height), NULL)) {
        cue_complain(CUE_API, "%p is not device memory", base);
        return cudaErrorInvalidValue;
    }
    set_payload *payload = storage;
    *payload = (set_payload){.base = base, .pitch = pitch, .width = width, .height = height, .value = value};
    *work = (cue_work){.kind = CUE_WORK_MEMSET,
                       .name = cue_here().call,
                       .site = cue_here(),
                       .run = run_set,
                       .payload = payload,
                       .payload_bytes = sizeof *payload};
    return cudaSuccess;
}

static cudaError_t set(void *base, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream)
{
    cue_work work = {.run = NULL};
    set_payload payload;
    cudaError_t error = cue_set_work(&work, &payload, base, pitch, value, width, height);
    if (error != cudaSuccess || work.run == NULL)
        return error;
    return cue_submit(stream, &work);
}

cudaError_t cudaMemset(void *base, int value, size_t bytes)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : set(base, bytes, value, bytes, 1, NULL));
}

cudaError_t cudaMemsetAsync(void *base, int value, size_t bytes, cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : set(base, bytes, value, bytes, 1, stream));
}

cudaError_t cudaMemset2D(void *base, size_t pitch, int value, size_t width, size_t height)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : set(base, pitch, value, width, height, NULL));
}

cudaError_t cudaMemset2DAsync(void *base, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : set(base, pitch, value, width, height, stream));
}
