/* compare.c: setp, set, testp. How two numbers stand to each other is one of four relations; a comparison is the set of
 * relations that it accepts. */
#include "device/decoder.h"
#include "device/hot.h"

#include <math.h>
#include <string.h>

enum { LESS = 1, EQUAL = 2, GREATER = 4, UNORDERED = 8 };

static const struct {
    const char *name;
    uint8_t accepts;
    bool float_only, unsigned_only;
} comparisons[] = {
    {"eq", EQUAL, false, false},
    {"ne", LESS | GREATER, false, false},
    {"lt", LESS, false, false},
    {"le", LESS | EQUAL, false, false},
    {"gt", GREATER, false, false},
    {"ge", GREATER | EQUAL, false, false},
    {"lo", LESS, false, true},
    {"ls", LESS | EQUAL, false, true},
    {"hi", GREATER, false, true},
    {"hs", GREATER | EQUAL, false, true},
    {"equ", EQUAL | UNORDERED, true, false},
    {"neu", LESS | GREATER | UNORDERED, true, false},
    {"ltu", LESS | UNORDERED, true, false},
    {"leu", LESS | EQUAL | UNORDERED, true, false},
    {"gtu", GREATER | UNORDERED, true, false},
    {"geu", GREATER | EQUAL | UNORDERED, true, false},
    {"num", LESS | EQUAL | GREATER, true, false},
    {"nan", UNORDERED, true, false},
};
enum { COMPARISON_COUNT = sizeof comparisons / sizeof comparisons[0] };

enum { JOIN_NONE, JOIN_AND, JOIN_OR, JOIN_XOR };

static unsigned relate_f64(double a, double b)
{
    if (isnan(a) || isnan(b))
        return UNORDERED;
    return a < b ? LESS : a > b ? GREATER : EQUAL;
}

static unsigned relate_half(const cue_insn *i, uint64_t a, uint64_t b)
{
    bool bf16 = i->source_type == CUE_BF16 || i->source_type == CUE_BF16X2;
    if (i->ftz) {
        a = (a & (bf16 ? 0x7f80 : 0x7c00)) == 0 ? 0 : a;
        b = (b & (bf16 ? 0x7f80 : 0x7c00)) == 0 ? 0 : b;
    }
    return relate_f64(cue_half_to_double((uint32_t)a, bf16), cue_half_to_double((uint32_t)b, bf16));
}

static unsigned relate(const cue_insn *i, uint64_t a, uint64_t b)
{
    cue_type type = (cue_type)i->source_type;
    switch (type) {
    case CUE_F64:
        return relate_f64(cue_to_f64(a), cue_to_f64(b));
    case CUE_F32:
        return i->ftz ? relate_f64(cue_flush(cue_to_f32(a)), cue_flush(cue_to_f32(b)))
                      : relate_f64(cue_to_f32(a), cue_to_f32(b));
    case CUE_F16:
    case CUE_BF16:
    case CUE_F16X2:
    case CUE_BF16X2:
        return relate_half(i, a, b);
    default:
        break;
    }
    uint32_t bits = 8 * cue_type_bytes(type);
    bool is_signed = cue_type_signed(type);
    a = cue_extend(a, bits, is_signed);
    b = cue_extend(b, bits, is_signed);
    if (a == b)
        return EQUAL;
    return (is_signed ? (int64_t)a < (int64_t)b : a < b) ? LESS : GREATER;
}

static uint32_t compare_lanes(const cue_warp *w, const cue_insn *i, uint32_t mask, unsigned shift)
{
    const uint64_t *a = cue_row_source(w, i->src[0]), *b = cue_row_source(w, i->src[1]);
    uint32_t result = 0;
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            result |= (uint32_t)((relate(i, a[l] >> shift, b[l] >> shift) & i->what) != 0) << l;
    return result;
}

/* compare: the common types go over all lanes at once. */
static uint32_t compare(const cue_warp *w, const cue_insn *i, uint32_t mask)
{
    const uint64_t *a = cue_row_source(w, i->src[0]), *b = cue_row_source(w, i->src[1]);
    switch (i->source_type) {
    case CUE_S32:
        return cue_compare_s32(a, b, i->what);
    case CUE_U32:
    case CUE_B32:
        return cue_compare_u32(a, b, i->what);
    case CUE_S64:
        return cue_compare_s64(a, b, i->what);
    case CUE_U64:
    case CUE_B64:
        return cue_compare_u64(a, b, i->what);
    case CUE_F32:
        if (!i->ftz)
            return cue_compare_f32(a, b, i->what);
        break;
    default:
        break;
    }
    return compare_lanes(w, i, mask, 0);
}

static uint32_t joined(const cue_warp *w, const cue_insn *i, uint32_t result)
{
    uint32_t other = cue_predicate_mask(w, i->predicate[0]);
    switch (i->join) {
    case JOIN_AND:
        return result & other;
    case JOIN_OR:
        return result | other;
    case JOIN_XOR:
        return result ^ other;
    default:
        return result;
    }
}

static void run_setp(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    uint32_t result = compare(w, i, mask);
    uint32_t first = joined(w, i, result), second = joined(w, i, ~result);
    cue_set_predicate(w, i->dst_predicate, first, mask);
    cue_set_predicate(w, i->dst_predicate_2, second, mask);
}

/* setp on packed halves: one predicate each. */
static void run_setp_packed(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    uint32_t low = joined(w, i, compare_lanes(w, i, mask, 0)), high = joined(w, i, compare_lanes(w, i, mask, 16));
    cue_set_predicate(w, i->dst_predicate, low, mask);
    cue_set_predicate(w, i->dst_predicate_2, high, mask);
}

static uint64_t true_value(cue_type type)
{
    switch (type) {
    case CUE_F32:
        return 0x3f800000u;
    case CUE_F16:
        return 0x3c00;
    case CUE_BF16:
        return 0x3f80;
    case CUE_U16:
    case CUE_S16:
        return 0xffff;
    default:
        return UINT32_MAX;
    }
}

static void run_set(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    uint32_t result = joined(w, i, compare(w, i, mask));
    uint64_t yes = true_value((cue_type)i->type);
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            w->rows[i->dst][l] = result >> l & 1 ? yes : 0;
}

static void run_set_packed(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    uint32_t low = joined(w, i, compare_lanes(w, i, mask, 0)), high = joined(w, i, compare_lanes(w, i, mask, 16));
    uint64_t yes = i->type == CUE_F16X2 ? 0x3c00 : i->type == CUE_BF16X2 ? 0x3f80 : 0xffff;
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            w->rows[i->dst][l] = (high >> l & 1 ? yes << 16 : 0) | (low >> l & 1 ? yes : 0);
}

/* ---------------------------------------------------------------- selection */
static bool is_float(cue_type type)
{
    return type == CUE_F16 || type == CUE_F16X2 || type == CUE_BF16 || type == CUE_BF16X2 || type == CUE_F32 ||
           type == CUE_F64;
}

static int find_comparison(const cue_decoder *d)
{
    for (int i = 0; i < COMPARISON_COUNT; i++)
        if (cue_word_is(d, 1, comparisons[i].name))
            return i;
    return -1;
}

static void take_comparison(cue_decoder *d, cue_type source)
{
    static const char *const joins[] = {"and", "or", "xor", NULL};
    int which = find_comparison(d);
    bool is_signed = cue_type_signed(source), bits = source == CUE_B16 || source == CUE_B32 || source == CUE_B64;
    if (which < 0 || (comparisons[which].float_only && !is_float(source)) ||
        (comparisons[which].unsigned_only && (is_float(source) || is_signed)) || (bits && which > 1))
        cue_unknown(d, "no such comparison for the type");
    if (cue_type_bytes(source) < 2)
        cue_unknown(d, "no comparison of 8-bit types");
    d->insn.what = comparisons[which].accepts;
    d->insn.source_type = (uint8_t)source;
    d->insn.join = (uint8_t)(cue_one_of(d, joins) + 1);
    d->insn.ftz = cue_has_word(d, "ftz");
    if (d->insn.ftz && source != CUE_F32 && source != CUE_F16 && source != CUE_F16X2)
        cue_unknown(d, "no .ftz for the type");
    d->insn.class = source == CUE_F32   ? CUE_CLASS_F32
                    : source == CUE_F64 ? CUE_CLASS_F64
                    : is_float(source)  ? CUE_CLASS_HALF
                                        : CUE_CLASS_INTEGER;
}

static void take_operands(cue_decoder *d, cue_type source)
{
    for (int i = 0; i < 2; i++) {
        cue_comma(d);
        d->insn.src[i] = cue_source(d, source);
    }
    if (d->insn.join != JOIN_NONE) {
        cue_comma(d);
        d->insn.predicate[0] = cue_predicate(d);
    }
}

static const char words[] = "eq ne lt le gt ge lo ls hi hs equ neu ltu leu gtu geu num nan and or xor ftz";

static void select_setp(cue_decoder *d)
{
    cue_type type = cue_word_type(d, 0);
    take_comparison(d, type);
    bool packed = type == CUE_F16X2 || type == CUE_BF16X2;
    d->insn.run = packed ? run_setp_packed : run_setp;
    d->insn.dst_predicate = cue_predicate_destination(d);
    if (cue_try(d, "|"))
        d->insn.dst_predicate_2 = cue_predicate_destination(d);
    take_operands(d, type);
}

static void select_set(cue_decoder *d)
{
    cue_type type = cue_word_type(d, 0), source = cue_word_type(d, 1);
    take_comparison(d, source);
    bool packed = source == CUE_F16X2 || source == CUE_BF16X2;
    if (packed ? type != source && type != CUE_U32 && type != CUE_S32
               : type != CUE_U32 && type != CUE_S32 && type != CUE_F32 && type != CUE_U16 && type != CUE_S16 &&
                     type != CUE_F16 && type != CUE_BF16)
        cue_unknown(d, "no such result type");
    d->insn.run = packed ? run_set_packed : run_set;
    d->insn.type = (uint8_t)type;
    d->insn.dst = cue_destination(d);
    take_operands(d, source);
}

/* ---------------------------------------------------------------- testp */
enum { FINITE, INFINITE, NUMBER, NOT_A_NUMBER, NORMAL, SUBNORMAL };

static bool tests(uint8_t what, int class)
{
    switch (what) {
    case FINITE:
        return class != FP_NAN && class != FP_INFINITE;
    case INFINITE:
        return class == FP_INFINITE;
    case NUMBER:
        return class != FP_NAN;
    case NOT_A_NUMBER:
        return class == FP_NAN;
    case NORMAL:
        return class == FP_NORMAL;
    default:
        return class == FP_SUBNORMAL;
    }
}

static void run_testp(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    const uint64_t *a = cue_row_source(w, i->src[0]);
    uint32_t result = 0;
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        int class = i->type == CUE_F32 ? fpclassify(cue_to_f32(a[l])) : fpclassify(cue_to_f64(a[l]));
        result |= (uint32_t)tests(i->what, class) << l;
    }
    cue_set_predicate(w, i->dst_predicate, result, mask);
}

static void select_testp(cue_decoder *d)
{
    static const char *const kinds[] = {"finite", "infinite", "number", "notanumber", "normal", "subnormal", NULL};
    cue_type type = cue_word_type(d, 0);
    int kind = cue_one_of(d, kinds);
    if (kind < 0 || (type != CUE_F32 && type != CUE_F64))
        cue_unknown(d, "no such test");
    d->insn.run = run_testp;
    d->insn.what = (uint8_t)kind;
    d->insn.type = (uint8_t)type;
    d->insn.class = type == CUE_F32 ? CUE_CLASS_F32 : CUE_CLASS_F64;
    d->insn.dst_predicate = cue_predicate_destination(d);
    cue_comma(d);
    d->insn.src[0] = cue_source(d, type);
}

bool cue_select_compare(cue_decoder *d)
{
    if (cue_word_is(d, 0, "setp")) {
        cue_only_words(d, words);
        select_setp(d);
    } else if (cue_word_is(d, 0, "set")) {
        cue_only_words(d, words);
        select_set(d);
    } else if (cue_word_is(d, 0, "testp")) {
        cue_only_words(d, "finite infinite number notanumber normal subnormal");
        select_testp(d);
    } else {
        return false;
    }
    return true;
}
