/* context.c: makes and destroys the context; host memory through the user's hooks; logging; option structs.
 * The contract is include/backprop/context.h. Backends are made in registry.c. */
#define _GNU_SOURCE /* sched_getaffinity: the processors that this process may run on; madvise */
#include "host/context.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/registry.h"

#define ALIGNMENT 64
#define LARGE_PAGE ((size_t)2 << 20)

/* Large arrays begin on a large page and ask for such, where the system gives them only on demand: products and updates
 * wait less for translations of addresses (docs/cpu-backend.md). What is left over at the end takes small ones, so that
 * no more memory is held than was asked for. */
static void *default_allocate(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    if (rounded < bytes)
        return NULL;
    bool large = rounded >= LARGE_PAGE;
    void *memory = NULL;
    if (posix_memalign(&memory, large && alignment < LARGE_PAGE ? LARGE_PAGE : alignment, rounded) != 0)
        return NULL;
#if defined(MADV_HUGEPAGE)
    if (large)
        (void)madvise(memory, rounded / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE); /* a wish: small ones serve as well */
#endif
    return memory;
}

static void default_release(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

bp_status bpi_alloc(bp_context *context, size_t bytes, const char *what, void **memory)
{
    size_t wanted = bytes ? bytes : 1;
    *memory = context->allocator.allocate(context->allocator.user, wanted, ALIGNMENT);
    if (!*memory)
        return BPI_FAIL(context, BP_STATUS_OUT_OF_MEMORY, "%s: no memory for %zu bytes", what, bytes);
    memset(*memory, 0, wanted);
    return BP_STATUS_OK;
}

void bpi_free(bp_context *context, void *memory, size_t bytes)
{
    if (memory)
        context->allocator.release(context->allocator.user, memory, bytes ? bytes : 1);
}

bp_status bpi_array_bytes(bp_context *context, int64_t count, size_t size, const char *what, size_t *bytes)
{
    assert(count >= 0 && size > 0);
    if ((uint64_t)count > PTRDIFF_MAX / size)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s: %lld elements of %zu bytes do not fit this machine",
                        what, (long long)count, size);
    *bytes = (size_t)count * size;
    return BP_STATUS_OK;
}

void bpi_log(bp_context *context, bp_log_level level, const char *format, ...)
{
    if (!context->log)
        return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    context->log(context->log_user, level, text);
}

bp_status bpi_options_copy(bp_context *context, const char *what, const void *options, size_t first_version_bytes,
                           size_t our_bytes, void *copy)
{
    memset(copy, 0, our_bytes);
    if (!options)
        return BP_STATUS_OK;
    size_t theirs;
    memcpy(&theirs, options, sizeof theirs);
    if (theirs == 0)
        theirs = first_version_bytes;
    if (theirs < sizeof theirs || theirs > 65536)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "%s: struct_size is %zu, which no version of this struct has; set it to sizeof(%s)", what,
                        theirs, what);
    const unsigned char *bytes = options;
    for (size_t i = our_bytes; i < theirs; i++)
        if (bytes[i] != 0)
            return BPI_FAIL(context, BP_STATUS_UNSUPPORTED,
                            "%s: a field at byte %zu is set that version %s of the library does not know", what, i,
                            bp_version());
    memcpy(copy, options, theirs < our_bytes ? theirs : our_bytes);
    return BP_STATUS_OK;
}

static int available_threads(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

static bp_status configure(bp_context *context, const bp_context_options *options)
{
    enum { MAX_THREADS = 4096 };
    if (options->threads < 0 || options->threads > MAX_THREADS)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_context_create: threads is %d; it must be 0 to %d",
                        options->threads, MAX_THREADS);
    if (!bp_precision_name(options->precision))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_context_create: %d is no precision",
                        (int)options->precision);
    context->threads = options->threads ? options->threads : available_threads();
    context->precision = options->precision;
    context->emulate_bf16 = options->emulate_bf16;
    if (options->plugin_dir) {
        size_t bytes = strlen(options->plugin_dir) + 1;
        BPI_TRY(bpi_alloc(context, bytes, "bp_context_create", (void **)&context->plugin_dir));
        memcpy(context->plugin_dir, options->plugin_dir, bytes);
    }
    return bpi_registry_open(context, options->backend ? options->backend : "auto");
}

bp_status bp_context_create(const bp_context_options *options, bp_context **context)
{
    if (!context)
        return BP_STATUS_INVALID_ARGUMENT;
    bp_context_options mine;
    bpi_error error = {""};
    bp_context early = {.error = error};
    bp_status status = bpi_options_copy(&early, "bp_context_options", options,
                                        offsetof(bp_context_options, emulate_bf16), sizeof mine, &mine);
    bool half = !mine.allocator.allocate != !mine.allocator.release;
    bp_allocator allocator = mine.allocator.allocate && mine.allocator.release
                                 ? mine.allocator
                                 : (bp_allocator){default_allocate, default_release, NULL};
    *context = allocator.allocate(allocator.user, sizeof **context, ALIGNMENT);
    if (!*context)
        return BP_STATUS_OUT_OF_MEMORY;
    **context = (bp_context){.error = early.error, .allocator = allocator, .log = mine.log, .log_user = mine.log_user};
    if (status != BP_STATUS_OK)
        return status;
    if (half)
        return BPI_FAIL(*context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_context_create: the allocator has %s; it needs both hooks or neither",
                        mine.allocator.allocate ? "allocate and no release" : "release and no allocate");
    return configure(*context, &mine);
}

void bp_context_destroy(bp_context *context)
{
    if (!context)
        return;
    if (context->backend)
        context->backend->ops->destroy(context->backend);
    if (context->plugin_dir)
        bpi_free(context, context->plugin_dir, strlen(context->plugin_dir) + 1);
    context->allocator.release(context->allocator.user, context, sizeof *context);
}

const char *bp_last_error(const bp_context *context)
{
    return context ? context->error.text : "out of memory";
}

const char *bp_context_backend(const bp_context *context)
{
    return context && context->backend ? context->backend->ops->name : "none";
}

const char *bp_context_backend_reason(const bp_context *context)
{
    return context ? context->reason : "";
}

const char *bp_context_engine(const bp_context *context)
{
    return context && context->backend ? context->backend->traits.engine : "";
}

bp_precision bp_context_precision(const bp_context *context)
{
    return context ? context->precision : BP_PRECISION_DEFAULT;
}

int bp_context_threads(const bp_context *context)
{
    return context ? context->threads : 0;
}
