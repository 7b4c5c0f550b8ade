/* capture.c: streams that record into a graph instead of running, and what is forbidden meanwhile.
 *
 * CUDA's rules, from the descriptions of cudaStreamBeginCapture and cudaThreadExchangeStreamCaptureMode: an event that
 * was recorded in a captured stream pulls the streams that wait for it into the same capture; all of them must be
 * joined to the origin before the end; a call that breaks a rule fails, and the captures that it hurts fail at their
 * end with cudaErrorStreamCaptureInvalidated. */
#include "internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct cue_capture {
    struct CUgraph_st *graph;
    struct CUstream_st *origin;
    enum cudaStreamCaptureMode mode;
    pthread_t thread;
    unsigned long long id;
    bool invalid, ended;
    cudaGraphNode_t *dependencies; /* what cudaStreamGetCaptureInfo gave out last */
    cue_capture *next;
};

/* Captures are never freed: an event may point to one that has ended. */
static cue_capture *captures;
static unsigned long long capture_id;
static _Thread_local enum cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

static void add_tail(int **tail, int *count, int node)
{
    for (int i = 0; i < *count; i++)
        if ((*tail)[i] == node)
            return;
    int *grown = realloc(*tail, sizeof **tail * ((size_t)*count + 1));
    if (grown == NULL)
        cue_fatal("no memory for a capture");
    grown[(*count)++] = node;
    *tail = grown;
}

static void set_tail(int **tail, int *count, const int *from, int n)
{
    *count = 0;
    for (int i = 0; i < n; i++)
        add_tail(tail, count, from[i]);
}

/* ---------------------------------------------------------------------- rules */

static cudaError_t violated(cue_capture *capture, cudaError_t error, const char *why)
{
    if (!capture->invalid)
        cue_complain(CUE_CAPTURE, "%s: %s fails with %s, and the capture begun on stream %u is lost", why,
                     cue_here().call, cudaGetErrorName(error), capture->origin->number);
    capture->invalid = true;
    return error;
}

/* forbids_unsafe: this thread's own capture, or any thread's global one, unless this thread is relaxed. */
static bool forbids_unsafe(const cue_capture *c)
{
    if (c->ended || c->mode == cudaStreamCaptureModeRelaxed || thread_mode == cudaStreamCaptureModeRelaxed)
        return false;
    if (pthread_equal(c->thread, pthread_self()))
        return true;
    return c->mode == cudaStreamCaptureModeGlobal && thread_mode == cudaStreamCaptureModeGlobal;
}

cudaError_t cue_capture_check_unsafe(void)
{
    cudaError_t error = cudaSuccess;
    for (cue_capture *c = captures; c != NULL; c = c->next)
        if (forbids_unsafe(c))
            error = violated(c, cudaErrorStreamCaptureUnsupported, "not allowed while a stream is captured");
    return error;
}

cudaError_t cue_capture_check_device_wait(void)
{
    cudaError_t error = cudaSuccess;
    for (cue_capture *c = captures; c != NULL; c = c->next)
        if (!c->ended)
            error = violated(c, cudaErrorStreamCaptureUnsupported, "the device cannot be waited for during a capture");
    return error;
}

static bool has_blocking_member(const cue_capture *c)
{
    for (const struct CUstream_st *s = cue_stream_list(); s != NULL; s = s->next)
        if (s->capture == c && !s->nonblocking)
            return true;
    return false;
}

cudaError_t cue_capture_check_implicit(const struct CUstream_st *stream)
{
    if (stream->number != 0)
        return cudaSuccess;
    cudaError_t error = cudaSuccess;
    for (cue_capture *c = captures; c != NULL; c = c->next)
        if (!c->ended && has_blocking_member(c))
            error = violated(c, cudaErrorStreamCaptureImplicit,
                             "the default stream would have to wait for a captured blocking stream");
    return error;
}

cudaError_t cue_capture_check_stream_wait(struct CUstream_st *stream)
{
    if (stream->capture != NULL)
        return violated(stream->capture, cudaErrorStreamCaptureUnsupported, "a captured stream cannot be waited for");
    return cue_capture_check_implicit(stream);
}

cudaError_t cue_capture_check_event(struct CUevent_st *event)
{
    if (event->capture == NULL)
        return cudaSuccess;
    if (!event->capture->ended)
        return violated(event->capture, cudaErrorCapturedEvent, "the event was recorded in a captured stream");
    cue_complain(CUE_CAPTURE, "the event was last recorded in a capture, so it never happens outside the graph");
    return cudaErrorCapturedEvent;
}

/* ---------------------------------------------------------------------- recording */

cudaError_t cue_capture_append(struct CUstream_st *stream, const cue_work *work)
{
    cue_capture *c = stream->capture;
    if (c->invalid)
        return cudaErrorStreamCaptureInvalidated;
    struct CUgraphNode_st *node = cue_graph_add(c->graph, work, stream->capture_tail, stream->capture_tail_count);
    if (node == NULL)
        return violated(c, cudaErrorMemoryAllocation, "no memory for a graph node");
    set_tail(&stream->capture_tail, &stream->capture_tail_count, &node->index, 1);
    return cudaSuccess;
}

cudaError_t cue_capture_record(struct CUevent_st *event, struct CUstream_st *stream)
{
    if (stream->capture->invalid)
        return cudaErrorStreamCaptureInvalidated;
    event->capture = stream->capture;
    set_tail(&event->nodes, &event->node_count, stream->capture_tail, stream->capture_tail_count);
    return cudaSuccess;
}

cudaError_t cue_capture_wait(struct CUstream_st *stream, struct CUevent_st *event)
{
    cue_capture *c = stream->capture;
    if (event->capture == NULL && event->op == NULL)
        return cudaSuccess;
    if (event->capture == NULL)
        return violated(c, cudaErrorStreamCaptureIsolation,
                        "a captured stream cannot wait for work outside the capture");
    if (event->capture->ended)
        return cue_capture_check_event(event);
    if (event->capture->invalid)
        return cudaErrorStreamCaptureInvalidated;
    if (c != NULL && c != event->capture) {
        violated(c, cudaErrorStreamCaptureMerge, "two captures cannot be joined");
        return violated(event->capture, cudaErrorStreamCaptureMerge, "two captures cannot be joined");
    }
    if (stream->number == 0)
        return violated(event->capture, cudaErrorStreamCaptureImplicit, "the default stream cannot be captured");
    if (c == NULL) {
        stream->capture = event->capture;
        stream->capture_tail_count = 0;
    }
    for (int i = 0; i < event->node_count; i++)
        add_tail(&stream->capture_tail, &stream->capture_tail_count, event->nodes[i]);
    return cudaSuccess;
}

void cue_capture_drop_stream(struct CUstream_st *stream)
{
    violated(stream->capture, cudaErrorStreamCaptureInvalidated, "a captured stream is destroyed");
    if (stream->capture->origin == stream)
        stream->capture->ended = true;
    stream->capture = NULL;
}

static cudaError_t begin(cudaStream_t handle, enum cudaStreamCaptureMode mode)
{
    struct CUstream_st *stream = cue_stream_find(handle);
    if (stream == NULL)
        return cudaErrorInvalidResourceHandle;
    if (mode < cudaStreamCaptureModeGlobal || mode > cudaStreamCaptureModeRelaxed)
        return cudaErrorInvalidValue;
    if (stream->number == 0) {
        cue_complain(CUE_CAPTURE, "the default stream cannot be captured");
        return cudaErrorStreamCaptureUnsupported;
    }
    if (stream->capture != NULL) {
        cue_complain(CUE_CAPTURE, "the stream is captured already");
        return cudaErrorIllegalState;
    }
    cue_capture *c = calloc(1, sizeof *c);
    if (c == NULL || (c->graph = cue_handle_new(CUE_GRAPH_HANDLE, sizeof *c->graph)) == NULL) {
        free(c);
        return cudaErrorMemoryAllocation;
    }
    c->origin = stream;
    c->mode = mode;
    c->thread = pthread_self();
    c->id = ++capture_id;
    c->next = captures;
    captures = c;
    stream->capture = c;
    stream->capture_tail_count = 0;
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : begin(stream, mode));
}

/* ---------------------------------------------------------------------- ending */

/* Marks what the origin's tail reaches; a node depends on smaller indices, so one pass downwards is enough. */
static bool everything_joined(const cue_capture *c)
{
    const struct CUgraph_st *g = c->graph;
    bool joined = true;
    bool *reached = calloc((size_t)g->count + 1, sizeof *reached);
    if (reached == NULL)
        cue_fatal("no memory for a capture");
    for (int i = 0; i < c->origin->capture_tail_count; i++)
        reached[c->origin->capture_tail[i]] = true;
    for (int i = g->count - 1; i >= 0; i--)
        if (reached[i])
            for (int d = 0; d < g->nodes[i]->dep_count; d++)
                reached[g->nodes[i]->deps[d]] = true;
    for (const struct CUstream_st *s = cue_stream_list(); s != NULL; s = s->next)
        for (int i = 0; s->capture == c && i < s->capture_tail_count; i++)
            joined = joined && reached[s->capture_tail[i]];
    free(reached);
    return joined;
}

static void close_capture(cue_capture *c)
{
    c->ended = true;
    for (struct CUstream_st *s = cue_stream_list(); s != NULL; s = s->next)
        if (s->capture == c) {
            s->capture = NULL;
            s->capture_tail_count = 0;
        }
}

static cudaError_t end(cudaStream_t handle, cudaGraph_t *out)
{
    struct CUstream_st *stream = cue_stream_find(handle);
    if (stream == NULL)
        return cudaErrorInvalidResourceHandle;
    if (out == NULL)
        return cudaErrorInvalidValue;
    *out = NULL;
    cue_capture *c = stream->capture;
    if (c == NULL) {
        cue_complain(CUE_CAPTURE, "the stream is not captured");
        return cudaErrorIllegalState;
    }
    if (c->origin != stream)
        return violated(c, cudaErrorStreamCaptureUnmatched, "the capture was not begun on this stream");
    if (c->mode != cudaStreamCaptureModeRelaxed && !pthread_equal(c->thread, pthread_self()))
        return violated(c, cudaErrorStreamCaptureWrongThread, "the capture was begun by another thread");
    cudaError_t error = cudaSuccess;
    if (c->invalid)
        error = cudaErrorStreamCaptureInvalidated;
    else if (!everything_joined(c))
        error = violated(c, cudaErrorStreamCaptureUnjoined, "work on a forked stream was never joined to the origin");
    close_capture(c);
    if (error != cudaSuccess) {
        cue_graph_clear(c->graph);
        cue_handle_drop(c->graph);
        return error;
    }
    cue_handle_made_here(c->graph);
    *out = c->graph;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : end(stream, graph));
}

/* ---------------------------------------------------------------------- asking */

static enum cudaStreamCaptureStatus status_of(const struct CUstream_st *s)
{
    return s->capture == NULL    ? cudaStreamCaptureStatusNone
           : s->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                 : cudaStreamCaptureStatusActive;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    const struct CUstream_st *s = error == cudaSuccess ? cue_stream_find(stream) : NULL;
    if (error == cudaSuccess && (s == NULL || status == NULL))
        error = s == NULL ? cudaErrorInvalidResourceHandle : cudaErrorInvalidValue;
    if (error == cudaSuccess)
        error = cue_capture_check_implicit(s);
    if (error == cudaSuccess)
        *status = status_of(s);
    return cue_leave(error);
}

static cudaError_t info(cudaStream_t stream, enum cudaStreamCaptureStatus *status, unsigned long long *id,
                        cudaGraph_t *graph, const cudaGraphNode_t **deps, const cudaGraphEdgeData **edges,
                        size_t *dep_count)
{
    const struct CUstream_st *s = cue_stream_find(stream);
    if (s == NULL || status == NULL)
        return s == NULL ? cudaErrorInvalidResourceHandle : cudaErrorInvalidValue;
    *status = status_of(s);
    if (*status != cudaStreamCaptureStatusActive)
        return cudaSuccess;
    cue_capture *c = s->capture;
    if (id != NULL)
        *id = c->id;
    if (graph != NULL)
        *graph = c->graph;
    if (edges != NULL)
        *edges = NULL;
    if (dep_count != NULL)
        *dep_count = (size_t)s->capture_tail_count;
    if (deps != NULL) {
        free(c->dependencies);
        c->dependencies = calloc((size_t)s->capture_tail_count + 1, sizeof *c->dependencies);
        if (c->dependencies == NULL)
            return cudaErrorMemoryAllocation;
        for (int i = 0; i < s->capture_tail_count; i++)
            c->dependencies[i] = c->graph->nodes[s->capture_tail[i]];
        *deps = c->dependencies;
    }
    return cudaSuccess;
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, enum cudaStreamCaptureStatus *status, unsigned long long *id,
                                     cudaGraph_t *graph, const cudaGraphNode_t **dependencies,
                                     const cudaGraphEdgeData **edge_data, size_t *dependency_count)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess)
        error = info(stream, status, id, graph, dependencies, edge_data, dependency_count);
    return cue_leave(error);
}

cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *mode)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    if (error == cudaSuccess && mode == NULL)
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess) {
        enum cudaStreamCaptureMode old = thread_mode;
        thread_mode = *mode;
        *mode = old;
    }
    return cue_leave(error);
}
