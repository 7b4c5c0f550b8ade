/* context.h (internal): the context's insides, memory through the user's hooks, and the front door's checks. */
#ifndef BPI_HOST_CONTEXT_H
#define BPI_HOST_CONTEXT_H

#include "backprop/context.h"
#include "kernels/error.h"
#include "kernels/ops.h"

struct bp_context {
    bpi_error error;
    bp_allocator allocator; /* complete */
    bp_log_callback log;
    void *log_user;
    char *plugin_dir; /* NULL: not given */
    int threads;
    bp_precision precision; /* never DEFAULT once the backend is made */
    bool emulate_bf16;
    bpi_backend *backend; /* NULL in a context whose creation failed */
    char reason[1024];    /* why `auto` chose it */
};

/* Host memory through the hooks: aligned to 64 bytes, zeroed. bytes 0 gives a valid pointer to nothing.
 * On failure *memory is NULL and the text names `what` and the bytes. bpi_free wants the same bytes, accepts NULL. */
bp_status bpi_alloc(bp_context *context, size_t bytes, const char *what, void **memory);
void bpi_free(bp_context *context, void *memory, size_t bytes);

/* count * size, checked: INVALID_ARGUMENT with `what` in words where it does not fit size_t. */
bp_status bpi_array_bytes(bp_context *context, int64_t count, size_t size, const char *what, size_t *bytes);

/* Sets the context's error: status and words. context may be NULL. */
#define BPI_FAIL(context, status, ...) bpi_fail((context) ? &(context)->error : NULL, (status), __VA_ARGS__)

void bpi_log(bp_context *context, bp_log_level level, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* Copies a user's option struct of an older or newer header into ours: fields that the user's does not have are zero;
 * fields that we do not know must be zero. struct_size 0 is taken as `first_version_bytes`.
 * errors    INVALID_ARGUMENT */
bp_status bpi_options_copy(bp_context *context, const char *what, const void *options, size_t first_version_bytes,
                           size_t our_bytes, void *copy);

#endif
