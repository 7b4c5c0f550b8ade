/* map.c: instructions of the table: the same function on each lane, with the operands made ready as its family says. */
#include "device/decoder.h"
#include "device/hot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------- the handlers */
typedef struct operands {
    const uint64_t *a, *b, *c, *d;
    uint64_t *to;
} operands;

static inline operands operands_of(const cue_warp *w, const cue_insn *i)
{
    return (operands){cue_row_source(w, i->src[0]), cue_row_source(w, i->src[1]), cue_row_source(w, i->src[2]),
                      cue_row_source(w, i->src[3]), w->rows[i->dst]};
}

static void run_raw(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    operands o = operands_of(w, i);
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            o.to[l] = i->lane(o.a[l], o.b[l], o.c[l], o.d[l]);
}

static void run_integer(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    operands o = operands_of(w, i);
    uint32_t bits = 8 * cue_type_bytes((cue_type)i->type);
    bool is_signed = cue_type_signed((cue_type)i->type);
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            o.to[l] = cue_extend(i->lane(cue_extend(o.a[l], bits, is_signed), cue_extend(o.b[l], bits, is_signed),
                                         cue_extend(o.c[l], bits, is_signed), bits),
                                 bits, false);
}

static void run_shift(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    operands o = operands_of(w, i);
    uint32_t bits = 8 * cue_type_bytes((cue_type)i->type);
    bool is_signed = cue_type_signed((cue_type)i->type);
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            o.to[l] = cue_extend(i->lane(cue_extend(o.a[l], bits, is_signed), o.b[l], o.c[l], bits), bits, false);
}

static void run_wide(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    operands o = operands_of(w, i);
    uint32_t bits = 8 * cue_type_bytes((cue_type)i->type);
    bool is_signed = cue_type_signed((cue_type)i->type);
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            o.to[l] = cue_extend(
                i->lane(cue_extend(o.a[l], bits, is_signed), cue_extend(o.b[l], bits, is_signed), o.c[l], bits),
                2 * bits, false);
}

static void run_count_bits(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    operands o = operands_of(w, i);
    uint32_t bits = 8 * cue_type_bytes((cue_type)i->type);
    bool is_signed = cue_type_signed((cue_type)i->type);
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            o.to[l] = (uint32_t)i->lane(cue_extend(o.a[l], bits, is_signed), 0, 0, bits);
}

static inline uint64_t finish_f32(const cue_insn *i, float value)
{
    if (i->ftz)
        value = cue_flush(value);
    if (i->sat)
        value = value > 0.0f ? (value < 1.0f ? value : 1.0f) : 0.0f; /* NaN becomes 0 */
    return value != value ? CUE_F32_NAN : cue_from_f32(value);
}

static inline float ready_f32(const cue_insn *i, uint64_t bits)
{
    float value = cue_to_f32(bits);
    return i->ftz ? cue_flush(value) : value;
}

static void run_f32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    operands o = operands_of(w, i);
    cue_f32_fn *compute = ((cue_compute){.raw = i->lane}).f32;
    if (i->rounding != CUE_RN)
        cue_set_rounding((cue_rounding)i->rounding);
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            o.to[l] = finish_f32(i, compute(ready_f32(i, o.a[l]), ready_f32(i, o.b[l]), ready_f32(i, o.c[l])));
    if (i->rounding != CUE_RN)
        cue_set_rounding(CUE_RN);
}

static void run_f64(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    operands o = operands_of(w, i);
    cue_f64_fn *compute = ((cue_compute){.raw = i->lane}).f64;
    if (i->rounding != CUE_RN)
        cue_set_rounding((cue_rounding)i->rounding);
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            o.to[l] = cue_from_f64(compute(cue_to_f64(o.a[l]), cue_to_f64(o.b[l]), cue_to_f64(o.c[l])));
    if (i->rounding != CUE_RN)
        cue_set_rounding(CUE_RN);
}

static bool is_bf16(const cue_insn *i)
{
    return i->type == CUE_BF16 || i->type == CUE_BF16X2;
}

static double ready_half(const cue_insn *i, uint64_t bits)
{
    if (i->ftz && (bits & (is_bf16(i) ? 0x7f80 : 0x7c00)) == 0)
        bits &= 0x8000;
    return cue_half_to_double((uint32_t)bits, is_bf16(i));
}

static uint64_t finish_half(const cue_insn *i, double value)
{
    if (i->sat)
        value = value > 0.0 ? (value < 1.0 ? value : 1.0) : 0.0;
    if (i->relu && value < 0.0)
        value = 0.0;
    uint32_t bits = cue_half_from_double(value, is_bf16(i), CUE_RN);
    if (i->ftz && (bits & (is_bf16(i) ? 0x7f80 : 0x7c00)) == 0)
        bits &= 0x8000;
    if (i->relu && bits == 0x8000)
        bits = 0;
    return bits;
}

static void run_half(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    operands o = operands_of(w, i);
    cue_f64_fn *compute = ((cue_compute){.raw = i->lane}).f64;
    bool two = i->type == CUE_F16X2 || i->type == CUE_BF16X2;
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(mask >> l & 1))
            continue;
        uint64_t low = finish_half(i, compute(ready_half(i, o.a[l]), ready_half(i, o.b[l]), ready_half(i, o.c[l])));
        uint64_t high = two ? finish_half(i, compute(ready_half(i, o.a[l] >> 16), ready_half(i, o.b[l] >> 16),
                                                     ready_half(i, o.c[l] >> 16)))
                            : 0;
        o.to[l] = high << 16 | low;
    }
}

static cue_handler *const family_handlers[] = {
    [CUE_FAMILY_RAW] = run_raw,
    [CUE_FAMILY_INTEGER] = run_integer,
    [CUE_FAMILY_SHIFT] = run_shift,
    [CUE_FAMILY_WIDE] = run_wide,
    [CUE_FAMILY_COUNT_BITS] = run_count_bits,
    [CUE_FAMILY_F32] = run_f32,
    [CUE_FAMILY_F64] = run_f64,
    [CUE_FAMILY_HALF] = run_half,
};

/* ---------------------------------------------------------------- the table */
const cue_row *cue_row_at(size_t index)
{
    cue_row_table tables[] = {cue_rows_integer(), cue_rows_float(), cue_rows_half()};
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        if (index < tables[t].count)
            return &tables[t].rows[index];
        index -= tables[t].count;
    }
    return NULL;
}

const cue_row *cue_find_row(const char *name, cue_type type)
{
    const cue_row *row;
    for (size_t i = 0; (row = cue_row_at(i)) != NULL; i++)
        if ((row->types & CUE_TYPE_BIT(type)) != 0 && strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

/* ---------------------------------------------------------------- selection */
typedef struct spelling {
    char name[80];
    cue_type type;
    int rounding; /* -1: none */
    bool ftz, sat, relu;
} spelling;

static void append(cue_decoder *d, spelling *s, const char *text, size_t length)
{
    size_t used = strlen(s->name);
    if (used + length + 2 > sizeof s->name)
        cue_unknown(d, "no such instruction in the table");
    if (used > 0)
        s->name[used++] = '.';
    memcpy(s->name + used, text, length);
    s->name[used + length] = '\0';
}

static int rounding_of(const cue_token *word)
{
    static const char *const names[] = {"rn", "rz", "rm", "rp"};
    for (int i = 0; i < 4; i++)
        if (cue_token_is(word, names[i]))
            return i;
    return -1;
}

/* take_word: type words, rounding and the on-off modifiers leave the name; what remains is looked up. */
static void take_word(cue_decoder *d, spelling *s, const cue_token *word)
{
    bool packed = cue_token_is(word, "u16x2") || cue_token_is(word, "s16x2");
    cue_type type = packed ? (word->text[0] == 'u' ? CUE_U16 : CUE_S16) : cue_type_of(word->text, word->length);
    int rounding = rounding_of(word);
    if (packed)
        append(d, s, "x2", 2);
    if (type != CUE_NO_TYPE) {
        if (s->type != CUE_NO_TYPE && s->type != type)
            cue_unknown(d, "two different types");
        s->type = type;
    } else if (rounding >= 0) {
        if (s->rounding >= 0)
            cue_unknown(d, "two rounding modes");
        s->rounding = rounding;
    } else if (cue_token_is(word, "ftz")) {
        s->ftz = true;
    } else if (cue_token_is(word, "sat")) {
        s->sat = true;
    } else if (cue_token_is(word, "relu")) {
        s->relu = true;
    } else {
        append(d, s, word->text, word->length);
    }
}

static const cue_row *look_up(cue_decoder *d, spelling *s)
{
    bool integer = (CUE_TYPE_BIT(s->type) & (CUE_TYPES_16_64 | CUE_TYPES_B)) != 0;
    if (integer && s->sat)
        append(d, s, "sat", 3);
    if (integer && s->relu)
        append(d, s, "relu", 4);
    if (integer)
        s->sat = s->relu = false;
    if (s->type == CUE_F64 && s->ftz) /* part of the name there: it is another instruction, of less precision */
        append(d, s, "ftz", 3);
    s->ftz = s->ftz && s->type != CUE_F64;
    return cue_find_row(s->name, s->type);
}

static bool allowed(const cue_row *row, const spelling *s)
{
    bool half = row->family == CUE_FAMILY_HALF;
    return (s->rounding < 0 || (row->allows & CUE_ALLOW_ROUNDING)) && (!s->ftz || (row->allows & CUE_ALLOW_FTZ)) &&
           (!s->sat || (row->allows & CUE_ALLOW_SAT)) && (!s->relu || (row->allows & CUE_ALLOW_RELU)) &&
           (s->rounding >= 0 || !(row->allows & CUE_NEEDS_ROUNDING)) && !(half && s->rounding > CUE_RN);
}

bool cue_select_rows(cue_decoder *d)
{
    spelling s = {.rounding = -1};
    append(d, &s, d->words[0].text, d->words[0].length);
    for (uint32_t i = 1; i < d->word_count; i++)
        take_word(d, &s, &d->words[i]);
    const cue_row *row = look_up(d, &s);
    if (row == NULL)
        return false;
    if (!allowed(row, &s))
        cue_unknown(d, "a modifier that this instruction does not have");
    bool plain = s.rounding <= CUE_RN && !s.ftz && !s.sat && !s.relu;
    cue_handler *hot = plain ? cue_hot_handler(row->name, s.type) : NULL;
    d->insn.run = hot != NULL ? hot : family_handlers[row->family];
    d->insn.lane = row->compute.raw;
    d->insn.class = row->class;
    d->insn.type = (uint8_t)s.type;
    d->insn.rounding = (uint8_t)(s.rounding > 0 ? s.rounding : CUE_RN);
    d->insn.ftz = s.ftz;
    d->insn.sat = s.sat;
    d->insn.relu = s.relu;
    d->insn.dst = cue_destination(d);
    if (d->insn.dst == CUE_NO_ROW)
        cue_unknown(d, "no destination");
    for (uint32_t i = 0; i < row->sources; i++) {
        cue_comma(d);
        d->insn.src[i] = cue_source(d, s.type);
    }
    return true;
}
