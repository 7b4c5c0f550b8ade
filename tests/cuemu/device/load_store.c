/* load_store.c: ld, ldu, st and what looks like them. Whole words in good order take the fast path. */
#include "device/decoder.h"
#include "device/exec.h"
#include "device/memory_words.h"

#include <string.h>

static uint64_t address_of(const cue_warp *w, const cue_insn *i, uint32_t lane)
{
    uint64_t base = i->address.base == CUE_NO_ROW ? 0 : cue_row_source(w, i->address.base)[lane];
    uint64_t address = base + (uint64_t)i->address.offset;
    if (i->address.space == CUE_LOCAL && i->address.base == CUE_NO_ROW)
        address += w->split->local_base;
    return i->address.space == CUE_SHARED || i->address.space == CUE_LOCAL ? (uint32_t)address : address;
}

#define IN_LINE static inline __attribute__((always_inline))

/* quick: where an aligned access of whole words lies, when nothing is wrong with it; else NULL, and nothing was noted
 * that a second, careful look would count twice. */
IN_LINE uint8_t *quick(cue_actor *actor, const cue_shadow *shadow, uint8_t *memory, uint64_t offset, uint64_t limit,
                       uint32_t bytes, uint64_t me, bool write)
{
    if (offset >= limit || (bytes & 3) != 0 || (offset & (bytes - 1)) != 0)
        return NULL;
    for (uint32_t k = 0; k < bytes / 4; k++)
        if (!(write ? cue_shadow_write_word(shadow, offset / 4 + k, me, actor)
                    : cue_shadow_read_word(shadow, offset / 4 + k, me, actor)))
            return NULL;
    return memory + offset;
}

/* What stays the same for all lanes of one access. */
typedef struct target {
    const cue_shadow *shadow; /* NULL: always the careful way */
    uint8_t *memory;
    uint64_t origin, limit;
    cue_actor *actor;
    uint64_t me; /* of thread 0 of the warp, without stamp */
    const uint32_t *stamps;
} target;

static target target_of(cue_warp *w, const cue_insn *i, uint32_t bytes)
{
    cue_block *b = w->block;
    target t = {.actor = &b->actor,
                .me = cue_record(b->actor.serial, w->index * CUE_WARP, 0, i->strong),
                .stamps = &b->clock->stamp[w->index * CUE_WARP]};
    if (i->address.space == CUE_GLOBAL || i->address.space == CUE_CONST) {
        t.shadow = &b->arena->shadow;
        t.memory = b->arena->base;
        t.origin = (uint64_t)(uintptr_t)b->arena->base;
        t.limit = b->arena->bytes;
    } else if (i->address.space == CUE_SHARED && b->shared_bytes >= bytes) {
        t.shadow = &b->shared_shadow;
        t.memory = b->shared;
        t.limit = b->shared_bytes - bytes + 1;
    }
    return t;
}

IN_LINE uint8_t *place_of_lane(cue_warp *w, const cue_insn *i, const target *t, uint32_t lane, uint64_t address,
                               uint32_t bytes, bool write)
{
    if (t->shadow != NULL) {
        uint64_t me = t->me + ((uint64_t)lane << 24 | (uint64_t)t->stamps[lane] << 1);
        uint8_t *place = quick(t->actor, t->shadow, t->memory, address - t->origin, t->limit, bytes, me, write);
        if (place != NULL)
            return place;
    }
    return cue_touch(w, i, lane, i->address.space, address, bytes, write ? CUE_STORES : CUE_LOADS);
}

static void count_traffic(cue_warp *w, const cue_insn *i, const uint64_t *addresses, uint32_t mask, uint32_t bytes,
                          bool write)
{
    uint64_t offsets[CUE_WARP];
    uint32_t shared = 0, global = 0;
    switch (i->address.space) {
    case CUE_GLOBAL:
        cue_traffic_global(w->block, addresses, mask, bytes, write);
        return;
    case CUE_SHARED:
        cue_traffic_shared(w->block, addresses, mask, bytes, write);
        return;
    case CUE_GENERIC:
        break;
    default:
        return;
    }
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(mask >> l & 1))
            continue;
        offsets[l] = addresses[l];
        cue_space space = cue_generic_space(w->block, &offsets[l]);
        shared |= (uint32_t)(space == CUE_SHARED) << l;
        global |= (uint32_t)(space == CUE_GLOBAL) << l;
    }
    if (global != 0)
        cue_traffic_global(w->block, offsets, global, bytes, write);
    if (shared != 0)
        cue_traffic_shared(w->block, offsets, shared, bytes, write);
}

static inline uint64_t load_element(const uint8_t *from, uint32_t bytes, bool is_signed)
{
    switch (bytes) {
    case 4: {
        uint32_t value;
        memcpy(&value, from, 4);
        return is_signed ? (uint64_t)(int64_t)(int32_t)value : value;
    }
    case 8: {
        uint64_t value;
        memcpy(&value, from, 8);
        return value;
    }
    case 2: {
        uint16_t value;
        memcpy(&value, from, 2);
        return is_signed ? (uint64_t)(int64_t)(int16_t)value : value;
    }
    default:
        return is_signed ? (uint64_t)(int64_t)(int8_t)*from : *from;
    }
}

static void gather_addresses(const cue_warp *w, const cue_insn *i, uint32_t mask, uint64_t *addresses)
{
    if (mask == UINT32_MAX && i->address.base != CUE_NO_ROW && i->address.space == CUE_GLOBAL) {
        const uint64_t *base = cue_row_source(w, i->address.base);
        for (uint32_t l = 0; l < CUE_WARP; l++)
            addresses[l] = base[l] + (uint64_t)i->address.offset;
        return;
    }
    for (uint32_t l = 0; l < CUE_WARP; l++)
        addresses[l] = mask >> l & 1 ? address_of(w, i, l) : 0;
}

/* load, store: with constants for element, vector and sign where the handler below has them. */
IN_LINE void load(cue_warp *w, const cue_insn *i, uint32_t mask, uint32_t element, uint32_t vector, bool is_signed)
{
    uint64_t addresses[CUE_WARP];
    uint32_t bytes = element * vector;
    gather_addresses(w, i, mask, addresses);
    count_traffic(w, i, addresses, mask, bytes, false);
    target t = target_of(w, i, bytes);
    for (uint32_t n = 0; n < CUE_WARP; n++) {
        uint32_t l = w->block->lane_order[n];
        if (!(mask >> l & 1))
            continue;
        const uint8_t *from = place_of_lane(w, i, &t, l, addresses[l], bytes, false);
        if (from == NULL)
            return;
        for (uint32_t e = 0; e < vector; e++)
            if (i->elements[e] != CUE_NO_ROW)
                w->rows[i->elements[e]][l] = load_element(from + e * element, element, is_signed);
    }
}

IN_LINE void store(cue_warp *w, const cue_insn *i, uint32_t mask, uint32_t element, uint32_t vector)
{
    uint64_t addresses[CUE_WARP];
    uint32_t bytes = element * vector;
    gather_addresses(w, i, mask, addresses);
    count_traffic(w, i, addresses, mask, bytes, true);
    target t = target_of(w, i, bytes);
    for (uint32_t n = 0; n < CUE_WARP; n++) {
        uint32_t l = w->block->lane_order[n];
        if (!(mask >> l & 1))
            continue;
        uint8_t *to = place_of_lane(w, i, &t, l, addresses[l], bytes, true);
        if (to == NULL)
            return;
        for (uint32_t e = 0; e < vector; e++)
            memcpy(to + e * element, &cue_row_source(w, i->elements[e])[l], element);
    }
}

static void run_ld(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    load(w, i, mask, cue_type_bytes((cue_type)i->type), i->vector, cue_type_signed((cue_type)i->type));
}

static void run_ld_4(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    load(w, i, mask, 4, 1, false);
}

static void run_ld_16(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    load(w, i, mask, 4, 4, false);
}

static void run_st(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    store(w, i, mask, cue_type_bytes((cue_type)i->type), i->vector);
}

static void run_st_4(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    store(w, i, mask, 4, 1);
}

static void run_st_16(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    store(w, i, mask, 4, 4);
}

/* A kernel's parameter is the same for all lanes. */
static void run_ld_parameter(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    const uint8_t *from = (const uint8_t *)w->block->config->parameters + i->address.offset;
    uint32_t element = cue_type_bytes((cue_type)i->type);
    for (uint32_t e = 0; e < i->vector; e++) {
        if (i->elements[e] == CUE_NO_ROW)
            continue;
        uint64_t value = load_element(from + e * element, element, cue_type_signed((cue_type)i->type));
        for (uint32_t l = 0; l < CUE_WARP; l++)
            if (mask >> l & 1)
                w->rows[i->elements[e]][l] = value;
    }
}

/* ---------------------------------------------------------------- selection */
static const char load_words[] = CUE_SPACE_WORDS " " CUE_CACHE_WORDS " " CUE_ORDER_WORDS " v2 v4 v8 nc weak";

static void check_parameter_range(cue_decoder *d)
{
    const cue_insn *i = &d->insn;
    uint64_t bytes = (uint64_t)cue_type_bytes((cue_type)i->type) * i->vector;
    if ((uint64_t)i->address.offset + bytes > d->function->parameter_bytes)
        cue_unknown(d, "beyond the parameters");
}

static void take_vector_word(cue_decoder *d)
{
    static const char *const names[] = {"v2", "v4", "v8", NULL};
    int which = cue_one_of(d, names);
    d->insn.vector = (uint8_t)(which < 0 ? 1 : 2 << which);
}

static void take_values(cue_decoder *d, cue_type type, bool loads)
{
    if (d->insn.vector == 1)
        d->insn.elements[0] = loads ? cue_destination(d) : cue_source(d, type);
    else if (cue_vector(d, type, loads) != d->insn.vector)
        cue_unknown(d, "not as many registers as the vector has elements");
}

static cue_handler *handler_of(const cue_insn *i, bool loads)
{
    uint32_t element = cue_type_bytes((cue_type)i->type);
    if (cue_type_signed((cue_type)i->type)) /* may have to extend into a wider register */
        return loads ? run_ld : run_st;
    if (element == 4 && i->vector == 1)
        return loads ? run_ld_4 : run_st_4;
    if (element == 4 && i->vector == 4)
        return loads ? run_ld_16 : run_st_16;
    return loads ? run_ld : run_st;
}

static void select_ld_st(cue_decoder *d, bool loads)
{
    cue_only_words(d, load_words);
    cue_type type = cue_word_type(d, 0);
    if (type == CUE_NO_TYPE || type == CUE_PRED || cue_type_bytes(type) > 8)
        cue_unknown(d, "no such type");
    take_vector_word(d);
    d->insn.type = (uint8_t)type;
    d->insn.strong = cue_take_strong(d);
    cue_space space = cue_take_space(d);
    if (loads)
        take_values(d, type, true);
    else
        d->insn.address = cue_bracketed(d, space);
    cue_comma(d);
    if (loads)
        d->insn.address = cue_bracketed(d, space);
    else
        take_values(d, type, false);
    cue_skip_cache_policy(d);

    cue_space where = d->insn.address.space;
    d->insn.class = (uint8_t)cue_space_class(where);
    if (where == CUE_CONST && !loads)
        cue_unknown(d, "a store to constant memory");
    bool fixed = where == CUE_ENTRY_PARAM && d->insn.address.base == CUE_NO_ROW;
    if (fixed)
        check_parameter_range(d);
    d->insn.run = fixed ? run_ld_parameter : handler_of(&d->insn, loads);
}

bool cue_select_load_store(cue_decoder *d)
{
    if (cue_word_is(d, 0, "ld") || cue_word_is(d, 0, "ldu"))
        select_ld_st(d, true);
    else if (cue_word_is(d, 0, "st"))
        select_ld_st(d, false);
    else
        return false;
    return true;
}
