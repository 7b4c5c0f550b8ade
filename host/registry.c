/* registry.c: the list of backends, built in or loaded as a plug-in, and the choice that `auto` makes.
 * The only file that knows which backends exist. */
#define _GNU_SOURCE /* dladdr: the folder that this library was loaded from */
#include "host/registry.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct backend_entry {
    const char *name;
    const bpi_ops *(*builtin)(void); /* NULL: a plug-in */
    bp_precision precision;          /* what DEFAULT means */
    const char *plugin;              /* file name of the plug-in */
    const char *made, *wants;        /* what to do where there is none, and where one can't be loaded */
} backend_entry;

static const backend_entry backends[] = {
    {"cpu", bpi_cpu_ops, BP_PRECISION_F32, NULL, NULL, NULL},
    {"cuda", NULL, BP_PRECISION_F32, "libbackprop_cuda.so", "a build where nvcc and cuBLAS are found makes it",
     "install the libraries of CUDA (cudart, cuBLAS), or name their folder in LD_LIBRARY_PATH"},
    {"reference", bpi_reference_ops, BP_PRECISION_F64, NULL, NULL, NULL},
};

enum { BACKEND_COUNT = sizeof backends / sizeof backends[0] };

const char *bpi_registry_name(int index)
{
    return index >= 0 && index < BACKEND_COUNT ? backends[index].name : NULL;
}

static const backend_entry *find(const char *name)
{
    for (int i = 0; i < BACKEND_COUNT; i++)
        if (strcmp(backends[i].name, name) == 0)
            return &backends[i];
    return NULL;
}

/* The folder of the library itself, with a slash; "" where it is not known. */
static void own_folder(char *folder, size_t size)
{
    Dl_info info;
    folder[0] = '\0';
    if (!dladdr((const void *)backends, &info) || !info.dli_fname)
        return;
    const char *slash = strrchr(info.dli_fname, '/');
    if (slash && (size_t)(slash - info.dli_fname) + 2 <= size)
        snprintf(folder, size, "%.*s", (int)(slash - info.dli_fname + 1), info.dli_fname);
}

/* The table of a plug-in that was loaded, unless it was built for another version of the library. */
static bp_status plugin_ops(bp_context *context, const backend_entry *entry, void *library, const char *place,
                            const bpi_ops **ops)
{
    bpi_plugin_entry symbol;
    *(void **)&symbol = dlsym(library, BPI_PLUGIN_SYMBOL);
    *ops = symbol ? symbol() : NULL;
    if (*ops && (*ops)->version == BPI_OPS_VERSION && (*ops)->struct_size == sizeof(bpi_ops))
        return BP_STATUS_OK;
    return BPI_FAIL(context, BP_STATUS_UNSUPPORTED,
                    "backend %s: %s belongs to another version of the library; install the two together", entry->name,
                    place);
}

/* Looks for the plug-in in the folder given, beside the library, and where the system looks. It stays loaded: CUDA's
 * libraries do not stand being unloaded. */
static bp_status load_plugin(bp_context *context, const backend_entry *entry, const bpi_ops **ops)
{
    char own[2048], paths[2][4096];
    own_folder(own, sizeof own);
    snprintf(paths[0], sizeof paths[0], "%.2000s/%s", context->plugin_dir ? context->plugin_dir : "", entry->plugin);
    snprintf(paths[1], sizeof paths[1], "%s%s", own, entry->plugin);
    const char *places[3] = {context->plugin_dir ? paths[0] : NULL, own[0] ? paths[1] : NULL, entry->plugin};
    for (int i = 0; i < 3; i++) {
        void *library = places[i] ? dlopen(places[i], RTLD_NOW | RTLD_LOCAL) : NULL;
        if (library)
            return plugin_ops(context, entry, library, places[i], ops);
        /* A plug-in that is there but can't be loaded: the dynamic linker names the library that it lacks. */
        if (places[i] && i < 2 && access(places[i], F_OK) == 0)
            return BPI_FAIL(context, BP_STATUS_NOT_FOUND, "backend %s: %s can't be loaded: %s; %s", entry->name,
                            places[i], dlerror(), entry->wants);
    }
    return BPI_FAIL(context, BP_STATUS_NOT_FOUND,
                    "backend %s: its plug-in %s is not installed (looked in %.200s%s%.200s%sthe system's library "
                    "path); %s",
                    entry->name, entry->plugin, context->plugin_dir ? context->plugin_dir : "",
                    context->plugin_dir ? ", " : "", own, own[0] ? " and " : "", entry->made);
}

static bp_status make(bp_context *context, const backend_entry *entry, bp_precision precision, bpi_backend **backend)
{
    const bpi_ops *ops = entry->builtin ? entry->builtin() : NULL;
    if (!ops)
        BPI_TRY(load_plugin(context, entry, &ops));
    bpi_backend_options options = {.precision = precision == BP_PRECISION_DEFAULT ? entry->precision : precision,
                                   .threads = context->threads,
                                   .allocator = context->allocator,
                                   .error = &context->error,
                                   .emulate_bf16 = context->emulate_bf16};
    return ops->create(&options, backend);
}

static bp_status open_entry(bp_context *context, const backend_entry *entry)
{
    BPI_TRY(make(context, entry, context->precision, &context->backend));
    if (context->precision == BP_PRECISION_DEFAULT)
        context->precision = entry->precision;
    return BP_STATUS_OK;
}

/* cuda where it can be used, else cpu; the reason is kept, and a broken GPU installation is not hidden. */
static bp_status open_auto(bp_context *context)
{
    bp_status status = open_entry(context, find("cuda"));
    if (status == BP_STATUS_OK) {
        snprintf(context->reason, sizeof context->reason, "a usable CUDA device is there");
        return BP_STATUS_OK;
    }
    snprintf(context->reason, sizeof context->reason, "%.*s", (int)sizeof context->reason - 1, context->error.text);
    BPI_TRY(open_entry(context, find("cpu")));
    context->error.text[0] = '\0';
    bpi_log(context, BP_LOG_INFO, "auto chose cpu: %s", context->reason);
    return BP_STATUS_OK;
}

static bp_status unknown(bp_context *context, const char *name)
{
    return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                    "backend \"%s\" is not known; it must be auto, cpu, cuda or reference", name);
}

bp_status bpi_registry_open(bp_context *context, const char *name)
{
    if (strcmp(name, "auto") == 0)
        return open_auto(context);
    const backend_entry *entry = find(name);
    return entry ? open_entry(context, entry) : unknown(context, name);
}

bp_status bpi_registry_probe(bp_context *context, const char *name)
{
    const backend_entry *entry = find(name);
    if (!entry)
        return unknown(context, name);
    bpi_backend *backend = NULL;
    BPI_TRY(make(context, entry, BP_PRECISION_DEFAULT, &backend));
    backend->ops->destroy(backend);
    return BP_STATUS_OK;
}

const char *bp_backend_name(int index)
{
    return bpi_registry_name(index);
}

bp_status bp_backend_probe(bp_context *context, const char *name)
{
    if (!context || !name)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_backend_probe: %s is NULL",
                        context ? "name" : "context");
    return bpi_registry_probe(context, name);
}
