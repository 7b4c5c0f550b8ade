/* move.c: what only moves bits: mov with its packing and unpacking, cvta, selp, slct, isspacep, logic of predicates;
 * and the additions that carry. */
#include "device/decoder.h"
#include "device/exec.h"
#include "device/special.h"

#include <string.h>
#include <time.h>

/* ---------------------------------------------------------------- mov */
static void run_mov(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    const uint64_t *a = cue_row_source(w, i->src[0]);
    uint64_t *to = w->rows[i->dst];
    if (mask == UINT32_MAX) {
        memcpy(to, a, CUE_WARP * sizeof *to);
        return;
    }
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            to[l] = a[l];
}

static uint32_t element_bits(const cue_insn *i)
{
    return 8 * cue_type_bytes((cue_type)i->type) / i->vector;
}

static void run_pack(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    uint32_t bits = element_bits(i);
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(mask >> l & 1))
            continue;
        uint64_t value = 0;
        for (uint32_t e = 0; e < i->vector; e++)
            value |= cue_extend(cue_row_source(w, i->elements[e])[l], bits, false) << (e * bits);
        w->rows[i->dst][l] = value;
    }
}

static void run_unpack(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    uint32_t bits = element_bits(i);
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(mask >> l & 1))
            continue;
        uint64_t value = cue_row_source(w, i->src[0])[l];
        for (uint32_t e = 0; e < i->vector; e++)
            if (i->elements[e] != CUE_NO_ROW)
                w->rows[i->elements[e]][l] = cue_extend(value >> (e * bits), bits, false);
    }
}

/* The address of a local symbol depends on how deep the function was called. */
static void run_local_address(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            w->rows[i->dst][l] = (uint64_t)i->address.offset + w->split->local_base;
}

/* Time: clocks count instructions of the block, the global timer is the host's. */
static void run_timer(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t nanoseconds = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    uint64_t clock = w->block->steps;
    uint64_t value = i->what == CUE_SPECIAL_CLOCK            ? (uint32_t)clock
                     : i->what == CUE_SPECIAL_CLOCK_HI       ? clock >> 32
                     : i->what == CUE_SPECIAL_CLOCK64        ? clock
                     : i->what == CUE_SPECIAL_GLOBALTIMER    ? nanoseconds
                     : i->what == CUE_SPECIAL_GLOBALTIMER_LO ? (uint32_t)nanoseconds
                                                             : nanoseconds >> 32;
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            w->rows[i->dst][l] = value;
}

static bool select_timer(cue_decoder *d)
{
    static const char *const names[] = {"%clock",       "%clock_hi",       "%clock64",
                                        "%globaltimer", "%globaltimer_lo", "%globaltimer_hi"};
    for (int i = 0; i < 6; i++)
        if (cue_try(d, names[i])) {
            d->insn.run = run_timer;
            d->insn.what = (uint8_t)(CUE_FIRST_TIMER + i);
            return true;
        }
    return false;
}

static bool select_symbol_address(cue_decoder *d)
{
    const cue_local_symbol *s = d->at->kind == CUE_WORD ? cue_find_local(d, d->at) : NULL;
    if (s == NULL)
        return false;
    d->at++;
    int64_t offset = (int64_t)s->offset;
    if (cue_try(d, "+"))
        offset += (int64_t)cue_immediate(d);
    if (s->space == CUE_LOCAL) {
        d->insn.run = run_local_address;
        d->insn.address.offset = offset;
    } else {
        d->insn.run = run_mov;
        d->insn.src[0] = cue_constant(d, (uint64_t)offset);
    }
    return true;
}

static void run_predicate_mov(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    cue_set_predicate(w, i->dst_predicate, cue_predicate_mask(w, i->predicate[0]), mask);
}

static void select_mov(cue_decoder *d)
{
    cue_type type = cue_word_type(d, 0);
    cue_only_words(d, "");
    d->insn.class = CUE_CLASS_MOVE;
    d->insn.type = (uint8_t)type;
    if (type == CUE_PRED) {
        d->insn.run = run_predicate_mov;
        d->insn.dst_predicate = cue_predicate_destination(d);
        cue_comma(d);
        d->insn.predicate[0] = cue_predicate(d);
        return;
    }
    if (type == CUE_NO_TYPE || type == CUE_B128)
        cue_unknown(d, "no mov of this type");
    if (cue_token_is(d->at, "{")) {
        d->insn.vector = (uint8_t)cue_vector(d, type, true);
        cue_comma(d);
        d->insn.run = run_unpack;
        d->insn.src[0] = cue_source(d, type);
        return;
    }
    d->insn.dst = cue_destination(d);
    cue_comma(d);
    if (cue_token_is(d->at, "{")) {
        d->insn.vector = (uint8_t)cue_vector(d, CUE_NO_TYPE, false);
        d->insn.run = run_pack;
    } else if (!select_timer(d) && !select_symbol_address(d)) {
        d->insn.run = run_mov;
        d->insn.src[0] = cue_source(d, type);
    }
}

/* ---------------------------------------------------------------- addresses */
static uint64_t window_of(const cue_block *block, cue_space space)
{
    switch (space) {
    case CUE_SHARED:
        return block->arena->shared_window;
    case CUE_LOCAL:
        return block->arena->local_window;
    case CUE_ENTRY_PARAM:
        return block->arena->parameter_window;
    default:
        return 0; /* global and constant memory have generic addresses */
    }
}

static void run_cvta(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    const uint64_t *a = cue_row_source(w, i->src[0]);
    uint64_t window = window_of(w->block, i->address.space);
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            w->rows[i->dst][l] = i->what ? a[l] - window : a[l] + window;
}

static void run_isspacep(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    const uint64_t *a = cue_row_source(w, i->src[0]);
    uint32_t result = 0;
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        uint64_t address = a[l];
        cue_space space = cue_generic_space(w->block, &address);
        if (space == CUE_GLOBAL && i->address.space == CUE_CONST) {
            void *base;
            size_t bytes;
            const cue_shadow *s = &w->block->arena->shadow;
            bool live = cue_mem_find((const void *)(uintptr_t)address, &base, &bytes);
            space = live && (s->state[(address - (uintptr_t)w->block->arena->base) / 4] & CUE_STATE_CONST) ? CUE_CONST
                                                                                                           : space;
        }
        result |= (uint32_t)(space == i->address.space) << l;
    }
    cue_set_predicate(w, i->dst_predicate, result, mask);
}

static cue_space take_space(cue_decoder *d)
{
    static const char *const names[] = {"global", "const", "shared",       "shared::cta",
                                        "local",  "param", "param::entry", NULL};
    static const cue_space spaces[] = {CUE_GLOBAL, CUE_CONST,       CUE_SHARED,     CUE_SHARED,
                                       CUE_LOCAL,  CUE_ENTRY_PARAM, CUE_ENTRY_PARAM};
    int which = cue_one_of(d, names);
    if (which < 0)
        cue_unknown(d, "no such space");
    return spaces[which];
}

static void select_cvta(cue_decoder *d)
{
    cue_only_words(d, "to global const shared shared::cta local param param::entry");
    d->insn.class = CUE_CLASS_MOVE;
    d->insn.address.space = take_space(d);
    d->insn.what = cue_has_word(d, "to");
    d->insn.dst = cue_destination(d);
    cue_comma(d);
    const cue_local_symbol *s = d->at->kind == CUE_WORD ? cue_find_local(d, d->at) : NULL;
    if (s != NULL)
        cue_unknown(d, "cvta of a symbol");
    d->insn.src[0] = cue_source(d, CUE_U64);
    bool same = d->insn.address.space == CUE_GLOBAL || d->insn.address.space == CUE_CONST;
    d->insn.run = same ? run_mov : run_cvta;
}

/* ---------------------------------------------------------------- choices */
static void run_selp(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    const uint64_t *a = cue_row_source(w, i->src[0]), *b = cue_row_source(w, i->src[1]);
    uint32_t choice = cue_predicate_mask(w, i->predicate[0]);
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            w->rows[i->dst][l] = choice >> l & 1 ? a[l] : b[l];
}

static void run_slct(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    const uint64_t *a = cue_row_source(w, i->src[0]), *b = cue_row_source(w, i->src[1]),
                   *c = cue_row_source(w, i->src[2]);
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(mask >> l & 1))
            continue;
        float f = i->ftz ? cue_flush(cue_to_f32(c[l])) : cue_to_f32(c[l]);
        bool first = i->source_type == CUE_F32 ? f >= 0.0f : (int32_t)c[l] >= 0;
        w->rows[i->dst][l] = first ? a[l] : b[l];
    }
}

static void select_choice(cue_decoder *d, bool slct)
{
    cue_type type = cue_word_type(d, 0);
    if (type == CUE_NO_TYPE || cue_type_bytes(type) < 2 || type == CUE_B128)
        cue_unknown(d, "no such type");
    cue_only_words(d, slct ? "ftz" : "");
    d->insn.class = CUE_CLASS_MOVE;
    d->insn.run = slct ? run_slct : run_selp;
    d->insn.source_type = (uint8_t)cue_word_type(d, 1);
    d->insn.ftz = cue_has_word(d, "ftz");
    d->insn.dst = cue_destination(d);
    for (int i = 0; i < 2; i++) {
        cue_comma(d);
        d->insn.src[i] = cue_source(d, type);
    }
    cue_comma(d);
    if (!slct)
        d->insn.predicate[0] = cue_predicate(d);
    else if (d->insn.source_type == CUE_F32 || d->insn.source_type == CUE_S32)
        d->insn.src[2] = cue_source(d, (cue_type)d->insn.source_type);
    else
        cue_unknown(d, "no such type");
}

/* ---------------------------------------------------------------- predicates */
enum { AND, OR, XOR, NOT };

static void run_logic(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    uint32_t a = cue_predicate_mask(w, i->predicate[0]), b = cue_predicate_mask(w, i->predicate[1]);
    uint32_t result = i->what == AND ? a & b : i->what == OR ? a | b : i->what == XOR ? a ^ b : ~a;
    cue_set_predicate(w, i->dst_predicate, result, mask);
}

static bool select_logic(cue_decoder *d)
{
    static const char *const names[] = {"and", "or", "xor", "not"};
    int which = 0;
    while (which < 4 && !cue_word_is(d, 0, names[which]))
        which++;
    if (which == 4 || d->word_count != 2 || cue_word_type(d, 0) != CUE_PRED)
        return false;
    d->insn.run = run_logic;
    d->insn.class = CUE_CLASS_INTEGER;
    d->insn.what = (uint8_t)which;
    d->insn.dst_predicate = cue_predicate_destination(d);
    for (int i = 0; i < (which == NOT ? 1 : 2); i++) {
        cue_comma(d);
        d->insn.predicate[i] = cue_predicate(d);
    }
    return true;
}

bool cue_select_move(cue_decoder *d)
{
    if (cue_word_is(d, 0, "mov")) {
        select_mov(d);
    } else if (cue_word_is(d, 0, "cvta")) {
        select_cvta(d);
    } else if (cue_word_is(d, 0, "selp") || cue_word_is(d, 0, "slct")) {
        select_choice(d, cue_word_is(d, 0, "slct"));
    } else if (cue_word_is(d, 0, "isspacep")) {
        cue_only_words(d, "global const shared shared::cta local param param::entry");
        d->insn.run = run_isspacep;
        d->insn.class = CUE_CLASS_INTEGER;
        d->insn.address.space = take_space(d);
        d->insn.dst_predicate = cue_predicate_destination(d);
        cue_comma(d);
        d->insn.src[0] = cue_source(d, CUE_U64);
    } else {
        return select_logic(d);
    }
    return true;
}
