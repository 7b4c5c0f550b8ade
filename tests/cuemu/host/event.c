/* event.c: events stand for the operation that recorded them, or, recorded in a captured stream, for graph nodes. */
#include "internal.h"

#include <stdlib.h>

enum {
    QUERIES_UNTIL_DONE = 3,
    KNOWN_FLAGS = cudaEventBlockingSync | cudaEventDisableTiming | cudaEventInterprocess,
};

static struct CUevent_st *find(cudaEvent_t event)
{
    return cue_handle_get(event, CUE_EVENT_HANDLE);
}

static cudaError_t create(cudaEvent_t *out, unsigned flags)
{
    if (out == NULL || (flags & ~(unsigned)KNOWN_FLAGS) != 0)
        return cudaErrorInvalidValue;
    if ((flags & cudaEventInterprocess) != 0)
        cue_fatal("events shared between processes are not implemented");
    struct CUevent_st *e = cue_handle_new(CUE_EVENT_HANDLE, sizeof *e);
    if (e == NULL)
        return cudaErrorMemoryAllocation;
    e->flags = flags;
    *out = e;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : create(event, cudaEventDefault));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : create(event, flags));
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    struct CUevent_st *e = error == cudaSuccess ? find(event) : NULL;
    if (error == cudaSuccess && e == NULL)
        error = cudaErrorInvalidResourceHandle;
    if (e != NULL) {
        cue_op_release(e->op);
        e->op = NULL;
        free(e->nodes);
        e->nodes = NULL;
        cue_handle_drop(e);
    }
    return cue_leave(error);
}

static cudaError_t record(cudaEvent_t event, cudaStream_t stream)
{
    struct CUevent_st *e = find(event);
    struct CUstream_st *s = cue_stream_find(stream);
    if (e == NULL || s == NULL)
        return cudaErrorInvalidResourceHandle;
    e->queries = 0;
    if (s->capture != NULL)
        return cue_capture_record(e, s);
    cudaError_t error = cue_capture_check_implicit(s);
    if (error != cudaSuccess)
        return error;
    cue_work work = {.kind = CUE_WORK_EVENT_RECORD, .name = "event record", .site = cue_here()};
    cue_op *op = cue_stream_append(s, &work, NULL, 0);
    cue_op_release(e->op);
    e->op = op;
    e->capture = NULL;
    cue_op_after_enqueue(op);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : record(event, stream));
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned int flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess && flags == cudaEventRecordExternal)
        cue_fatal("cudaEventRecordWithFlags(cudaEventRecordExternal) is not implemented");
    return cue_leave(error != cudaSuccess ? error : flags != 0 ? cudaErrorInvalidValue : record(event, stream));
}

static cudaError_t wait_event(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    struct CUevent_st *e = find(event);
    struct CUstream_st *s = cue_stream_find(stream);
    if (e == NULL || s == NULL)
        return cudaErrorInvalidResourceHandle;
    if (flags == cudaEventWaitExternal)
        cue_fatal("cudaStreamWaitEvent(cudaEventWaitExternal) is not implemented");
    if (flags != 0)
        return cudaErrorInvalidValue;
    if (e->capture != NULL || s->capture != NULL)
        return cue_capture_wait(s, e);
    cudaError_t error = cue_capture_check_implicit(s);
    if (error != cudaSuccess || e->op == NULL) /* an event that was never recorded holds nothing back */
        return error;
    cue_work work = {.kind = CUE_WORK_EVENT_WAIT, .name = "wait for an event", .site = cue_here()};
    cue_op *op = cue_stream_append(s, &work, &e->op, 1);
    cue_op_after_enqueue(op);
    cue_op_release(op);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : wait_event(stream, event, flags));
}

static cudaError_t wait_now(struct CUevent_st *e)
{
    cue_op_require(e->op);
    cue_host_joins(e->op);
    cue_pending_settle();
    return cue_sticky_error();
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_SYNCHRONISES);
    struct CUevent_st *e = error == cudaSuccess ? find(event) : NULL;
    if (error == cudaSuccess)
        error = e == NULL ? cudaErrorInvalidResourceHandle : cue_capture_check_event(e);
    return cue_leave(error != cudaSuccess ? error : wait_now(e));
}

static cudaError_t query(cudaEvent_t event)
{
    struct CUevent_st *e = find(event);
    if (e == NULL)
        return cudaErrorInvalidResourceHandle;
    cudaError_t error = cue_capture_check_event(e);
    if (error != cudaSuccess)
        return error;
    if (!cue_op_is_done(e->op) && ++e->queries <= QUERIES_UNTIL_DONE)
        return cudaErrorNotReady;
    e->queries = 0;
    return wait_now(e);
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE | CUE_UNSAFE);
    if (error == cudaSuccess)
        error = query(event);
    return error == cudaErrorNotReady ? cue_leave_quietly(error) : cue_leave(error);
}

/* Times are those of the machine that emulates: positive, and good for nothing but to run programs that print them. */
static cudaError_t elapsed(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    struct CUevent_st *a = find(start), *b = find(end);
    if (a == NULL || b == NULL)
        return cudaErrorInvalidResourceHandle;
    if (ms == NULL)
        return cudaErrorInvalidValue;
    if (((a->flags | b->flags) & cudaEventDisableTiming) != 0 || a->op == NULL || b->op == NULL) {
        cue_complain(CUE_API, "elapsed time between events of which one %s",
                     a->op == NULL || b->op == NULL ? "was never recorded" : "was made with cudaEventDisableTiming");
        return cudaErrorInvalidResourceHandle;
    }
    if (!cue_op_is_done(a->op) || !cue_op_is_done(b->op))
        return cudaErrorNotReady;
    double difference = cue_op_finished_at(b->op) - cue_op_finished_at(a->op);
    *ms = (float)(difference * 1e3);
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess)
        error = elapsed(ms, start, end);
    return error == cudaErrorNotReady ? cue_leave_quietly(error) : cue_leave(error);
}
