/* registry.c: the list of backends, built in or loaded as a plug-in, and the choice that `auto` makes.
 * The only file that knows which backends exist. */
#define _GNU_SOURCE /* dladdr: the folder that this library was loaded from */
#include "host/registry.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef struct backend_entry {
    const char *name;
    const bpi_ops *(*builtin)(void); /* NULL: a plug-in */
    const char *plugin;              /* file name of the plug-in */
    bp_precision precision;          /* what DEFAULT means */
} backend_entry;

static const backend_entry backends[] = {
    {"cpu", bpi_cpu_ops, NULL, BP_PRECISION_F32},
    {"cuda", NULL, "libbackprop_cuda.so", BP_PRECISION_F32},
    {"reference", bpi_reference_ops, NULL, BP_PRECISION_F64},
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

/* The plug-in's table. It stays loaded: CUDA's libraries do not stand being unloaded. */
static bp_status load_plugin(bp_context *context, const backend_entry *entry, const bpi_ops **ops)
{
    char folder[2048], beside[4096], given[4096];
    own_folder(folder, sizeof folder);
    snprintf(beside, sizeof beside, "%s%s", folder, entry->plugin);
    snprintf(given, sizeof given, "%s/%s", context->plugin_dir ? context->plugin_dir : "", entry->plugin);
    const char *places[3] = {context->plugin_dir ? given : NULL, folder[0] ? beside : NULL, entry->plugin};
    char reason[512] = "";
    for (int i = 0; i < 3; i++) {
        if (!places[i])
            continue;
        void *library = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
        if (!library) {
            snprintf(reason, sizeof reason, "%s", dlerror());
            /* A file that is there but lacks one of its own libraries: the dynamic linker names the missing one. */
            if (strncmp(reason, places[i], strlen(places[i])) != 0)
                break;
            continue;
        }
        bpi_plugin_entry symbol;
        *(void **)&symbol = dlsym(library, BPI_PLUGIN_SYMBOL);
        *ops = symbol ? symbol() : NULL;
        if (!*ops || (*ops)->version != BPI_OPS_VERSION || (*ops)->struct_size != sizeof(bpi_ops))
            return BPI_FAIL(context, BP_STATUS_UNSUPPORTED,
                            "backend %s: %s belongs to another version of the library; install the two together",
                            entry->name, places[i]);
        return BP_STATUS_OK;
    }
    return BPI_FAIL(context, BP_STATUS_NOT_FOUND,
                    "backend %s: the plug-in %s was not loaded (looked in %s%s%s and the system's library path): %s; "
                    "--backend cpu works without it",
                    entry->name, entry->plugin, context->plugin_dir ? context->plugin_dir : "",
                    context->plugin_dir ? ", " : "", folder[0] ? folder : "no folder of its own", reason);
}

static bp_status make(bp_context *context, const backend_entry *entry, bp_precision precision, bpi_backend **backend)
{
    const bpi_ops *ops = entry->builtin ? entry->builtin() : NULL;
    if (!ops)
        BPI_TRY(load_plugin(context, entry, &ops));
    bpi_backend_options options = {.precision = precision == BP_PRECISION_DEFAULT ? entry->precision : precision,
                                   .threads = context->threads,
                                   .allocator = context->allocator,
                                   .error = &context->error};
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
