/* registration.c: what nvcc puts around a translation unit: constructors register the fat binary, its kernels and its
 * variables. Names are looked up in the binary they came with: static kernels of the same name may exist in several.
 * A binary is loaded when something of it is first used. */
#include "internal.h"

#include <stdlib.h>

typedef struct cue_binary {
    const void *fatbin;
    cue_module *module;
} cue_binary;

typedef struct variable {
    const void *host;
    cue_binary *binary;
    const char *name;
    struct variable *next;
} variable;

/* From NVIDIA's crt/fatbinary format: the object that __cudaRegisterFatBinary gets. */
typedef struct fatbin_wrapper {
    int magic, version;
    const void *data;
    void *linked;
} fatbin_wrapper;

enum { WRAPPER_MAGIC = 0x466243b1 };

static cue_function *functions;
static variable *variables;

/* nvcc's stubs declare these in crt/host_runtime.h, which is C++. */
void **__cudaRegisterFatBinary(void *wrapper);
void __cudaRegisterFatBinaryEnd(void **handle);
void __cudaUnregisterFatBinary(void **handle);
char __cudaInitModule(void **handle);
void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int thread_limit,
                            uint3 *tid, uint3 *bid, dim3 *block, dim3 *grid, int *warp_size);
void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int external, size_t bytes,
                       int constant, int global);
void __cudaRegisterManagedVar(void **handle, void **host, char *device, const char *name, int external, size_t bytes,
                              int constant, int global);

void **__cudaRegisterFatBinary(void *wrapper)
{
    const fatbin_wrapper *w = wrapper;
    cue_binary *binary = calloc(1, sizeof *binary);
    if (binary == NULL)
        cue_fatal("no memory to register a fat binary");
    if (w->magic != WRAPPER_MAGIC)
        cue_fatal("__cudaRegisterFatBinary got something that is no fat binary (magic %#x)", (unsigned)w->magic);
    binary->fatbin = w->data;
    return (void **)binary;
}

void __cudaRegisterFatBinaryEnd(void **handle)
{
    (void)handle;
}

/* Runs by atexit, before the last checks: the module's variables must stay until those have run. Functions and
 * variables go, because a library that is unloaded takes their addresses with it. */
void __cudaUnregisterFatBinary(void **handle)
{
    cue_binary *binary = (cue_binary *)handle;
    cue_lock();
    for (cue_function **link = &functions; *link != NULL;)
        if ((*link)->binary == binary)
            *link = (*link)->next;
        else
            link = &(*link)->next;
    for (variable **link = &variables; *link != NULL;)
        if ((*link)->binary == binary)
            *link = (*link)->next;
        else
            link = &(*link)->next;
    cue_unlock();
}

char __cudaInitModule(void **handle)
{
    (void)handle;
    return 1;
}

void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int thread_limit,
                            uint3 *tid, uint3 *bid, dim3 *block, dim3 *grid, int *warp_size)
{
    (void)device, (void)thread_limit, (void)tid, (void)bid, (void)block, (void)grid, (void)warp_size;
    cue_function *f = calloc(1, sizeof *f);
    if (f == NULL)
        cue_fatal("no memory to register kernel %s", name);
    *f = (cue_function){.host = host, .binary = (cue_binary *)handle, .name = name, .next = functions};
    functions = f;
}

void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int external, size_t bytes,
                       int constant, int global)
{
    (void)device, (void)external, (void)bytes, (void)constant, (void)global;
    variable *v = calloc(1, sizeof *v);
    if (v == NULL)
        cue_fatal("no memory to register variable %s", name);
    *v = (variable){.host = host, .binary = (cue_binary *)handle, .name = name, .next = variables};
    variables = v;
}

void __cudaRegisterManagedVar(void **handle, void **host, char *device, const char *name, int external, size_t bytes,
                              int constant, int global)
{
    (void)handle, (void)host, (void)device, (void)external, (void)bytes, (void)constant, (void)global;
    cue_fatal("managed variable %s: managed memory is not implemented", name);
}

static cue_module *module_of(cue_binary *binary)
{
    if (binary->module == NULL)
        binary->module = cue_module_load_fatbin(binary->fatbin);
    return binary->module;
}

cue_function *cue_function_find(const void *host)
{
    cue_function *f = functions;
    while (f != NULL && f->host != host && (const void *)f != host)
        f = f->next;
    if (f != NULL && f->kernel == NULL)
        f->kernel = cue_module_kernel(module_of(f->binary), f->name);
    return f != NULL && f->kernel != NULL ? f : NULL;
}

const cue_variable *cue_variable_find(const void *host)
{
    for (const variable *v = variables; v != NULL; v = v->next)
        if (v->host == host)
            return cue_module_variable(module_of(v->binary), v->name);
    return NULL;
}
