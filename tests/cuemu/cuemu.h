/* cuemu.h: what the two halves of cuemu know of each other.
 *
 *   host/    stands in for libcudart: entry points, streams, events, graphs, the order of operations
 *   cublas/  stands in for libcublas and libcublasLt; uses what host/ uses
 *   device/  memory with shadow, PTX loader, executor, reports, counters, settings
 *
 * All of cuemu runs on one thread at a time: host/ takes one lock at every entry point, device/ takes none.
 * Nothing here includes a CUDA header; error codes are the numbers that cudaError_t has. Tests use cuemu_api.h. */
#ifndef CUEMU_H
#define CUEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ------------------------------------------------------------------ errors: same numbers as cudaError_t */
typedef enum cue_error {
    CUE_SUCCESS = 0,
    CUE_INVALID_VALUE = 1,
    CUE_OUT_OF_MEMORY = 2,
    CUE_ILLEGAL_ADDRESS = 700,
    CUE_LAUNCH_TIMEOUT = 702, /* deadlock inside a kernel, or the watchdog */
    CUE_ASSERT = 710,
    CUE_ILLEGAL_INSTRUCTION = 715,
    CUE_MISALIGNED_ADDRESS = 716,
    CUE_LAUNCH_FAILURE = 719, /* trap */
} cue_error;

/* ------------------------------------------------------------------ settings (device/settings.c) */
typedef enum cue_order { CUE_FORWARD, CUE_REVERSE, CUE_RANDOM } cue_order;
typedef enum cue_stream_mode { CUE_EAGER, CUE_LAZY, CUE_STREAMS_RANDOM } cue_stream_mode;
typedef enum cue_on_report { CUE_REPORT_EXIT, CUE_REPORT_ABORT, CUE_REPORT_COUNT } cue_on_report;

typedef struct cue_settings {
    cue_order order;         /* CUEMU_ORDER=forward|reverse|random: threads and blocks */
    cue_stream_mode streams; /* CUEMU_STREAMS=eager|lazy|random; lazy where not set */
    uint64_t seed;           /* CUEMU_SEED */
    uint64_t gemm_seed;      /* CUEMU_GEMM_SEED: of the rounding of cuBLAS's sums; that of all where not set */
    size_t memory_bytes;     /* CUEMU_MEM (suffix K, M, G): size of the modelled device memory, 2 GiB where not set */
    cue_on_report
        on_report; /* CUEMU_REPORT=exit|abort|count: exit status 99 at the end | abort() at once | count only */
    const char
        *json_path;    /* CUEMU_JSON: reports and counters are written there at exit, %p is the process; NULL: not */
    uint64_t watchdog; /* CUEMU_WATCHDOG: warp instructions that a block may take before it counts as hung */
} cue_settings;

/* cue_settings_get: read once from the environment; a value that is not understood is fatal. Tests may change it. */
cue_settings *cue_settings_get(void);

/* cue_random: next number of one seeded generator, in [0, n); n > 0. cue_random_seed restarts it. */
uint32_t cue_random(uint32_t n);
void cue_random_seed(uint64_t seed);

/* ------------------------------------------------------------------ operations (host/ owns them) */
typedef uint32_t cue_op_id; /* 0 is the host itself: before everything that is enqueued later */

/* Both are implemented by host/ (the device tests bring their own).
 * cue_op_before: a happens before b, by stream order, events, graph edges or a synchronisation; true for a == b, a ==
 * 0. cue_op_name: "gelu_backward on stream 2", for the other side of a report; never NULL. */
bool cue_op_before(cue_op_id a, cue_op_id b);
const char *cue_op_name(cue_op_id op);

/* ------------------------------------------------------------------ reports (device/report.c) */
/* name in code, slug in output and in the fault corpus, words for people */
#define CUE_REPORT_KINDS(X)                                                                                            \
    X(OUT_OF_BOUNDS, "out-of-bounds", "access outside every allocation")                                               \
    X(USE_AFTER_FREE, "use-after-free", "access to freed device memory")                                               \
    X(UNINITIALISED, "uninitialised", "read of memory that nothing wrote")                                             \
    X(MISALIGNED, "misaligned", "address is not a multiple of the access size")                                        \
    X(HOST_ADDRESS, "host-address", "kernel touches host memory")                                                      \
    X(CONST_WRITE, "const-write", "kernel writes constant memory")                                                     \
    X(RACE_SHARED, "race-shared", "data race in shared memory")                                                        \
    X(RACE_GLOBAL, "race-global", "data race in global memory inside one kernel")                                      \
    X(RACE_STREAM, "race-stream", "two operations touch the same memory and nothing orders them")                      \
    X(BARRIER_DIVERGENCE, "barrier-divergence", "not all threads of the block reach the same barrier")                 \
    X(WARP_MASK, "warp-mask", "wrong mask in a warp collective")                                                       \
    X(DEADLOCK, "deadlock", "threads wait for each other for ever")                                                    \
    X(HANG, "hang", "the kernel does not end")                                                                         \
    X(DEVICE_ASSERT, "device-assert", "assert() failed in a kernel")                                                   \
    X(DEVICE_TRAP, "device-trap", "trap in a kernel")                                                                  \
    X(STACK_OVERFLOW, "stack-overflow", "device function calls nested too deep")                                       \
    X(HOST_DEREFERENCE, "host-dereference", "host code dereferences a device pointer")                                 \
    X(PINNED_EARLY, "pinned-early", "pinned memory read or reused before a synchronisation")                           \
    X(CAPTURE, "capture", "call that is illegal while a stream is captured")                                           \
    X(LAUNCH, "launch", "launch beyond the limits of the device")                                                      \
    X(LEAK, "leak", "never released")                                                                                  \
    X(BAD_FREE, "bad-free", "release of what is not allocated")                                                        \
    X(API, "api", "wrong use of an API call")                                                                          \
    X(BLAS, "blas", "wrong use of a cuBLAS call")

typedef enum cue_report_kind {
#define CUE_REPORT_ENUM(name, slug, words) CUE_##name,
    CUE_REPORT_KINDS(CUE_REPORT_ENUM)
#undef CUE_REPORT_ENUM
        CUE_REPORT_KIND_COUNT
} cue_report_kind;

typedef struct cue_place {
    const char *kernel; /* PTX name of the kernel; for host-side reports the API call or operation */
    const char *file;   /* source file of the .loc, base name; NULL where unknown */
    int line;           /* 0 where unknown */
    bool has_thread;    /* block and thread are meant */
    uint32_t block[3], thread[3];
} cue_place;

/* cue_op_place: "gelu_backward on stream 2" and where it was enqueued, for an operation that host/ runs itself. The
 * name lives until the next call. Implemented by host/. */
void cue_op_place(cue_op_id op, cue_place *place);

/* cue_report: prints once per (kind, kernel, file, line); for a place without file once per (kind, kernel, text).
 * Every call counts. place may be NULL. The text says what was touched and names the other side. */
void cue_report(cue_report_kind kind, const cue_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int cue_report_count(void); /* calls of cue_report that were not forgiven */

/* cue_fatal: what cuemu does not implement, or cannot go on with. Names it on stderr, ends the process with status 99.
 */
_Noreturn void cue_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* cue_json_write: reports and counters to the file that CUEMU_JSON names, where it names one. At exit this happens by
 * itself; a fault handler calls it before the process dies. */
void cue_json_write(void);

/* cue_at_exit: host/ registers what it checks last (leaks, unfinished work); runs before reports decide the status. */
void cue_at_exit(void (*check)(void));

/* ------------------------------------------------------------------ device memory (device/memory.c, device/shadow.c)
 */
/* The arena has addresses that host code cannot touch (PROT_NONE) except between unlock and lock; these nest. A touch
 * by host code outside them is reported as host-dereference with the address, and then the SIGSEGV kills the process.
 */
void cue_mem_unlock(void);
void cue_mem_lock(void);

/* cue_mem_alloc: 256-byte aligned, filled with 0xFF, uninitialised; bytes > 0. SUCCESS or OUT_OF_MEMORY.
 * cue_mem_free: only for a pointer that cue_mem_alloc gave; INVALID_VALUE otherwise (the caller reports bad-free).
 * Freed addresses are not given out again while others are left. */
cue_error cue_mem_alloc(size_t bytes, void **out);
cue_error cue_mem_free(void *pointer);
void cue_mem_info(size_t *free_bytes, size_t *total_bytes);
bool cue_mem_is_device(const void *pointer); /* lies in the arena, allocated or not */

/* cue_mem_find: the live allocation or module variable that holds the address; false where there is none. */
bool cue_mem_find(const void *address, void **base, size_t *bytes);
/* cue_mem_each_live: calls visit for every live allocation of cue_mem_alloc (leaks); not for module variables. */
void cue_mem_each_live(void (*visit)(void *base, size_t bytes, void *user), void *user);

/* cue_mem_host_map: host memory that kernels may touch (pinned, mapped): bounds are checked, races are not. */
void cue_mem_host_map(void *base, size_t bytes);
void cue_mem_host_unmap(void *base);

typedef enum cue_access {
    CUE_READ,     /* bytes that nothing wrote are reported */
    CUE_READ_ANY, /* not whether they were written: copies of padding, a hash */
    CUE_WRITE,
    CUE_CLAIM, /* ordered as a write, and afterwards nothing is initialised: an allocation in stream order */
} cue_access;

/* cue_mem_access: op touches a whole range (memcpy, memset, cuBLAS operand). Checks bounds, freed, initialised, order
 * against all other operations; marks the bytes. `what` names it ("cudaMemcpyAsync source", "gemm A").
 * Host addresses pass. SUCCESS or ILLEGAL_ADDRESS (then the bytes must not be touched). bytes == 0 is fine.
 * Call it when the operation runs, not when it is enqueued; between cue_mem_unlock and lock the bytes can be used. */
cue_error cue_mem_access(cue_op_id op, const void *address, size_t bytes, cue_access access, const char *what);

/* cue_mem_copy: both checks, then the bytes, then for device to device also which of them are initialised. For any
 * direction; device to host reports uninitialised bytes. Unlocks and locks by itself. */
cue_error cue_mem_copy(cue_op_id op, void *destination, const void *source, size_t bytes, const char *what);

/* ------------------------------------------------------------------ modules (device/fatbin.c, device/module.c) */
typedef struct cue_module cue_module;
typedef struct cue_kernel cue_kernel;

typedef struct cue_parameter {
    uint32_t offset, bytes, align;
} cue_parameter;

typedef struct cue_kernel_info {
    const char *name; /* as in PTX, mangled */
    uint32_t parameter_count;
    const cue_parameter *parameters;
    uint32_t parameter_bytes;
    size_t static_shared_bytes;
    size_t local_bytes;        /* per thread */
    uint32_t registers;        /* virtual registers of 32 bits: an upper bound, not what ptxas allocates */
    uint32_t max_ntid[3];      /* .maxntid (from __launch_bounds__); 0 where not given */
    uint32_t max_threads;      /* threads per block that .maxntid or .reqntid allow; 1024 where neither is given */
    uint32_t required_ntid[3]; /* .reqntid; 0 where not given */
    int ptx_version;           /* 90 for .version 9.0 */
    int target;                /* 75, 80, 86, 90, 100 */
} cue_kernel_info;

typedef struct cue_variable {
    const char *name;
    void *address; /* in the arena */
    size_t bytes;
    bool constant; /* .const: kernels must not write it */
} cue_variable;

/* cue_module_load_fatbin: data of the fatbin wrapper (its `data` field); takes the PTX of the highest target.
 * cue_module_load_ptx: text ends with a NUL; name stands in error texts. What the parser or the instruction table does
 * not know is fatal, with instruction, kernel, file and line, when a kernel that holds it is launched for the first
 * time: a kernel that is never launched may hold what cuemu cannot do. */
cue_module *cue_module_load_fatbin(const void *data);
cue_module *cue_module_load_ptx(const char *text, const char *name);
void cue_module_unload(cue_module *module);

/* NULL where the module has none of that name. Valid as long as the module is. */
cue_kernel *cue_module_kernel(cue_module *module, const char *name);
const cue_variable *cue_module_variable(cue_module *module, const char *name);
const cue_kernel_info *cue_kernel_get_info(const cue_kernel *kernel);

/* ------------------------------------------------------------------ launch (device/launch.c) */
#define CUE_SHARED_DEFAULT_BYTES (48u * 1024u)
#define CUE_SHARED_OPTIN_BYTES (227u * 1024u) /* sm_90 */

typedef struct cue_launch_config {
    uint32_t grid[3], block[3];
    size_t dynamic_shared_bytes;
    const void *parameters; /* parameter_bytes bytes, laid out as cue_kernel_info says; only read during the call */
    cue_op_id op;
} cue_launch_config;

/* cue_launch: runs the whole grid now. host/ has checked the limits (threads, grid, shared memory) and reports them.
 * Unlocks and locks the arena by itself. Returns SUCCESS, or the sticky error that the kernel ended with. */
cue_error cue_launch(cue_kernel *kernel, const cue_launch_config *config);

/* ------------------------------------------------------------------ counters (device/counters.c) */
/* What host/ counts: "host.synchronisations", "host.allocations", "host.graph_launches", "host.memcpy_bytes", ...
 * cue_count adds to a counter of that name, made on first use. */
void cue_count(const char *name, int64_t amount);

typedef struct cue_counter_visitor {
    void (*kernel_counter)(const char *kernel, const char *counter, int64_t value, void *user);
    void (*host_counter)(const char *counter, int64_t value, void *user);
    void *user;
} cue_counter_visitor;
void cue_counters_each(const cue_counter_visitor *visitor); /* kernels in the order of their first launch */

#endif
