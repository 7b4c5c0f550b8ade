/* context.h: the one object that all others hang on: backend, threads, allocator, log, last error.
 *
 * A context and what was made from it belong to one thread at a time. Two contexts are independent. */
#ifndef BACKPROP_CONTEXT_H
#define BACKPROP_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bp_context bp_context;

/* Precision of storage and matrix products. X(ENUM, name) */
#define BP_PRECISION_LIST(X)                                                                                           \
    X(DEFAULT, "default") /* f64 on `reference`, f32 elsewhere */                                                      \
    X(F64, "f64")                                                                                                      \
    X(F32, "f32")                                                                                                      \
    X(TF32, "tf32") /* f32 storage, products rounded to 10 bits of mantissa (CUDA) */                                  \
    X(BF16, "bf16") /* bf16 activations and products, f32 accumulation and master weights */

typedef enum bp_precision {
#define BP_PRECISION_ENUM(ENUM, name) BP_PRECISION_##ENUM,
    BP_PRECISION_LIST(BP_PRECISION_ENUM)
#undef BP_PRECISION_ENUM
} bp_precision;

BP_API const char *bp_precision_name(bp_precision precision); /* NULL where there is no such precision */

/* Hooks for host memory. allocate returns memory aligned to `alignment` (a power of two, at least 16) or NULL;
 * release gets what allocate returned and the same number of bytes. Both or neither. */
typedef struct bp_allocator {
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *memory, size_t bytes);
    void *user;
} bp_allocator;

typedef enum bp_log_level { BP_LOG_DEBUG, BP_LOG_INFO, BP_LOG_WARNING } bp_log_level;

/* One line of text, without a newline, valid during the call. */
typedef void (*bp_log_callback)(void *user, bp_log_level level, const char *text);

typedef struct bp_context_options {
    size_t struct_size;     /* sizeof(bp_context_options); 0 is taken as that of this header's version 0.1 */
    const char *backend;    /* "auto" (NULL too), "cpu", "cuda", "reference" */
    bp_precision precision; /* DEFAULT: f64 on reference, f32 elsewhere */
    int threads;            /* 0: as many as the process may run on */
    const char *plugin_dir; /* where backend plug-ins are looked for first; NULL: beside the library, then the
                               system's library path */
    bp_allocator allocator; /* zeroed: aligned_alloc and free */
    bp_log_callback log;    /* NULL: silence */
    void *log_user;
    bool emulate_bf16; /* since 0.2: precision bf16 on `cpu` is computed in f32 over values rounded to bf16, on any
                          processor: not faster than f32. Without it, `cpu` has bf16 where the processor has AVX512-BF16
                          or AMX, and refuses it elsewhere. */
} bp_context_options;

/* Makes a context. options may be NULL (all defaults).
 * As with sqlite3_open, *context is a handle even when the call fails (NULL only where memory ran out): ask it for
 * bp_last_error, then destroy it.
 * errors    INVALID_ARGUMENT, OUT_OF_MEMORY, UNSUPPORTED (precision), NOT_FOUND / DEVICE (backend not usable) */
BP_API bp_status bp_context_create(const bp_context_options *options, bp_context **context);

/* Accepts NULL. All models, trainers and data made from it must be destroyed before. */
BP_API void bp_context_destroy(bp_context *context);

/* What the last failed call on this context (or on anything made from it) said: operation, argument, value, limit.
 * "" where nothing failed; "out of memory" for NULL. Valid until the next call. Never NULL. */
BP_API const char *bp_last_error(const bp_context *context);

/* What runs: "cpu", "cuda" or "reference"; why `auto` chose it ("" where it was named);
 * the engine in words, such as "oneDNN 2.6.3, AVX2, 2 threads". Valid as long as the context. */
BP_API const char *bp_context_backend(const bp_context *context);
BP_API const char *bp_context_backend_reason(const bp_context *context);
BP_API const char *bp_context_engine(const bp_context *context);
BP_API bp_precision bp_context_precision(const bp_context *context);
BP_API int bp_context_threads(const bp_context *context);

/* The i-th backend that this build knows (cpu, cuda, reference), NULL past the end; and whether it can be used here:
 * OK, or a status with the reason in bp_last_error(context). Tries to load a plug-in where there is one. */
BP_API const char *bp_backend_name(int index);
BP_API bp_status bp_backend_probe(bp_context *context, const char *name);

#ifdef __cplusplus
}
#endif
#endif
