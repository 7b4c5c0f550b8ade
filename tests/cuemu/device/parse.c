/* parse.c: a PTX module outside its function bodies: versions, files, variables, functions and their parameters. */
#include "device/declare.h"
#include "device/memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct parser {
    struct cue_module *module;
    const cue_token *at;
} parser;

static bool take(parser *p, const char *text)
{
    if (!cue_token_is(p->at, text))
        return false;
    p->at++;
    return true;
}

static void skip_balanced(parser *p)
{
    cue_expect(p->module, &p->at, "{");
    for (int depth = 1; depth > 0; p->at++) {
        if (p->at->kind == CUE_END)
            cue_parse_error(p->module, p->at, "}");
        depth += cue_token_is(p->at, "{") ? 1 : cue_token_is(p->at, "}") ? -1 : 0;
    }
}

/* ---------------------------------------------------------------- symbols */
static cue_symbol *add_symbol(struct cue_module *m, cue_symbol symbol)
{
    m->symbols = cue_pool_grow(&m->pool, m->symbols, m->symbol_count, &m->symbol_room, sizeof *m->symbols);
    m->symbols[m->symbol_count] = symbol;
    return &m->symbols[m->symbol_count++];
}

cue_symbol *cue_find_symbol(struct cue_module *module, const cue_function *function, const cue_token *name)
{
    cue_symbol *found = NULL;
    for (size_t i = 0; i < module->symbol_count; i++) {
        cue_symbol *s = &module->symbols[i];
        if (!cue_token_same(&s->name, name))
            continue;
        if (s->owner == function && function != NULL)
            return s;
        if (s->owner == NULL)
            found = s;
    }
    return found;
}

cue_function *cue_find_function(struct cue_module *module, const cue_token *name)
{
    for (size_t i = 0; i < module->function_count; i++)
        if (strlen(module->functions[i]->name) == name->length &&
            memcmp(module->functions[i]->name, name->text, name->length) == 0)
            return module->functions[i];
    return NULL;
}

static void add_shared(parser *p, bool is_extern, cue_function *owner)
{
    cue_declaration d = cue_declare(p->module, &p->at);
    cue_expect(p->module, &p->at, ";");
    bool dynamic = is_extern && d.bytes == 0;
    if (is_extern && !dynamic)
        cue_parse_error(p->module, &d.name, "no size at an extern .shared");
    add_symbol(p->module, (cue_symbol){.name = d.name,
                                       .space = CUE_SHARED,
                                       .bytes = d.bytes,
                                       .align = d.align,
                                       .dynamic = dynamic,
                                       .owner = owner});
}

static bool belongs_to_entry(const cue_symbol *s)
{
    return s->owner != NULL && s->owner->entry;
}

static void place(cue_symbol *s, uint32_t *end)
{
    s->value = cue_align_up(*end, s->align);
    *end = (uint32_t)(s->value + s->bytes);
}

/* lay_out_shared: what the module and its device functions declare has one place for all kernels; behind it the arrays
 * of each kernel, over those of the others; behind them all the dynamic part. */
static void lay_out_shared(struct cue_module *m)
{
    uint32_t common = 0;
    for (size_t i = 0; i < m->symbol_count; i++)
        if (m->symbols[i].space == CUE_SHARED && !m->symbols[i].dynamic && !belongs_to_entry(&m->symbols[i]))
            place(&m->symbols[i], &common);
    for (size_t i = 0; i < m->function_count; i++)
        m->functions[i]->shared_end = common;
    m->shared_static_end = common;
    for (size_t i = 0; i < m->symbol_count; i++) {
        cue_symbol *s = &m->symbols[i];
        if (s->space != CUE_SHARED || s->dynamic || !belongs_to_entry(s))
            continue;
        place(s, &s->owner->shared_end);
        if (s->owner->shared_end > m->shared_static_end)
            m->shared_static_end = s->owner->shared_end;
    }
    m->shared_static_end = (uint32_t)cue_align_up(m->shared_static_end, 128);
    for (size_t i = 0; i < m->symbol_count; i++)
        if (m->symbols[i].dynamic)
            m->symbols[i].value = m->shared_static_end;
}

/* ---------------------------------------------------------------- initial values */
/* initial_value: one element: a number, a symbol, generic(symbol), each with an optional +offset. Forward references
 * happen, so values are read in a second pass when all symbols are known. */
static uint64_t initial_value(parser *p)
{
    uint64_t value = 0;
    if (cue_token_number(p->at, &value)) {
        p->at++;
        return value;
    }
    bool generic = take(p, "generic");
    if (generic)
        cue_expect(p->module, &p->at, "(");
    const cue_symbol *symbol = cue_find_symbol(p->module, NULL, p->at);
    const cue_function *function = cue_find_function(p->module, p->at);
    if (symbol != NULL && (symbol->space == CUE_GLOBAL || symbol->space == CUE_CONST))
        value = symbol->value;
    else if (function != NULL)
        value = CUE_FUNCTION_ADDRESS + 16 * ((uint64_t)function->index + 1);
    else
        cue_parse_error(p->module, p->at, "a number or symbol");
    p->at++;
    if (generic)
        cue_expect(p->module, &p->at, ")");
    if (take(p, "+"))
        value += cue_expect_number(p->module, &p->at);
    return value;
}

typedef struct pending_value {
    const cue_token *at;
    uint8_t *address;
    uint64_t bytes;
    uint32_t element_bytes;
} pending_value;

static void put_values(parser *p, const pending_value *v, uint64_t *used)
{
    if (take(p, "{")) {
        do
            put_values(p, v, used);
        while (take(p, ","));
        cue_expect(p->module, &p->at, "}");
        return;
    }
    const cue_token *here = p->at;
    uint64_t value = initial_value(p);
    if (*used + v->element_bytes > v->bytes)
        cue_parse_error(p->module, here, "fewer initial values");
    memcpy(v->address + *used, &value, v->element_bytes);
    *used += v->element_bytes;
}

static void initialise_all(struct cue_module *m, const pending_value *values, size_t count)
{
    if (count == 0)
        return;
    cue_mem_unlock();
    for (size_t i = 0; i < count; i++) {
        parser p = {m, values[i].at};
        uint64_t used = 0;
        put_values(&p, &values[i], &used);
        cue_expect(m, &p.at, ";");
    }
    cue_mem_lock();
}

static void skip_initialiser(parser *p)
{
    while (p->at->kind != CUE_END && !cue_token_is(p->at, ";"))
        p->at++;
}

static pending_value add_variable(parser *p, bool constant, bool is_extern)
{
    struct cue_module *m = p->module;
    if (cue_token_is(p->at, ".attribute"))
        cue_parse_error(m, p->at, "no attribute: managed variables are not implemented, a plain .global");
    cue_declaration d = cue_declare(m, &p->at);
    if (is_extern)
        cue_parse_error(m, &d.name, "a definition: variables of other modules (-rdc) are not implemented,");
    uint8_t *address = cue_mem_variable(d.bytes, constant);
    add_symbol(m, (cue_symbol){.name = d.name,
                               .space = constant ? CUE_CONST : CUE_GLOBAL,
                               .value = (uint64_t)(uintptr_t)address,
                               .bytes = d.bytes,
                               .align = d.align});
    m->variables = cue_pool_grow(&m->pool, m->variables, m->variable_count, &m->variable_room, sizeof *m->variables);
    m->variables[m->variable_count++] =
        (cue_variable){cue_pool_text(&m->pool, d.name.text, d.name.length), address, d.bytes, constant};
    pending_value value = {NULL, address, d.bytes, cue_type_bytes(d.type)};
    if (take(p, "=")) {
        value.at = p->at;
        skip_initialiser(p);
    }
    cue_expect(m, &p->at, ";");
    return value;
}

/* ---------------------------------------------------------------- functions */
static uint32_t parse_parameters(parser *p, cue_parameter **parameters, cue_token **names, uint32_t *offset)
{
    struct cue_module *m = p->module;
    size_t count = 0, room = 0, name_room = 0;
    *parameters = NULL;
    *names = NULL;
    cue_expect(m, &p->at, "(");
    while (!take(p, ")")) {
        if (count > 0)
            cue_expect(m, &p->at, ",");
        if (!take(p, ".param"))
            cue_parse_error(m, p->at, ".param (parameters in registers are not implemented)");
        cue_declaration d = cue_declare(m, &p->at);
        *offset = (uint32_t)cue_align_up(*offset, d.align);
        *parameters = cue_pool_grow(&m->pool, *parameters, count, &room, sizeof **parameters);
        *names = cue_pool_grow(&m->pool, *names, count, &name_room, sizeof **names);
        (*parameters)[count] = (cue_parameter){*offset, (uint32_t)d.bytes, d.align};
        (*names)[count++] = d.name;
        *offset += (uint32_t)d.bytes;
    }
    return (uint32_t)count;
}

static void parse_three(parser *p, uint32_t numbers[3])
{
    for (int i = 0; i < 3; i++)
        numbers[i] = 1;
    for (int i = 0; i < 3; i++) {
        numbers[i] = (uint32_t)cue_expect_number(p->module, &p->at);
        if (!take(p, ","))
            return;
    }
}

static void parse_performance_directives(parser *p, cue_function *f)
{
    while (p->at->kind == CUE_WORD && p->at->text[0] == '.') {
        if (take(p, ".maxntid"))
            parse_three(p, f->info.max_ntid);
        else if (take(p, ".reqntid"))
            parse_three(p, f->info.required_ntid);
        else if (take(p, ".minnctapersm") || take(p, ".maxnreg"))
            cue_expect_number(p->module, &p->at);
        else if (take(p, ".pragma")) {
            p->at++;
            cue_expect(p->module, &p->at, ";");
        } else if (!take(p, ".noreturn"))
            cue_parse_error(p->module, p->at, "a directive that cuemu knows (clusters are not implemented)");
    }
}

static uint32_t thread_limit(const cue_kernel_info *info)
{
    const uint32_t *n = info->required_ntid[0] != 0 ? info->required_ntid : info->max_ntid;
    return n[0] == 0 ? CUE_MAX_THREADS : n[0] * n[1] * n[2];
}

/* scan_body: remembers the body for later, and its shared memory now. */
static void scan_body(parser *p, cue_function *f)
{
    f->body = p->at;
    parser inside = *p;
    skip_balanced(p);
    f->body_end = p->at;
    while (inside.at < f->body_end)
        if (take(&inside, ".shared"))
            add_shared(&inside, false, f);
        else
            inside.at++;
}

static cue_function *find_or_add(struct cue_module *m, const cue_token *name)
{
    cue_function *f = cue_find_function(m, name);
    if (f != NULL)
        return f;
    f = cue_pool_take(&m->pool, sizeof *f);
    f->module = m;
    f->name = cue_pool_text(&m->pool, name->text, name->length);
    f->index = (uint32_t)m->function_count;
    m->functions = cue_pool_grow(&m->pool, m->functions, m->function_count, &m->function_room, sizeof *m->functions);
    m->functions[m->function_count++] = f;
    return f;
}

static void parse_function(parser *p, bool entry, bool is_extern)
{
    struct cue_module *m = p->module;
    uint32_t offset = 0, result_count = 0;
    cue_parameter *results = NULL;
    cue_token *result_names = NULL;
    if (!entry && cue_token_is(p->at, "("))
        result_count = parse_parameters(p, &results, &result_names, &offset);
    if (p->at->kind != CUE_WORD)
        cue_parse_error(m, p->at, "a function name");
    cue_function *f = find_or_add(m, p->at++);
    f->entry = entry;
    f->is_extern = is_extern && f->body == NULL;
    f->results = results;
    f->result_names = result_names;
    f->result_count = result_count;
    if (cue_token_is(p->at, "("))
        f->parameter_count = parse_parameters(p, &f->parameters, &f->parameter_names, &offset);
    f->parameter_bytes = offset;
    parse_performance_directives(p, f);
    f->info = (cue_kernel_info){
        .name = f->name,
        .parameter_count = f->parameter_count,
        .parameters = f->parameters,
        .parameter_bytes = offset,
        .max_ntid = {f->info.max_ntid[0], f->info.max_ntid[1], f->info.max_ntid[2]},
        .required_ntid = {f->info.required_ntid[0], f->info.required_ntid[1], f->info.required_ntid[2]},
        .max_threads = thread_limit(&f->info),
        .ptx_version = m->ptx_version,
        .target = m->target};
    if (take(p, ";"))
        return;
    scan_body(p, f);
}

/* parse_alias: ".alias name, function;" */
static void parse_alias(parser *p)
{
    cue_token alias = *p->at++;
    cue_expect(p->module, &p->at, ",");
    const cue_function *target = cue_find_function(p->module, p->at);
    if (target == NULL)
        cue_parse_error(p->module, p->at, "a function");
    cue_function *f = find_or_add(p->module, &alias);
    uint32_t index = f->index;
    char *name = f->name;
    *f = *target;
    f->index = index;
    f->name = name;
    p->at++;
    cue_expect(p->module, &p->at, ";");
}

/* ---------------------------------------------------------------- the module */
static void parse_file(parser *p)
{
    struct cue_module *m = p->module;
    size_t number = (size_t)cue_expect_number(m, &p->at);
    if (p->at->kind != CUE_STRING)
        cue_parse_error(m, p->at, "a file name");
    while (number >= m->file_room)
        m->files = cue_pool_grow(&m->pool, m->files, m->file_room, &m->file_room, sizeof *m->files);
    const char *name = p->at->text + 1, *end = p->at->text + p->at->length - 1;
    for (const char *c = name; c < end; c++)
        if (*c == '/')
            name = c + 1;
    m->files[number] = cue_pool_text(&m->pool, name, (size_t)(end - name));
    p->at++;
    while (take(p, ","))
        cue_expect_number(m, &p->at);
}

static void parse_target(parser *p)
{
    const cue_token *t = p->at;
    if (t->length < 4 || strncmp(t->text, "sm_", 3) != 0)
        cue_parse_error(p->module, t, "sm_NN");
    p->module->target = atoi(t->text + 3);
    p->at++;
    while (take(p, ","))
        p->at++;
}

static void parse_version(parser *p)
{
    int major = 0, minor = 0;
    const char *t = p->at->text;
    while (*t >= '0' && *t <= '9')
        major = 10 * major + (*t++ - '0');
    if (*t == '.')
        minor = atoi(t + 1);
    p->module->ptx_version = 10 * major + minor;
    p->at++;
}

static bool is_linkage(const cue_token *t)
{
    return cue_token_is(t, ".visible") || cue_token_is(t, ".weak") || cue_token_is(t, ".common");
}

void cue_parse(struct cue_module *module)
{
    parser p = {module, cue_tokens(module->text, &module->pool, module->name)};
    pending_value *values = NULL;
    size_t value_count = 0, value_room = 0;
    while (p.at->kind != CUE_END) {
        bool is_extern = false;
        while (is_linkage(p.at) || cue_token_is(p.at, ".extern"))
            is_extern |= take(&p, ".extern") || (p.at++, false);
        if (take(&p, ".version")) {
            parse_version(&p);
        } else if (take(&p, ".target")) {
            parse_target(&p);
        } else if (take(&p, ".address_size")) {
            if (cue_expect_number(module, &p.at) != 64)
                cue_fatal("%s: only PTX with addresses of 64 bits is implemented", module->name);
        } else if (take(&p, ".file")) {
            parse_file(&p);
        } else if (take(&p, ".section")) {
            p.at++;
            skip_balanced(&p);
        } else if (take(&p, ".func")) {
            parse_function(&p, false, is_extern);
        } else if (take(&p, ".entry")) {
            parse_function(&p, true, is_extern);
        } else if (take(&p, ".alias")) {
            parse_alias(&p);
        } else if (take(&p, ".shared")) {
            add_shared(&p, is_extern, NULL);
        } else if (cue_token_is(p.at, ".global") || cue_token_is(p.at, ".const")) {
            bool constant = cue_token_is(p.at++, ".const");
            pending_value value = add_variable(&p, constant, is_extern);
            values = cue_pool_grow(&module->pool, values, value_count, &value_room, sizeof *values);
            if (value.at != NULL)
                values[value_count++] = value;
        } else if (!take(&p, ";")) {
            cue_parse_error(module, p.at, "a directive that cuemu knows");
        }
    }
    initialise_all(module, values, value_count);
    lay_out_shared(module);
}
