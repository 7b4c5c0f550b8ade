/* operand.c: operands of instructions as rows, predicates and addresses; words of opcodes. */
#include "device/decoder.h"
#include "device/memory.h"
#include "device/special.h"

#include <ctype.h>
#include <string.h>

static const char *const special_names[] = {
#define SPECIAL_NAME(name, text) text,
    CUE_SPECIALS(SPECIAL_NAME)
#undef SPECIAL_NAME
};

bool cue_try(cue_decoder *d, const char *mark)
{
    if (!cue_token_is(d->at, mark))
        return false;
    d->at++;
    return true;
}

void cue_comma(cue_decoder *d)
{
    if (!cue_try(d, ","))
        cue_unknown(d, "an operand is missing");
}

/* ---------------------------------------------------------------- names */
/* range_number: "%r17" against "%r": 17. */
static bool range_number(const cue_register *r, const cue_token *name, uint32_t *number)
{
    if (name->length <= r->name.length || memcmp(name->text, r->name.text, r->name.length) != 0)
        return false;
    uint32_t n = 0;
    for (uint32_t i = r->name.length; i < name->length; i++) {
        if (!isdigit((unsigned char)name->text[i]))
            return false;
        n = 10 * n + (uint32_t)(name->text[i] - '0');
    }
    *number = n;
    return n < r->count;
}

const cue_register *cue_find_register(const cue_decoder *d, const cue_token *name, uint32_t *number)
{
    for (size_t i = d->register_count; i > 0; i--) {
        const cue_register *r = &d->registers[i - 1];
        *number = 0;
        if (r->range ? range_number(r, name, number) : cue_token_same(&r->name, name))
            return r;
    }
    return NULL;
}

const cue_local_symbol *cue_find_local(const cue_decoder *d, const cue_token *name)
{
    for (size_t i = d->local_count; i > 0; i--)
        if (cue_token_same(&d->locals[i - 1].name, name))
            return &d->locals[i - 1];
    return NULL;
}

/* ---------------------------------------------------------------- rows */
int32_t cue_new_row(cue_decoder *d)
{
    return d->function->row_count++;
}

int32_t cue_constant(cue_decoder *d, uint64_t value)
{
    cue_function *f = d->function;
    for (int32_t i = 0; i < f->constant_count; i++)
        if (f->constants[i][0] == value)
            return -1 - i;
    f->constants = cue_pool_grow(&d->module->pool, f->constants, (size_t)f->constant_count, &d->constant_room,
                                 sizeof *f->constants);
    for (int lane = 0; lane < 32; lane++)
        f->constants[f->constant_count][lane] = value;
    return -1 - f->constant_count++;
}

static int32_t special_row(cue_decoder *d, cue_special special)
{
    cue_function *f = d->function;
    for (uint32_t i = 0; i < f->special_count; i++)
        if (f->specials[i].special == special)
            return f->specials[i].row;
    f->specials = cue_pool_grow(&d->module->pool, f->specials, f->special_count, &d->special_room, sizeof *f->specials);
    f->specials[f->special_count] = (cue_special_row){cue_new_row(d), (uint8_t)special};
    return f->specials[f->special_count++].row;
}

uint32_t cue_reference_function(cue_decoder *d, cue_function *callee)
{
    cue_function *f = d->function;
    for (uint32_t i = 0; i < f->callee_count; i++)
        if (f->callees[i] == callee)
            return i;
    f->callees = cue_pool_grow(&d->module->pool, f->callees, f->callee_count, &d->callee_room, sizeof *f->callees);
    f->callees[f->callee_count] = callee;
    return f->callee_count++;
}

/* use_symbol: value of a module symbol; shared ones are remembered, because a kernel owns only what it can reach. */
static bool use_symbol(cue_decoder *d, const cue_token *name, cue_space *space, uint64_t *value)
{
    cue_function *f = d->function;
    const cue_symbol *s = cue_find_symbol(d->module, f, name);
    if (s == NULL) {
        cue_function *function = cue_find_function(d->module, name);
        if (function == NULL)
            return false;
        cue_reference_function(d, function);
        *space = CUE_FUNCTION;
        *value = CUE_FUNCTION_ADDRESS + 16 * ((uint64_t)function->index + 1);
        return true;
    }
    *space = s->space;
    *value = s->dynamic ? d->module->shared_static_end : s->value;
    if (s->space == CUE_SHARED) {
        f->shared_used = cue_pool_grow(&d->module->pool, f->shared_used, f->shared_used_count, &d->shared_room,
                                       sizeof *f->shared_used);
        f->shared_used[f->shared_used_count++] = (uint32_t)(s - d->module->symbols);
    }
    return true;
}

static bool special_of(const cue_token *name, cue_special *special)
{
    for (int i = 0; i < CUE_SPECIAL_COUNT; i++)
        if (cue_token_is(name, special_names[i])) {
            *special = (cue_special)i;
            return true;
        }
    return false;
}

static int32_t word_source(cue_decoder *d, const cue_token *name)
{
    uint32_t number = 0;
    const cue_register *r = cue_find_register(d, name, &number);
    if (r != NULL) {
        if (r->type == CUE_PRED)
            cue_unknown(d, "a predicate where a value is expected");
        return r->first + (int32_t)number;
    }
    cue_special special;
    if (special_of(name, &special)) {
        if (special >= CUE_FIRST_TIMER)
            cue_unknown(d, "a clock that is not read with mov");
        return special_row(d, special);
    }
    if (cue_token_is(name, "WARP_SZ"))
        return cue_constant(d, CUE_WARP);
    const cue_local_symbol *local = cue_find_local(d, name);
    if (local != NULL)
        cue_unknown(d, "the address of a local or parameter symbol outside mov");
    cue_space space;
    uint64_t value;
    if (!use_symbol(d, name, &space, &value))
        cue_unknown(d, "unknown symbol");
    if (cue_try(d, "+"))
        value += cue_immediate(d);
    return cue_constant(d, value);
}

int32_t cue_source(cue_decoder *d, cue_type type)
{
    const cue_token *t = d->at++;
    if (t->kind == CUE_WORD)
        return word_source(d, t);
    uint64_t value;
    if (!cue_token_number(t, &value))
        cue_unknown(d, "an operand of unknown form");
    bool single = t->length > 1 && (t->text[1] == 'f' || t->text[1] == 'F');
    bool twice = t->length > 1 && (t->text[1] == 'd' || t->text[1] == 'D') && t->text[0] == '0';
    uint32_t bytes = cue_type_bytes(type);
    if ((single && bytes != 4) || (twice && bytes != 8))
        cue_unknown(d, "a floating-point constant of another size than the type");
    return cue_constant(d, value);
}

int32_t cue_destination(cue_decoder *d)
{
    const cue_token *t = d->at++;
    uint32_t number = 0;
    if (cue_token_is(t, "_"))
        return CUE_NO_ROW;
    const cue_register *r = t->kind == CUE_WORD ? cue_find_register(d, t, &number) : NULL;
    if (r == NULL || r->type == CUE_PRED)
        cue_unknown(d, "the destination is no register");
    return r->first + (int32_t)number;
}

int16_t cue_predicate_destination(cue_decoder *d)
{
    const cue_token *t = d->at++;
    uint32_t number = 0;
    if (cue_token_is(t, "_"))
        return CUE_NO_PREDICATE;
    const cue_register *r = t->kind == CUE_WORD ? cue_find_register(d, t, &number) : NULL;
    if (r == NULL || r->type != CUE_PRED)
        cue_unknown(d, "the destination is no predicate");
    return (int16_t)(r->first + (int32_t)number);
}

bool cue_at_predicate(cue_decoder *d)
{
    uint32_t number = 0;
    const cue_token *t = cue_token_is(d->at, "!") ? d->at + 1 : d->at;
    const cue_register *r = t->kind == CUE_WORD ? cue_find_register(d, t, &number) : NULL;
    return r != NULL && r->type == CUE_PRED;
}

cue_predicate_source cue_predicate(cue_decoder *d)
{
    cue_predicate_source p = {CUE_NO_PREDICATE, false};
    p.negate = cue_try(d, "!");
    uint64_t value;
    if (cue_token_number(d->at, &value)) {
        d->at++;
        p.negate ^= value != 0;
        return p;
    }
    p.index = cue_predicate_destination(d);
    if (p.index == CUE_NO_PREDICATE)
        cue_unknown(d, "_ is no predicate");
    return p;
}

uint64_t cue_immediate(cue_decoder *d)
{
    uint64_t value;
    if (!cue_token_number(d->at, &value))
        cue_unknown(d, "a constant is expected");
    d->at++;
    return value;
}

uint32_t cue_vector(cue_decoder *d, cue_type type, bool destination)
{
    uint32_t count = 0;
    if (!cue_try(d, "{"))
        cue_unknown(d, "a vector operand is expected");
    do {
        if (count == CUE_MAX_VECTOR)
            cue_unknown(d, "vector of too many elements");
        d->insn.elements[count++] = destination ? cue_destination(d) : cue_source(d, type);
    } while (cue_try(d, ","));
    if (!cue_try(d, "}"))
        cue_unknown(d, "} is expected");
    return count;
}

cue_address cue_bracketed(cue_decoder *d, cue_space space)
{
    cue_address a = {space, CUE_NO_ROW, 0};
    if (!cue_try(d, "["))
        cue_unknown(d, "an address in brackets is expected");
    const cue_token *t = d->at++;
    uint32_t number = 0;
    uint64_t value = 0;
    const cue_register *r = t->kind == CUE_WORD ? cue_find_register(d, t, &number) : NULL;
    const cue_local_symbol *local = t->kind == CUE_WORD ? cue_find_local(d, t) : NULL;
    cue_space symbol_space = space;
    if (r != NULL && r->type != CUE_PRED) {
        a.base = r->first + (int32_t)number;
    } else if (local != NULL) {
        a.offset = (int64_t)local->offset;
        symbol_space = local->space;
    } else if (t->kind == CUE_WORD && use_symbol(d, t, &symbol_space, &value)) {
        a.offset = (int64_t)value;
    } else if (cue_token_number(t, &value)) {
        a.offset = (int64_t)value;
    } else {
        cue_unknown(d, "unknown symbol in an address");
    }
    bool parameter = symbol_space == CUE_ENTRY_PARAM || symbol_space == CUE_FRAME_PARAM;
    if (space == CUE_GENERIC || (space == CUE_ENTRY_PARAM && parameter))
        a.space = symbol_space;
    else if (symbol_space != space && !(symbol_space == CUE_GLOBAL && space == CUE_CONST))
        cue_unknown(d, "the symbol lives in another space");
    if (cue_try(d, "+"))
        a.offset += (int64_t)cue_immediate(d);
    if (!cue_try(d, "]"))
        cue_unknown(d, "] is expected");
    return a;
}

/* ---------------------------------------------------------------- words */
bool cue_word_is(const cue_decoder *d, uint32_t i, const char *text)
{
    return i < d->word_count && cue_token_is(&d->words[i], text);
}

bool cue_has_word(const cue_decoder *d, const char *text)
{
    for (uint32_t i = 1; i < d->word_count; i++)
        if (cue_token_is(&d->words[i], text))
            return true;
    return false;
}

static bool in_list(const cue_token *word, const char *list)
{
    for (const char *p = list; *p != '\0';) {
        size_t length = strcspn(p, " ");
        if (length == word->length && memcmp(p, word->text, length) == 0)
            return true;
        p += length;
        p += strspn(p, " ");
    }
    return false;
}

void cue_only_words(cue_decoder *d, const char *allowed)
{
    for (uint32_t i = 1; i < d->word_count; i++)
        if (!in_list(&d->words[i], allowed) && cue_type_of(d->words[i].text, d->words[i].length) == CUE_NO_TYPE)
            cue_unknown(d, "a modifier that is not in the table");
}

cue_type cue_word_type(const cue_decoder *d, uint32_t which)
{
    for (uint32_t i = 1; i < d->word_count; i++) {
        cue_type type = cue_type_of(d->words[i].text, d->words[i].length);
        if (type != CUE_NO_TYPE && which-- == 0)
            return type;
    }
    return CUE_NO_TYPE;
}

int cue_one_of(cue_decoder *d, const char *const *names)
{
    int found = -1;
    for (int i = 0; names[i] != NULL; i++) {
        if (!cue_has_word(d, names[i]))
            continue;
        if (found >= 0)
            cue_unknown(d, "two modifiers that exclude each other");
        found = i;
    }
    return found;
}
