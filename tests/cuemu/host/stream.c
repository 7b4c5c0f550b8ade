/* stream.c: streams and the one way by which work gets into them.
 *
 * The legacy default stream waits for all blocking streams and they wait for it; non-blocking streams do neither.
 * A destroyed stream's work goes on, so a blocking one keeps its place in that order until its work has run. */
#include "internal.h"

#include <stdlib.h>

static struct CUstream_st legacy;
static struct CUstream_st *streams; /* all but the default one */
static _Thread_local struct CUstream_st *per_thread;
static unsigned stream_number;
static bool legacy_ready;

enum { QUERIES_UNTIL_DONE = 3, LEAST_PRIORITY = 0, GREATEST_PRIORITY = -5 };

static struct CUstream_st *default_stream(void)
{
    if (!legacy_ready) {
        legacy.lane = cue_lane_new();
        legacy_ready = true;
    }
    return &legacy;
}

static void link_stream(struct CUstream_st *s, unsigned flags, int priority)
{
    s->lane = cue_lane_new();
    s->number = ++stream_number;
    s->flags = flags;
    s->nonblocking = (flags & cudaStreamNonBlocking) != 0;
    s->priority = priority;
    s->next = streams;
    streams = s;
}

struct CUstream_st *cue_stream_find(cudaStream_t stream)
{
    if (stream == NULL || stream == cudaStreamLegacy)
        return default_stream();
    if (stream == cudaStreamPerThread) {
        if (per_thread == NULL) {
            per_thread = calloc(1, sizeof *per_thread);
            if (per_thread == NULL)
                cue_fatal("no memory for the thread's default stream");
            link_stream(per_thread, 0, LEAST_PRIORITY);
        }
        return per_thread;
    }
    return cue_handle_get(stream, CUE_STREAM_HANDLE);
}

struct CUstream_st *cue_stream_list(void)
{
    return streams;
}

/* Destroyed streams leave the list when nothing of them is pending. */
static void drop_finished(void)
{
    for (struct CUstream_st **link = &streams; *link != NULL;) {
        struct CUstream_st *s = *link;
        if (s->destroyed && cue_op_is_done(s->last)) {
            *link = s->next;
            cue_op_release(s->last);
            s->last = NULL;
        } else {
            link = &s->next;
        }
    }
}

cue_op *cue_stream_append(struct CUstream_st *stream, const cue_work *work, cue_op *const *extra, int extra_count)
{
    int count = extra_count + 2;
    for (const struct CUstream_st *s = streams; s != NULL; s = s->next)
        count++;
    cue_op **deps = calloc((size_t)count, sizeof *deps);
    if (deps == NULL)
        cue_fatal("no memory for an operation");
    count = 0;
    deps[count++] = stream->last;
    for (int i = 0; i < extra_count; i++)
        deps[count++] = extra[i];
    if (stream == &legacy) {
        for (const struct CUstream_st *s = streams; s != NULL; s = s->next)
            if (!s->nonblocking)
                deps[count++] = s->last;
    } else if (!stream->nonblocking) {
        deps[count++] = legacy.last;
    }
    cue_op *op = cue_op_new(stream->lane, stream->number, work, deps, count);
    free(deps);
    cue_op_release(stream->last);
    stream->last = cue_op_hold(op);
    stream->queries = 0;
    return op;
}

cudaError_t cue_submit(cudaStream_t handle, const cue_work *work)
{
    struct CUstream_st *stream = cue_stream_find(handle);
    if (stream == NULL)
        return cudaErrorInvalidResourceHandle;
    if (stream->capture != NULL)
        return cue_capture_append(stream, work);
    cudaError_t error = cue_capture_check_implicit(stream);
    if (error != cudaSuccess)
        return error;
    cue_op *op = cue_stream_append(stream, work, NULL, 0);
    cue_op_after_enqueue(op);
    cue_op_release(op);
    return cudaSuccess;
}

void cue_stream_wait_now(struct CUstream_st *stream)
{
    if (stream == &legacy)
        for (struct CUstream_st *s = streams; s != NULL; s = s->next)
            if (!s->nonblocking) {
                cue_op_require(s->last);
                cue_host_joins(s->last);
            }
    cue_op_require(stream->last);
    cue_host_joins(stream->last);
    cue_pending_settle();
    drop_finished();
}

void cue_device_wait_now(void)
{
    cue_op_require_all();
    cue_host_joins_all();
    cue_pending_settle();
    drop_finished();
}

void cue_streams_reset(void)
{
    while (streams != NULL) {
        cue_op_release(streams->last);
        streams->last = NULL;
        streams = streams->next;
    }
    cue_op_release(legacy.last);
    legacy.last = NULL;
    per_thread = NULL;
}

/* ---------------------------------------------------------------------- exported */

static cudaError_t create(cudaStream_t *out, unsigned flags, int priority)
{
    if (out == NULL || (flags & ~(unsigned)cudaStreamNonBlocking) != 0)
        return cudaErrorInvalidValue;
    struct CUstream_st *s = cue_handle_new(CUE_STREAM_HANDLE, sizeof *s);
    if (s == NULL)
        return cudaErrorMemoryAllocation;
    if (priority > LEAST_PRIORITY)
        priority = LEAST_PRIORITY;
    link_stream(s, flags, priority < GREATEST_PRIORITY ? GREATEST_PRIORITY : priority);
    *out = s;
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : create(stream, cudaStreamDefault, LEAST_PRIORITY));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : create(stream, flags, LEAST_PRIORITY));
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned int flags, int priority)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : create(stream, flags, priority));
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess && least != NULL)
        *least = LEAST_PRIORITY;
    if (error == cudaSuccess && greatest != NULL)
        *greatest = GREATEST_PRIORITY;
    return cue_leave(error);
}

static cudaError_t destroy(cudaStream_t stream)
{
    if (stream == NULL || stream == cudaStreamLegacy || stream == cudaStreamPerThread) {
        cue_complain(CUE_API, "the default stream cannot be destroyed");
        return cudaErrorInvalidResourceHandle;
    }
    struct CUstream_st *s = cue_stream_find(stream);
    if (s == NULL)
        return cudaErrorInvalidResourceHandle;
    if (s->capture != NULL)
        cue_capture_drop_stream(s);
    cue_handle_drop(s);
    s->destroyed = true;
    cue_lane_release(s->lane);
    drop_finished();
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    return cue_leave(error != cudaSuccess ? error : destroy(stream));
}

static cudaError_t synchronise(cudaStream_t stream)
{
    struct CUstream_st *s = cue_stream_find(stream);
    if (s == NULL)
        return cudaErrorInvalidResourceHandle;
    cudaError_t error = cue_capture_check_stream_wait(s);
    if (error != cudaSuccess)
        return error;
    cue_stream_wait_now(s);
    return cue_sticky_error();
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_SYNCHRONISES);
    return cue_leave(error != cudaSuccess ? error : synchronise(stream));
}

static bool is_busy(const struct CUstream_st *stream)
{
    if (!cue_op_is_done(stream->last))
        return true;
    if (stream == &legacy)
        for (const struct CUstream_st *s = streams; s != NULL; s = s->next)
            if (!s->nonblocking && !cue_op_is_done(s->last))
                return true;
    return false;
}

/* A program that polls must see an end, also when nothing else makes the work run. */
static cudaError_t query(cudaStream_t stream)
{
    struct CUstream_st *s = cue_stream_find(stream);
    if (s == NULL)
        return cudaErrorInvalidResourceHandle;
    cudaError_t error = cue_capture_check_stream_wait(s);
    if (error != cudaSuccess)
        return error;
    if (is_busy(s) && ++s->queries <= QUERIES_UNTIL_DONE)
        return cudaErrorNotReady;
    s->queries = 0;
    cue_stream_wait_now(s);
    return cue_sticky_error();
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess)
        error = query(stream);
    return error == cudaErrorNotReady ? cue_leave_quietly(error) : cue_leave(error);
}

cudaError_t cudaDeviceSynchronize(void)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_SYNCHRONISES);
    if (error == cudaSuccess)
        error = cue_capture_check_device_wait();
    if (error == cudaSuccess) {
        cue_device_wait_now();
        error = cue_sticky_error();
    }
    return cue_leave(error);
}

cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned int *flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    const struct CUstream_st *s = error == cudaSuccess ? cue_stream_find(stream) : NULL;
    if (error == cudaSuccess && (s == NULL || flags == NULL))
        error = s == NULL ? cudaErrorInvalidResourceHandle : cudaErrorInvalidValue;
    if (error == cudaSuccess)
        *flags = s->flags;
    return cue_leave(error);
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int *priority)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    const struct CUstream_st *s = error == cudaSuccess ? cue_stream_find(stream) : NULL;
    if (error == cudaSuccess && (s == NULL || priority == NULL))
        error = s == NULL ? cudaErrorInvalidResourceHandle : cudaErrorInvalidValue;
    if (error == cudaSuccess)
        *priority = s->priority;
    return cue_leave(error);
}

cudaError_t cudaStreamGetId(cudaStream_t stream, unsigned long long *id)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    const struct CUstream_st *s = error == cudaSuccess ? cue_stream_find(stream) : NULL;
    if (error == cudaSuccess && (s == NULL || id == NULL))
        error = s == NULL ? cudaErrorInvalidResourceHandle : cudaErrorInvalidValue;
    if (error == cudaSuccess)
        *id = s->number;
    return cue_leave(error);
}

cudaError_t cudaStreamGetDevice(cudaStream_t stream, int *device)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess && (device == NULL || cue_stream_find(stream) == NULL))
        error = device == NULL ? cudaErrorInvalidValue : cudaErrorInvalidResourceHandle;
    if (error == cudaSuccess)
        *device = 0;
    return cue_leave(error);
}
