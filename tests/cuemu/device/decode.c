/* decode.c: the statements of a function body: scopes, declarations, labels, locations, and one instruction after the
 * other. An instruction that is not implemented is remembered, and matters when a kernel that reaches it is launched.
 */
#include "device/decoder.h"

#include <stdio.h>
#include <string.h>

void cue_unknown(cue_decoder *d, const char *why)
{
    cue_function *f = d->function;
    const cue_token *end = d->statement;
    while (end->kind != CUE_END && !cue_token_is(end, ";"))
        end++;
    if (f->unimplemented == NULL) {
        char text[500];
        cue_insn here = {.location = d->location, .ptx_line = d->ptx_line};
        cue_place place = {0};
        cue_place_of(d->module, &here, &place);
        snprintf(text, sizeof text, "%s: '%.*s' in %s at %s:%d (%s)", "not implemented",
                 (int)(end->text - d->statement->text), d->statement->text, f->name,
                 place.file != NULL ? place.file : "?", place.line, why);
        f->unimplemented = cue_pool_text(&d->module->pool, text, strlen(text));
    }
    d->at = end;
    longjmp(d->unknown, 1);
}

/* ---------------------------------------------------------------- scopes */
static void open_scope(cue_decoder *d)
{
    if (d->depth == CUE_MAX_SCOPES)
        cue_parse_error(d->module, d->at, "fewer nested scopes");
    d->scopes[d->depth].id = d->next_scope++;
    d->scopes[d->depth].registers = d->register_count;
    d->scopes[d->depth].locals = d->local_count;
    d->depth++;
}

static void close_scope(cue_decoder *d)
{
    d->depth--;
    d->register_count = d->scopes[d->depth].registers;
    d->local_count = d->scopes[d->depth].locals;
}

static void declare_register(cue_decoder *d, cue_type type)
{
    if (d->at->kind != CUE_WORD)
        cue_parse_error(d->module, d->at, "a register name");
    cue_register r = {.name = *d->at++, .count = 1, .type = type};
    if (cue_token_is(d->at, "<")) {
        d->at++;
        r.range = true;
        r.count = (uint32_t)cue_expect_number(d->module, &d->at);
        cue_expect(d->module, &d->at, ">");
    }
    int32_t *next = type == CUE_PRED ? &d->function->predicate_count : &d->function->row_count;
    r.first = *next;
    *next += (int32_t)r.count;
    d->registers =
        cue_pool_grow(&d->module->pool, d->registers, d->register_count, &d->register_room, sizeof *d->registers);
    d->registers[d->register_count++] = r;
}

static void declare_registers(cue_decoder *d)
{
    cue_type type =
        d->at->kind == CUE_WORD && d->at->length > 1 ? cue_type_of(d->at->text + 1, d->at->length - 1) : CUE_NO_TYPE;
    if (type == CUE_NO_TYPE)
        cue_parse_error(d->module, d->at, "a register type");
    d->at++;
    do
        declare_register(d, type);
    while (cue_try(d, ","));
    cue_expect(d->module, &d->at, ";");
    /* 32-bit registers as the card has them: an upper bound, for people who look at it */
    uint32_t words = type == CUE_PRED ? 0 : (cue_type_bytes(type) + 3) / 4;
    d->function->info.registers += words * d->registers[d->register_count - 1].count;
}

static void add_local(cue_decoder *d, cue_local_symbol symbol)
{
    d->locals = cue_pool_grow(&d->module->pool, d->locals, d->local_count, &d->local_room, sizeof *d->locals);
    d->locals[d->local_count++] = symbol;
}

static void declare_memory(cue_decoder *d, cue_space space)
{
    cue_declaration declared = cue_declare(d->module, &d->at);
    cue_expect(d->module, &d->at, ";");
    uint32_t *end = space == CUE_LOCAL ? &d->function->local_bytes : &d->function->frame_parameter_bytes;
    uint64_t offset = cue_align_up(*end, declared.align);
    *end = (uint32_t)(offset + declared.bytes);
    add_local(d, (cue_local_symbol){declared.name, space, offset, (uint32_t)declared.bytes});
}

/* declare_formals: parameters and results have names in the outermost scope. */
static void declare_formals(cue_decoder *d)
{
    const cue_function *f = d->function;
    cue_space space = f->entry ? CUE_ENTRY_PARAM : CUE_FRAME_PARAM;
    for (uint32_t i = 0; i < f->result_count; i++)
        add_local(d, (cue_local_symbol){f->result_names[i], space, f->results[i].offset, f->results[i].bytes});
    for (uint32_t i = 0; i < f->parameter_count; i++)
        add_local(d, (cue_local_symbol){f->parameter_names[i], space, f->parameters[i].offset, f->parameters[i].bytes});
    d->function->frame_parameter_bytes = f->entry ? 0 : f->parameter_bytes;
}

/* ---------------------------------------------------------------- locations */
static uint32_t add_location(struct cue_module *m, cue_location location)
{
    m->locations = cue_pool_grow(&m->pool, m->locations, m->location_count, &m->location_room, sizeof *m->locations);
    m->locations[m->location_count] = location;
    return (uint32_t)m->location_count++;
}

static cue_location read_location(cue_decoder *d)
{
    cue_location l = {0};
    l.file = (uint32_t)cue_expect_number(d->module, &d->at);
    l.line = (uint32_t)cue_expect_number(d->module, &d->at);
    l.column = (uint32_t)cue_expect_number(d->module, &d->at);
    return l;
}

/* parent_of: the location that something was inlined at; it was named before, with its own parent. */
static uint32_t parent_of(struct cue_module *m, cue_location at)
{
    for (size_t i = m->location_count; i > 0; i--) {
        const cue_location *l = &m->locations[i - 1];
        if (l->file == at.file && l->line == at.line && l->column == at.column)
            return (uint32_t)i;
    }
    return add_location(m, at) + 1;
}

static void read_loc(cue_decoder *d)
{
    cue_location l = read_location(d);
    while (cue_try(d, ",")) {
        if (cue_try(d, "function_name")) {
            d->at++;
            if (cue_try(d, "+"))
                d->at++;
        } else if (cue_try(d, "inlined_at")) {
            l.parent = parent_of(d->module, read_location(d));
        } else {
            cue_parse_error(d->module, d->at, "function_name or inlined_at");
        }
    }
    if (l.line != 0) /* line 0 stands for code that the compiler made: the last real line says more */
        d->location = add_location(d->module, l);
}

void cue_place_of(const struct cue_module *module, const cue_insn *insn, cue_place *place)
{
    if (insn->location == 0) { /* compiled without -lineinfo: the line of the PTX text is better than nothing */
        place->file = insn->ptx_line != 0 ? "PTX" : NULL;
        place->line = (int)insn->ptx_line;
        return;
    }
    const cue_location *l = &module->locations[insn->location];
    for (int hops = 0; l->parent != 0 && hops < 64; hops++)
        l = &module->locations[l->parent - 1];
    place->file = l->file < module->file_room ? module->files[l->file] : NULL;
    place->line = (int)l->line;
}

/* ---------------------------------------------------------------- labels */
static void copy_scopes(const cue_decoder *d, uint32_t *scopes, uint32_t *depth)
{
    for (uint32_t i = 0; i < d->depth; i++)
        scopes[i] = d->scopes[i].id;
    *depth = d->depth;
}

static void add_label(cue_decoder *d, cue_token name)
{
    d->labels = cue_pool_grow(&d->module->pool, d->labels, d->label_count, &d->label_room, sizeof *d->labels);
    d->labels[d->label_count++] = (cue_label){name, d->scopes[d->depth - 1].id, d->function->code_count};
}

void cue_add_jump(cue_decoder *d, const cue_token *label, bool table)
{
    d->jumps = cue_pool_grow(&d->module->pool, d->jumps, d->jump_count, &d->jump_room, sizeof *d->jumps);
    cue_jump *j = &d->jumps[d->jump_count++];
    *j = (cue_jump){.name = *label, .insn = d->function->code_count, .table = table};
    copy_scopes(d, j->scopes, &j->depth);
}

static uint32_t find_label(const cue_decoder *d, const cue_token *name, const uint32_t *scopes, uint32_t depth)
{
    for (uint32_t s = depth; s > 0; s--)
        for (size_t i = 0; i < d->label_count; i++)
            if (d->labels[i].scope == scopes[s - 1] && cue_token_same(&d->labels[i].name, name))
                return d->labels[i].at;
    cue_parse_error(d->module, name, "a label that exists");
}

static void resolve_table(cue_decoder *d, cue_insn *insn, const cue_token *name)
{
    for (size_t t = 0; t < d->table_count; t++) {
        const cue_branch_table *table = &d->tables[t];
        if (!cue_token_same(&table->name, name))
            continue;
        uint32_t count = 1;
        for (const cue_token *at = table->first; !cue_token_is(at, ";"); at++)
            count += cue_token_is(at, ",");
        uint32_t *targets = cue_pool_take(&d->module->pool, count * sizeof *targets);
        for (uint32_t i = 0; i < count; i++)
            targets[i] = find_label(d, &table->first[2 * i], table->scopes, table->depth);
        insn->targets = targets;
        insn->target_count = count;
        return;
    }
    cue_parse_error(d->module, name, "a .branchtargets label");
}

static void resolve_jumps(cue_decoder *d)
{
    for (size_t i = 0; i < d->jump_count; i++) {
        const cue_jump *j = &d->jumps[i];
        cue_insn *insn = &d->function->code[j->insn];
        if (j->table)
            resolve_table(d, insn, &j->name);
        else
            insn->target = find_label(d, &j->name, j->scopes, j->depth);
    }
}

/* ---------------------------------------------------------------- instructions */
static void split_opcode(cue_decoder *d)
{
    const cue_token *opcode = d->at++;
    const char *p = opcode->text, *end = p + opcode->length;
    d->word_count = 0;
    while (p < end) {
        const char *dot = memchr(p, '.', (size_t)(end - p));
        const char *stop = dot != NULL ? dot : end;
        if (d->word_count == CUE_MAX_WORDS)
            cue_unknown(d, "too many words");
        d->words[d->word_count++] = (cue_token){p, (uint32_t)(stop - p), CUE_WORD};
        p = dot != NULL ? dot + 1 : end;
    }
}

static void emit(cue_decoder *d)
{
    cue_function *f = d->function;
    f->code = cue_pool_grow(&d->module->pool, f->code, f->code_count, &d->code_room, sizeof *f->code);
    f->code[f->code_count++] = d->insn;
}

static void select_instruction(cue_decoder *d)
{
    if (!cue_select_move(d) && !cue_select_carry(d) && !cue_select_compare(d) && !cue_select_convert(d) &&
        !cue_select_memory(d) && !cue_select_control(d) && !cue_select_warp(d) && !cue_select_matrix(d) &&
        !cue_select_rows(d))
        cue_unknown(d, "no such instruction in the table");
}

/* count_lines: only where no .loc says better; it takes time in a long text. */
static void count_lines(cue_decoder *d, const char *to)
{
    for (; d->counted_to < to; d->counted_to++)
        d->ptx_line += *d->counted_to == '\n';
}

static void read_instruction(cue_decoder *d)
{
    d->statement = d->at;
    d->insn = (cue_insn){.guard = CUE_NO_PREDICATE,
                         .dst = CUE_NO_ROW,
                         .dst_predicate = CUE_NO_PREDICATE,
                         .dst_predicate_2 = CUE_NO_PREDICATE,
                         .src = {-1, -1, -1, -1},
                         .predicate = {{CUE_NO_PREDICATE, false}, {CUE_NO_PREDICATE, false}},
                         .vector = 1,
                         .location = d->location,
                         .ptx_line = d->ptx_line};
    if (setjmp(d->unknown) == 0) {
        if (cue_try(d, "@")) {
            cue_predicate_source guard = cue_predicate(d);
            d->insn.guard = guard.index;
            d->insn.guard_negate = guard.negate;
        }
        d->insn.text.text = d->at->text;
        split_opcode(d);
        select_instruction(d);
        if (!cue_token_is(d->at, ";"))
            cue_unknown(d, "more operands than expected");
        d->insn.text.length = (uint32_t)(d->at->text - d->insn.text.text);
        emit(d);
    }
    cue_expect(d->module, &d->at, ";");
}

static void read_label_or_table(cue_decoder *d)
{
    cue_token name = *d->at;
    d->at += 2;
    if (cue_try(d, ".branchtargets")) {
        d->tables = cue_pool_grow(&d->module->pool, d->tables, d->table_count, &d->table_room, sizeof *d->tables);
        cue_branch_table *t = &d->tables[d->table_count++];
        *t = (cue_branch_table){.name = name, .first = d->at};
        copy_scopes(d, t->scopes, &t->depth);
    } else if (!cue_token_is(d->at, ".callprototype") && !cue_token_is(d->at, ".calltargets")) {
        add_label(d, name);
        return;
    }
    while (!cue_token_is(d->at, ";")) /* a prototype says nothing that the callee's own declaration does not */
        d->at++;
    d->at++;
}

static void read_statement(cue_decoder *d)
{
    if (cue_try(d, "{"))
        open_scope(d);
    else if (cue_try(d, "}"))
        close_scope(d);
    else if (cue_try(d, ".reg"))
        declare_registers(d);
    else if (cue_try(d, ".local"))
        declare_memory(d, CUE_LOCAL);
    else if (cue_try(d, ".param"))
        declare_memory(d, CUE_FRAME_PARAM);
    else if (cue_try(d, ".loc"))
        read_loc(d);
    else if (cue_try(d, ".shared") || cue_try(d, ".pragma"))
        while (!cue_try(d, ";")) /* shared memory was laid out when the module was read */
            d->at++;
    else if (!cue_try(d, ";")) {
        if (d->at->kind == CUE_WORD && cue_token_is(d->at + 1, ":")) {
            read_label_or_table(d);
        } else {
            if (d->location == 0)
                count_lines(d, d->at->text);
            read_instruction(d);
        }
    }
}

void cue_decode(cue_function *f)
{
    if (f->decoded)
        return;
    f->decoded = true;
    if (f->body == NULL) {
        char text[300];
        snprintf(text, sizeof text, "not implemented: call of %s, which this module only declares", f->name);
        f->unimplemented = cue_pool_text(&f->module->pool, text, strlen(text));
        return;
    }
    if (f->module->location_count == 0)
        add_location(f->module, (cue_location){0}); /* number 0 is "unknown" */
    cue_decoder *d = cue_pool_take(&f->module->pool, sizeof *d);
    d->function = f;
    d->module = f->module;
    d->at = f->body;
    d->counted_to = f->module->text;
    d->ptx_line = 1;
    cue_constant(d, 0);
    declare_formals(d);
    open_scope(d);
    d->at++;
    while (d->at < f->body_end - 1)
        read_statement(d);
    /* falling off the end returns */
    static const cue_token words[] = {{"ret", 3, CUE_WORD}, {";", 1, CUE_MARK}, {"", 0, CUE_END}};
    d->at = words;
    read_instruction(d);
    resolve_jumps(d);
}
