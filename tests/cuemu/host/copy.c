/* copy.c: cudaMemcpy, cudaMemcpy2D and their asynchronous forms.
 *
 * What the host may rely on is in "API synchronization behavior" of CUDA's manual:
 *   from pageable memory    staged at the call; the device may get the bytes later, also with cudaMemcpy
 *   to pageable memory      complete when the call returns, also with cudaMemcpyAsync
 *   pinned memory           pending until the host waits; cudaMemcpy waits
 *   device to device, memset    never waits, also without Async */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct copy_payload {
    char *destination;
    const char *source; /* NULL: the bytes follow, row after row */
    size_t destination_pitch, source_pitch, width, height;
    const char *name;
    bool pending_source, pending_target; /* host memory that the program can touch too early */
} copy_payload;

static bool is_device(const void *p)
{
    return cue_mem_is_device(p);
}

size_t cue_extent(size_t pitch, size_t width, size_t height)
{
    return height == 0 || width == 0 ? 0 : pitch * (height - 1) + width;
}

static void count_copy(bool to_device, bool from_device, size_t bytes)
{
    cue_count("memcpys", 1);
    cue_count("memcpy_bytes", (int64_t)bytes);
    cue_count(to_device && from_device ? "memcpy_device_to_device_bytes"
              : to_device              ? "memcpy_host_to_device_bytes"
              : from_device            ? "memcpy_device_to_host_bytes"
                                       : "memcpy_host_to_host_bytes",
              (int64_t)bytes);
}

static void run_copy(cue_op_id op, const void *payload, size_t bytes)
{
    (void)bytes;
    const copy_payload *c = payload;
    const char *source = c->source != NULL ? c->source : (const char *)(c + 1);
    count_copy(is_device(c->destination), is_device(source), c->width * c->height);
    for (size_t row = 0; row < c->height; row++) {
        cue_error error = cue_mem_copy(op, c->destination + row * c->destination_pitch, source + row * c->source_pitch,
                                       c->width, c->name);
        if (error != CUE_SUCCESS) {
            cue_set_sticky_error((cudaError_t)error);
            return;
        }
    }
}

void cue_copy_started(cue_op_id op, const void *payload)
{
    const copy_payload *c = payload;
    if (c->pending_source)
        cue_pending_add(op, (void *)(uintptr_t)c->source, c->source_pitch, c->width, c->height, CUE_HOST_SOURCE);
    if (c->pending_target)
        cue_pending_add(op, c->destination, c->destination_pitch, c->width, c->height, CUE_HOST_TARGET);
}

/* direction: what `kind` says against where the pointers lie; cudaMemcpyDefault looks itself. */
static cudaError_t check_direction(const void *destination, const void *source, enum cudaMemcpyKind kind)
{
    bool to = is_device(destination), from = is_device(source);
    switch (kind) {
    case cudaMemcpyDefault:
        return cudaSuccess;
    case cudaMemcpyHostToHost:
        return !to && !from ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyHostToDevice:
        return to && !from ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyDeviceToHost:
        return !to && from ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyDeviceToDevice:
        return to && from ? cudaSuccess : cudaErrorInvalidValue;
    }
    return cudaErrorInvalidMemcpyDirection;
}

static cudaError_t check_arguments(const void *destination, size_t destination_pitch, const void *source,
                                   size_t source_pitch, size_t width, size_t height, enum cudaMemcpyKind kind)
{
    if (width == 0 || height == 0)
        return cudaSuccess;
    if (destination == NULL || source == NULL) {
        cue_complain(CUE_API, "copy of %zu bytes %s NULL", width * height, source == NULL ? "from" : "to");
        return cudaErrorInvalidValue;
    }
    if (width > destination_pitch || width > source_pitch)
        return cudaErrorInvalidPitchValue;
    cudaError_t error = check_direction(destination, source, kind);
    if (error != cudaSuccess)
        cue_complain(CUE_API, "the direction of the copy does not fit its pointers: %p is %s memory, %p is %s memory",
                     destination, is_device(destination) ? "device" : "host", source,
                     is_device(source) ? "device" : "host");
    return error;
}

/* Copies a pageable source behind the payload, as the runtime stages it before it returns. */
static copy_payload *stage(const copy_payload *c, size_t *bytes)
{
    *bytes = sizeof *c + c->width * c->height;
    copy_payload *staged = malloc(*bytes);
    if (staged == NULL)
        cue_fatal("no memory to stage a copy of %zu bytes", c->width * c->height);
    *staged = *c;
    staged->source = NULL;
    staged->source_pitch = c->width;
    for (size_t row = 0; row < c->height; row++)
        memcpy((char *)(staged + 1) + row * c->width, c->source + row * c->source_pitch, c->width);
    return staged;
}

/* cudaMemcpy from pageable memory waits for the stream, stages the bytes, and returns: earlier work is done, the copy
 * itself perhaps not. */
static void wait_before_staging(struct CUstream_st *stream)
{
    cue_count("synchronisations", 1);
    cue_stream_wait_now(stream);
}

static cudaError_t copy_2d(void *destination, size_t destination_pitch, const void *source, size_t source_pitch,
                           size_t width, size_t height, enum cudaMemcpyKind kind, cudaStream_t handle, bool synchronous)
{
    cudaError_t error = check_arguments(destination, destination_pitch, source, source_pitch, width, height, kind);
    struct CUstream_st *stream = cue_stream_find(handle);
    if (error != cudaSuccess || stream == NULL || width == 0 || height == 0)
        return stream == NULL ? cudaErrorInvalidResourceHandle : error;
    bool to_device = is_device(destination), from_device = is_device(source), captured = stream->capture != NULL;
    bool pinned_source = cue_pinned_find(source, cue_extent(source_pitch, width, height), NULL);
    bool pinned_target = cue_pinned_find(destination, cue_extent(destination_pitch, width, height), NULL);
    bool pageable_target = !to_device && !pinned_target;
    bool waits = (!to_device && synchronous) || (pinned_source && synchronous) || (pageable_target && !captured);
    copy_payload payload = {.destination = destination,
                            .source = source,
                            .destination_pitch = destination_pitch,
                            .source_pitch = source_pitch,
                            .width = width,
                            .height = height,
                            .name = cue_here().call,
                            .pending_source = !from_device && pinned_source && !waits,
                            .pending_target = !to_device && pinned_target && !waits};
    cue_work work = {.kind = CUE_WORK_MEMCPY,
                     .name = cue_here().call,
                     .site = cue_here(),
                     .run = run_copy,
                     .payload = &payload,
                     .payload_bytes = sizeof payload};
    if (synchronous && to_device && !from_device && !pinned_source && !captured)
        wait_before_staging(stream);
    copy_payload *staged = NULL;
    if (!from_device && !pinned_source && !captured)
        work.payload = staged = stage(&payload, &work.payload_bytes);
    if (staged != NULL && synchronous)
        work.name = "cudaMemcpy (from pageable memory: it returns before the copy is done)";
    error = cue_submit(handle, &work);
    free(staged);
    if (error == cudaSuccess && waits) {
        if (synchronous)
            cue_count("synchronisations", 1);
        else
            cue_count("pageable_waits", 1);
        cue_stream_wait_now(stream);
        error = cue_sticky_error();
    }
    return error;
}

_Static_assert(sizeof(copy_payload) <= CUE_COPY_BYTES, "storage in internal.h");

cudaError_t cue_copy_work(cue_work *work, void *storage, void *destination, const void *source, size_t bytes,
                          enum cudaMemcpyKind kind)
{
    cudaError_t error = check_arguments(destination, bytes, source, bytes, bytes, 1, kind);
    copy_payload *payload = storage;
    *payload = (copy_payload){.destination = destination,
                              .source = source,
                              .destination_pitch = bytes,
                              .source_pitch = bytes,
                              .width = bytes,
                              .height = bytes > 0,
                              .name = "copy node",
                              .pending_source = cue_pinned_find(source, bytes, NULL),
                              .pending_target = cue_pinned_find(destination, bytes, NULL)};
    *work = (cue_work){.kind = CUE_WORK_MEMCPY,
                       .name = payload->name,
                       .site = cue_here(),
                       .run = run_copy,
                       .payload = payload,
                       .payload_bytes = sizeof *payload};
    return error;
}

cudaError_t cue_copy(void *destination, const void *source, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream,
                     bool synchronous)
{
    return copy_2d(destination, bytes, source, bytes, bytes, bytes > 0, kind, stream, synchronous);
}

cudaError_t cudaMemcpy(void *destination, const void *source, size_t bytes, enum cudaMemcpyKind kind)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : cue_copy(destination, source, bytes, kind, NULL, true));
}

cudaError_t cudaMemcpyAsync(void *destination, const void *source, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : cue_copy(destination, source, bytes, kind, stream, false));
}

cudaError_t cudaMemcpy2D(void *destination, size_t destination_pitch, const void *source, size_t source_pitch,
                         size_t width, size_t height, enum cudaMemcpyKind kind)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess)
        error = copy_2d(destination, destination_pitch, source, source_pitch, width, height, kind, NULL, true);
    return cue_leave(error);
}

cudaError_t cudaMemcpy2DAsync(void *destination, size_t destination_pitch, const void *source, size_t source_pitch,
                              size_t width, size_t height, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess)
        error = copy_2d(destination, destination_pitch, source, source_pitch, width, height, kind, stream, false);
    return cue_leave(error);
}
