/* module.c: loaded modules: their kernels and variables by name, and what a kernel needs together with all it calls. */
#include "device/declare.h"
#include "device/exec.h"

#include <stdlib.h>
#include <string.h>

cue_module *cue_module_load_ptx(const char *text, const char *name)
{
    struct cue_module *m = cue_alloc(sizeof *m);
    m->name = cue_pool_text(&m->pool, name, strlen(name));
    m->text = cue_pool_text(&m->pool, text, strlen(text));
    cue_parse(m);
    return m;
}

void cue_module_unload(cue_module *module)
{
    if (module == NULL)
        return;
    for (size_t i = 0; i < module->variable_count; i++)
        cue_mem_variable_free(module->variables[i].address);
    cue_pool_release(&module->pool);
    free(module);
}

const cue_variable *cue_module_variable(cue_module *module, const char *name)
{
    for (size_t i = 0; i < module->variable_count; i++)
        if (strcmp(module->variables[i].name, name) == 0)
            return &module->variables[i];
    return NULL;
}

/* ---------------------------------------------------------------- what a kernel can reach */
typedef struct reach {
    struct cue_kernel *kernel;
    bool *seen; /* functions by index */
    size_t shared_room;
    bool calls;
    const char *unimplemented;
} reach;

static void add_shared(reach *r, uint32_t symbol)
{
    struct cue_kernel *k = r->kernel;
    for (uint32_t i = 0; i < k->shared_count; i++)
        if (k->shared[i] == symbol)
            return;
    cue_pool *pool = &k->function->module->pool;
    k->shared = cue_pool_grow(pool, k->shared, k->shared_count, &r->shared_room, sizeof *k->shared);
    k->shared[k->shared_count++] = symbol;
}

static void visit(reach *r, cue_function *f)
{
    struct cue_kernel *k = r->kernel;
    if (r->seen[f->index])
        return;
    r->seen[f->index] = true;
    cue_decode(f);
    if (f->unimplemented != NULL && r->unimplemented == NULL)
        r->unimplemented = f->unimplemented;
    k->rows = f->row_count > k->rows ? f->row_count : k->rows;
    k->predicates = f->predicate_count > k->predicates ? f->predicate_count : k->predicates;
    if (f->frame_parameter_bytes > k->frame_parameter_bytes)
        k->frame_parameter_bytes = f->frame_parameter_bytes;
    r->calls = r->calls || f->callee_count > 0 || f->calls_unknown;
    for (uint32_t i = 0; i < f->shared_used_count; i++)
        add_shared(r, f->shared_used[i]);
    for (uint32_t i = 0; i < f->callee_count; i++)
        visit(r, f->callees[i]);
    /* A call through a pointer may reach any function whose address is taken anywhere: take all of the module. */
    struct cue_module *m = f->module;
    for (size_t i = 0; f->calls_unknown && i < m->function_count; i++)
        if (!m->functions[i]->entry && m->functions[i]->body != NULL)
            visit(r, m->functions[i]);
}

static size_t packed_shared(const struct cue_kernel *k)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < k->shared_count; i++) {
        const cue_symbol *s = &k->function->module->symbols[k->shared[i]];
        bytes = cue_align_up(bytes, s->align) + s->bytes;
    }
    return bytes;
}

/* look_through: everything about a kernel but whether it can run. */
static const char *look_through(struct cue_kernel *k)
{
    struct cue_module *m = k->function->module;
    reach r = {.kernel = k, .seen = cue_alloc(m->function_count * sizeof *r.seen)};
    visit(&r, k->function);
    free(r.seen);
    k->frame_parameter_bytes = (k->frame_parameter_bytes + 15) / 16 * 16;
    k->max_depth = r.calls ? CUE_MAX_DEPTH : 1;
    k->local_bytes = (k->function->local_bytes + 15) / 16 * 16 + (r.calls ? CUE_CALL_LOCAL_BYTES : 0);
    k->function->info.static_shared_bytes = packed_shared(k);
    k->function->info.local_bytes = k->function->local_bytes;
    return r.unimplemented;
}

void cue_kernel_link(struct cue_kernel *k)
{
    if (k->linked)
        return;
    if (k->unimplemented != NULL)
        cue_fatal("kernel %s cannot be launched: %s", k->function->name, k->unimplemented);
    k->counters = cue_counters_of(k->function->name);
    k->linked = true;
}

const cue_kernel_info *cue_kernel_get_info(const cue_kernel *kernel)
{
    return &kernel->function->info;
}

cue_kernel *cue_module_kernel(cue_module *module, const char *name)
{
    cue_token token = {name, (uint32_t)strlen(name), CUE_WORD};
    cue_function *f = cue_find_function(module, &token);
    if (f == NULL || !f->entry || f->body == NULL)
        return NULL;
    if (f->kernel == NULL) {
        f->kernel = cue_pool_take(&module->pool, sizeof *f->kernel);
        f->kernel->function = f;
        f->kernel->unimplemented = look_through(f->kernel);
    }
    return f->kernel;
}
