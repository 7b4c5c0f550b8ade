/* internal.h: what the files of host/ and cublas/ share. device/ sees none of it; it knows cuemu.h alone.
 *
 * One recursive lock guards everything: each exported function takes it in cue_enter and gives it back in cue_leave.
 * Work that a program enqueues becomes an operation (op.c) or, while a stream is captured, a graph node (capture.c). */
#ifndef CUE_HOST_INTERNAL_H
#define CUE_HOST_INTERNAL_H

#include <cuda_runtime_api.h>

#include "cuemu.h"

/* ------------------------------------------------------------------ entering and leaving (api.c) */
typedef struct cue_site {
    const char *call;    /* exported function that the program called */
    const void *address; /* where it called it from */
} cue_site;

#define CUE_HERE __func__, __builtin_return_address(0)

enum {
    CUE_ALWAYS = 0,           /* may be called in any state */
    CUE_UNSAFE = 1,           /* prohibited while a capture forbids potentially unsafe calls */
    CUE_DEVICE = 2,           /* returns the sticky error once there is one */
    CUE_SYNCHRONISES = 4 | 2, /* waits for the device: counted */
};

/* cue_enter: takes the lock; an error means that the call must do nothing but cue_leave(error). */
cudaError_t cue_enter(const char *call, const void *address, int flags);
/* cue_leave: remembers an error for cudaGetLastError, gives the lock back, returns its argument. */
cudaError_t cue_leave(cudaError_t error);
cudaError_t cue_leave_quietly(cudaError_t error); /* cudaErrorNotReady and the like: not remembered */

cue_site cue_here(void);          /* the call being served */
void cue_set_site(cue_site site); /* a launch through nvcc's stub happened where <<<>>> stands */
cudaError_t cue_sticky_error(void);
void cue_set_sticky_error(cudaError_t error);
void cue_clear_errors(void);

/* cue_complain: report with the place of the current call. */
void cue_complain(cue_report_kind kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------------------ source places (site.c) */
/* "train.c:57", or "libfoo.so+0x1234" where there is no line; the text is kept for ever. */
const char *cue_site_text(const void *address);
void cue_site_place(cue_site site, cue_place *place);
const char *cue_intern(const char *text); /* same text, same pointer, never freed */

/* ------------------------------------------------------------------ handles (handle.c) */
typedef enum cue_handle_kind {
    CUE_STREAM_HANDLE,
    CUE_EVENT_HANDLE,
    CUE_GRAPH_HANDLE,
    CUE_GRAPH_EXEC_HANDLE,
    CUE_BLAS_HANDLE,
    CUE_BLASLT_HANDLE,
    CUE_BLASLT_OBJECT, /* descriptors, layouts, preferences */
} cue_handle_kind;

/* cue_handle_new: zeroed memory, remembered with the place; NULL where there is none.
 * cue_handle_get: the handle if it is alive and of that kind. Otherwise reports what is wrong and returns NULL.
 * cue_handle_drop: dead from now on; the memory stays so that a later use is recognised. */
void *cue_handle_new(cue_handle_kind kind, size_t bytes);
void *cue_handle_get(const void *handle, cue_handle_kind kind);
void cue_handle_made_here(void *handle); /* a leak is reported at this call */
void cue_handle_drop(void *handle);
void cue_handle_report_leaks(void);
void cue_handle_forget_all(void); /* cudaDeviceReset */

/* ------------------------------------------------------------------ work */
typedef enum cue_work_kind {
    CUE_WORK_KERNEL,
    CUE_WORK_LIBRARY, /* a kernel of cuBLAS */
    CUE_WORK_MEMCPY,
    CUE_WORK_MEMSET,
    CUE_WORK_HOST,
    CUE_WORK_EMPTY,
    CUE_WORK_EVENT_RECORD,
    CUE_WORK_EVENT_WAIT,
    CUE_WORK_MEMORY, /* cudaMallocAsync, cudaFreeAsync */
} cue_work_kind;

/* run: does the work now. The payload is flat: it can be copied with memcpy. Never called with the arena unlocked. */
typedef void cue_work_fn(cue_op_id op, const void *payload, size_t bytes);

typedef struct cue_work {
    cue_work_kind kind;
    const char *name; /* static or interned */
    cue_site site;
    cue_work_fn *run; /* NULL: nothing to do, only an order */
    const void *payload;
    size_t payload_bytes;
} cue_work;

/* ------------------------------------------------------------------ clocks (clock.c) */
typedef struct cue_clock {
    uint32_t *seen; /* per lane, the number of the last operation that comes before */
    int lanes;
} cue_clock;

int cue_lane_new(void);
void cue_lane_release(int lane);
cue_clock cue_clock_of_host(void); /* a copy of what the host has waited for */
void cue_clock_free(cue_clock *clock);
/* cue_clock_join: other is not longer than clock: it is older. */
void cue_clock_join(cue_clock *clock, const cue_clock *other);
uint32_t cue_clock_step(cue_clock *clock, int lane); /* number of the lane's next operation, whose clock this is */
bool cue_clock_covers(const cue_clock *clock, int lane, uint32_t number);
bool cue_host_clock_covers(int lane, uint32_t number);
void cue_host_clock_join(const cue_clock *clock);
void cue_host_joins_all(void); /* the host has waited for everything */

/* ------------------------------------------------------------------ operations (op.c) */
typedef struct cue_op cue_op;

/* cue_op_new: appends an operation to a lane, after deps (NULLs and finished ones are fine), and after all that the
 * host has synchronised with. The caller gets one reference. stream_number is for texts. */
cue_op *cue_op_new(int lane, unsigned stream_number, const cue_work *work, cue_op *const *deps, int dep_count);
cue_op *cue_op_hold(cue_op *op);
void cue_op_release(cue_op *op); /* NULL is fine */
bool cue_op_is_done(const cue_op *op);
void cue_op_require(cue_op *op); /* runs it, and before it what it needs; NULL is fine */
void cue_op_require_all(void);   /* runs everything that is pending */
void cue_op_after_enqueue(
    cue_op *op);                 /* what the mode does with a new operation: run it, wait, or let chance run some */
void cue_op_some_progress(void); /* random mode: perhaps run something */
void cue_host_joins(const cue_op *op); /* the host has waited for it */
bool cue_host_knows(cue_op_id op);     /* the host has waited for it, or for something after it */
bool cue_op_has_run(cue_op_id op);
cue_site cue_op_site(cue_op_id op);          /* where it was enqueued */
double cue_op_finished_at(const cue_op *op); /* seconds, when it ran */
cue_op_id cue_op_running(void);              /* 0 outside */

/* ------------------------------------------------------------------ streams, events (stream.c, event.c) */
typedef struct cue_capture cue_capture;

struct CUstream_st {
    int lane;
    unsigned number; /* 0: the legacy default stream */
    bool nonblocking;
    unsigned flags;
    int priority;
    cue_op *last;
    /* while it is captured */
    cue_capture *capture;
    int *capture_tail; /* nodes that the next one depends on */
    int capture_tail_count;
    int queries; /* in a row that found it busy */
    bool destroyed;
    struct CUstream_st *next;
};

struct CUevent_st {
    unsigned flags;
    cue_op *op; /* last record */
    bool recorded;
    cue_capture *capture; /* last recorded in that capture, or NULL */
    int *nodes;           /* what it stands for there */
    int node_count;
    int queries; /* in a row that found it unfinished */
};

/* cue_stream_find: NULL and cudaStreamLegacy give the default stream; a bad handle is reported, NULL returned. */
struct CUstream_st *cue_stream_find(cudaStream_t stream);
struct CUstream_st *cue_stream_list(void);
/* cue_submit: the one way by which work gets into a stream: enqueued, or captured. */
cudaError_t cue_submit(cudaStream_t stream, const cue_work *work);
/* cue_stream_append: the operation (one reference) in a stream that is not captured, with the default stream's
 * implicit order. */
cue_op *cue_stream_append(struct CUstream_st *stream, const cue_work *work, cue_op *const *extra, int extra_count);
void cue_stream_wait_now(struct CUstream_st *stream); /* what cudaStreamSynchronize does */
void cue_device_wait_now(void);
void cue_streams_reset(void);

/* ------------------------------------------------------------------ capture (capture.c) and graphs (graph.c) */
struct CUgraphNode_st {
    struct CUgraph_st *graph;
    int index;     /* in its graph; a node depends on smaller indices only */
    cue_work work; /* payload owned */
    int *deps;
    int dep_count;
    void **parameters; /* what cudaGraphKernelNodeGetParams gave out; owned */
};

struct CUgraph_st {
    struct CUgraphNode_st **nodes;
    int count;
};

/* cue_graph_add: copies work and deps; NULL where there is no memory. */
struct CUgraphNode_st *cue_graph_add(struct CUgraph_st *graph, const cue_work *work, const int *deps, int dep_count);
void cue_graph_clear(struct CUgraph_st *graph); /* frees the nodes */
bool cue_graph_copy(struct CUgraph_st *to, const struct CUgraph_st *from);
struct CUgraph_st *cue_graph_find(cudaGraph_t graph);
struct CUgraphNode_st *cue_graph_exec_node(cudaGraphExec_t exec, int index); /* NULL: no such node */
bool cue_node_set_payload(struct CUgraphNode_st *node, const cue_work *work);

/* cue_capture_append: the stream is captured: work becomes a node. */
cudaError_t cue_capture_append(struct CUstream_st *stream, const cue_work *work);
/* The checks report, invalidate the captures that are hurt, and give CUDA's error.
 * implicit     work or a wait in the default stream while a blocking stream is captured: 906
 * unsafe       cudaMalloc and the like, unless the mode is relaxed: 900
 * device_wait  any stream is captured: 900
 * stream_wait  this stream is captured: 900 */
cudaError_t cue_capture_check_implicit(const struct CUstream_st *stream);
cudaError_t cue_capture_check_unsafe(void);
cudaError_t cue_capture_check_device_wait(void);
cudaError_t cue_capture_check_stream_wait(struct CUstream_st *stream);
/* An event recorded in a captured stream stands for nodes, not for an operation. */
cudaError_t cue_capture_record(struct CUevent_st *event, struct CUstream_st *stream);
cudaError_t cue_capture_wait(struct CUstream_st *stream, struct CUevent_st *event);
cudaError_t cue_capture_check_event(struct CUevent_st *event); /* query and synchronise: 907 */
void cue_capture_drop_stream(struct CUstream_st *stream);      /* it is destroyed while it is captured */

/* ------------------------------------------------------------------ pinned memory (pinned.c, pending.c, fault.c) */
typedef enum cue_host_use { CUE_HOST_SOURCE, CUE_HOST_TARGET } cue_host_use;

/* cue_pinned_find: the pinned range that holds the bytes; own: pages that belong to it alone. */
bool cue_pinned_find(const void *address, size_t bytes, bool *own);
bool cue_pinned_was_freed(const void *address, cue_site *where);
void cue_pinned_report_leaks(void);
void cue_pinned_reset(void);

/* cue_pending_add: op will read or write the rows; until the host waits for it, host code must not interfere.
 * cue_pending_open, _close: around an operation that runs, whose own accesses are welcome; a host function in a stream
 *   may only touch what is ordered before it.
 * cue_pending_check_source: reports where a source changed between enqueue and run.
 * cue_pending_settle: after the host has waited: drops what it knows to be finished.
 * cue_pending_overlaps: some transfer is pending in the range.
 * cue_pending_fault: host code touched a guarded page; true where the instruction may go on (after a report, or
 *   stepped through because it touched only a neighbour). */
void cue_pending_add(cue_op_id op, void *address, size_t pitch, size_t width, size_t height, cue_host_use use);
void cue_pending_open(cue_op_id op, bool host_function);
void cue_pending_close(void);
void cue_pending_check_source(cue_op_id op);
void cue_pending_settle(void);
cue_op_id cue_pending_overlaps(const void *address, size_t bytes);
bool cue_pending_fault(void *address, bool write, cue_site where, bool *step);
void cue_pending_unguard_page(void *address);
void cue_pending_guard(void);

void cue_fault_handler_install(void);
void cue_lock(void);
void cue_unlock(void);

/* ------------------------------------------------------------------ memory (memory.c, copy.c) */
void cue_memory_report_leaks(void);
void cue_memory_reset(void);
cudaError_t cue_copy(void *destination, const void *source, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream,
                     bool synchronous);
/* cue_copy_started: a copy got its operation: pinned ranges become pending. Called for graph launches too. */
void cue_copy_started(cue_op_id op, const void *payload);

size_t cue_extent(size_t pitch, size_t width, size_t height); /* bytes from the first to the last */
/* cue_set_work: fills in a memset; storage has CUE_SET_BYTES. A work without run: nothing to do. */
enum { CUE_SET_BYTES = 64, CUE_COPY_BYTES = 96 };
cudaError_t cue_set_work(cue_work *work, void *storage, void *base, size_t pitch, int value, size_t width,
                         size_t height);
/* cue_copy_work: fills in a copy for an explicit graph node; storage has CUE_COPY_BYTES. */
cudaError_t cue_copy_work(cue_work *work, void *storage, void *destination, const void *source, size_t bytes,
                          enum cudaMemcpyKind kind);
cue_work cue_host_work(void *storage, cudaHostFn_t function, void *user); /* storage has CUE_SET_BYTES */

/* ------------------------------------------------------------------ functions and symbols (registration.c) */
typedef struct cue_function {
    const void *host; /* the stub's address */
    struct cue_binary *binary;
    const char *name;
    cue_kernel *kernel;     /* NULL until it is first asked for */
    int max_dynamic_shared; /* raised by cudaFuncSetAttribute */
    int carveout;
    struct cue_function *next;
} cue_function;

/* cue_function_find: by the stub's address or by the handle of __cudaGetKernel; its kernel is loaded. NULL: unknown. */
cue_function *cue_function_find(const void *host);
const cue_variable *cue_variable_find(const void *host);

/* ------------------------------------------------------------------ launches (launch.c) */
typedef struct cue_launch_payload {
    cue_function *function;
    uint32_t grid[3], block[3];
    size_t dynamic_shared_bytes;
    /* parameter bytes follow */
} cue_launch_payload;

/* cue_launch_work: checks the launch against device and kernel, and fills in the work. The payload is allocated; the
 * caller frees it. */
cudaError_t cue_launch_work(cue_work *work, const void *function, dim3 grid, dim3 block, void *const *arguments,
                            size_t shared_bytes);

/* ------------------------------------------------------------------ the modelled card (device.c) */
enum {
    CUE_MULTIPROCESSORS = 132,
    CUE_THREADS_PER_BLOCK = 1024,
    CUE_THREADS_PER_SM = 2048,
    CUE_BLOCKS_PER_SM = 32,
    CUE_REGISTERS_PER_SM = 65536,
    CUE_SHARED_PER_SM = 228 * 1024,
    CUE_SHARED_RESERVED = 1024, /* per block */
};

#endif
