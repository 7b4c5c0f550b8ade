/* convert.c: cvt, between all integer and floating-point types, with every rounding. Values pass through double, which
 * holds f16, bf16 and f32 exactly; 64-bit integers are rounded to odd on the way where a second rounding follows. */
#include "device/decoder.h"
#include "device/exec.h"

#include <math.h>
#include <string.h>

static bool is_float(cue_type type)
{
    return type == CUE_F16 || type == CUE_BF16 || type == CUE_F32 || type == CUE_F64 || type == CUE_TF32;
}

static bool is_integer(cue_type type)
{
    return type >= CUE_U8 && type <= CUE_S64;
}

/* ---------------------------------------------------------------- one value */
static double to_integral(double x, cue_rounding rounding)
{
    switch (rounding) {
    case CUE_RZ:
        return trunc(x);
    case CUE_RM:
        return floor(x);
    case CUE_RP:
        return ceil(x);
    default:
        return nearbyint(x); /* ties to even */
    }
}

static uint64_t float_to_integer(double x, cue_type type)
{
    uint32_t bits = 8 * cue_type_bytes(type);
    if (isnan(x))
        return 0;
    if (cue_type_signed(type)) {
        double limit = ldexp(1.0, (int)bits - 1);
        if (x >= limit)
            return ((uint64_t)1 << (bits - 1)) - 1;
        return x < -limit ? 0 - ((uint64_t)1 << (bits - 1)) : (uint64_t)(int64_t)x;
    }
    if (x <= 0)
        return 0;
    return x >= ldexp(1.0, (int)bits) ? UINT64_MAX >> (64 - bits) : (uint64_t)x;
}

/* clamp_integer: value has the source's sign; the result fits the destination. */
static uint64_t clamp_integer(uint64_t value, bool from_signed, cue_type to)
{
    uint32_t bits = 8 * cue_type_bytes(to);
    bool negative = from_signed && (int64_t)value < 0;
    if (!cue_type_signed(to)) {
        uint64_t highest = UINT64_MAX >> (64 - bits);
        return negative ? 0 : value > highest ? highest : value;
    }
    int64_t highest = (int64_t)(UINT64_MAX >> (65 - bits));
    if (!negative)
        return value > (uint64_t)highest ? (uint64_t)highest : value;
    return (int64_t)value < -highest - 1 ? (uint64_t)(-highest - 1) : value;
}

/* integer_to_odd: to double; bits that do not fit leave an odd last bit, so that a rounding to half is right. */
static double integer_to_odd(uint64_t value, bool is_signed)
{
    bool negative = is_signed && (int64_t)value < 0;
    uint64_t magnitude = negative ? 0 - value : value;
    if (magnitude >> 53 != 0) {
        int shift = 11 - __builtin_clzll(magnitude);
        bool lost = (magnitude & (((uint64_t)1 << shift) - 1)) != 0;
        magnitude = (magnitude >> shift | lost) << shift;
    }
    return negative ? -(double)magnitude : (double)magnitude;
}

/* The last bits of tf32 are zero: 10 bits of fraction stay. */
static uint64_t to_tf32(double x, cue_rounding rounding)
{
    uint32_t bits = (uint32_t)cue_from_f32((float)x);
    if ((bits & 0x7f800000u) == 0x7f800000u)
        return isnan(x) ? CUE_F32_NAN : bits;
    uint32_t rest = bits & 0x1fff, low = bits & ~0x1fffu;
    bool up = rounding == CUE_RNA ? rest >= 0x1000
                                  : rounding == CUE_RN && (rest > 0x1000 || (rest == 0x1000 && (low & 0x2000)));
    return up ? low + 0x2000 : low;
}

static double load_float(const cue_insn *i, uint64_t bits)
{
    switch (i->source_type) {
    case CUE_F64:
        return cue_to_f64(bits);
    case CUE_F32:
        return i->ftz ? cue_flush(cue_to_f32(bits)) : cue_to_f32(bits);
    default:
        return cue_half_to_double((uint32_t)bits, i->source_type == CUE_BF16);
    }
}

static uint64_t store_float(const cue_insn *i, double x)
{
    if (i->sat)
        x = x > 0.0 ? (x < 1.0 ? x : 1.0) : 0.0;
    if (i->relu && x <= 0.0)
        x = 0.0;
    switch (i->type) {
    case CUE_F64:
        return cue_from_f64(x);
    case CUE_F32: {
        float f = (float)x;
        return isnan(f) ? CUE_F32_NAN : cue_from_f32(i->ftz ? cue_flush(f) : f);
    }
    case CUE_TF32:
        return to_tf32(x, (cue_rounding)i->rounding);
    default:
        return cue_half_from_double(x, i->type == CUE_BF16, i->integer_rounding ? CUE_RN : (cue_rounding)i->rounding);
    }
}

/* Compilers convert 64-bit unsigned numbers with tricks that assume rounding to nearest (0 becomes -0 where it goes
 * down), so only signed conversions are used here. Above 2^63 half of the number goes, with the lost bit kept in the
 * last. */
static double unsigned_to_double(uint64_t value)
{
    if ((int64_t)value >= 0)
        return (double)(int64_t)value;
    return 2 * (double)(int64_t)(value >> 1 | (value & 1));
}

static float unsigned_to_float(uint64_t value)
{
    if ((int64_t)value >= 0)
        return (float)(int64_t)value;
    return 2 * (float)(int64_t)(value >> 1 | (value & 1));
}

static uint64_t integer_to_float(const cue_insn *i, uint64_t value, bool is_signed)
{
    if (i->type == CUE_F32 && !i->sat)
        return cue_from_f32(is_signed ? (float)(int64_t)value : unsigned_to_float(value));
    if (i->type == CUE_F64 && !i->sat)
        return cue_from_f64(is_signed ? (double)(int64_t)value : unsigned_to_double(value));
    return store_float(i, integer_to_odd(value, is_signed));
}

static uint64_t convert(const cue_insn *i, uint64_t bits)
{
    cue_type from = (cue_type)i->source_type, to = (cue_type)i->type;
    if (is_float(from)) {
        double x = load_float(i, bits);
        if (i->integer_rounding)
            x = to_integral(x, (cue_rounding)i->rounding);
        return is_integer(to) ? float_to_integer(x, to) : store_float(i, x);
    }
    uint64_t value = cue_extend(bits, 8 * cue_type_bytes(from), cue_type_signed(from));
    if (!is_integer(to))
        return integer_to_float(i, value, cue_type_signed(from));
    if (i->sat)
        value = clamp_integer(value, cue_type_signed(from), to);
    return cue_extend(value, 8 * cue_type_bytes(to), cue_type_signed(to));
}

/* ---------------------------------------------------------------- handlers */
static void run_cvt(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    const uint64_t *a = cue_row_source(w, i->src[0]);
    uint64_t *to = w->rows[i->dst];
    bool directed = i->rounding != CUE_RN && !i->integer_rounding && (i->type == CUE_F32 || i->type == CUE_F64);
    if (directed)
        cue_set_rounding((cue_rounding)i->rounding);
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            to[l] = convert(i, a[l]);
    if (directed)
        cue_set_rounding(CUE_RN);
}

/* Two numbers into one register: the first operand goes to the high half. */
static void run_cvt_pack(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    const uint64_t *a = cue_row_source(w, i->src[0]), *b = cue_row_source(w, i->src[1]);
    uint64_t *to = w->rows[i->dst];
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            to[l] = convert(i, a[l]) << 16 | (convert(i, b[l]) & 0xffff);
}

/* ---------------------------------------------------------------- selection */
static void take_rounding(cue_decoder *d)
{
    static const char *const of_floats[] = {"rn", "rz", "rm", "rp", "rna", NULL};
    static const char *const of_integers[] = {"rni", "rzi", "rmi", "rpi", NULL};
    int to_float = cue_one_of(d, of_floats), to_integer = cue_one_of(d, of_integers);
    if (to_float >= 0 && to_integer >= 0)
        cue_unknown(d, "two rounding modes");
    d->insn.integer_rounding = to_integer >= 0;
    d->insn.rounding = (uint8_t)(to_integer >= 0 ? to_integer : to_float >= 0 ? to_float : CUE_RN);

    cue_type from = (cue_type)d->insn.source_type, to = (cue_type)d->insn.type;
    bool needs_integer = is_float(from) && is_integer(to);
    bool narrower = is_integer(from) ? is_float(to)
                                     : is_float(to) && from != to &&
                                           (cue_type_bytes(to) < cue_type_bytes(from) ||
                                            (cue_type_bytes(to) == cue_type_bytes(from)));
    if (needs_integer != d->insn.integer_rounding && !(d->insn.integer_rounding && from == to && is_float(from)))
        cue_unknown(d, "integer rounding is missing, or does not belong");
    if (narrower != (to_float >= 0))
        cue_unknown(d, "rounding is missing, or does not belong");
    if ((to_float == CUE_RNA) != (to == CUE_TF32 && to_float == CUE_RNA))
        cue_unknown(d, ".rna belongs to tf32");
}

static void check_types(cue_decoder *d, cue_type from, cue_type to)
{
    bool known = (is_float(from) || is_integer(from)) && (is_float(to) || is_integer(to)) && from != CUE_TF32 &&
                 (to != CUE_TF32 || from == CUE_F32);
    if (!known)
        cue_unknown(d, "no conversion between these types");
    if (d->insn.ftz && from != CUE_F32 && to != CUE_F32)
        cue_unknown(d, ".ftz without f32");
    if (d->insn.relu && to != CUE_F16 && to != CUE_BF16 && to != CUE_TF32)
        cue_unknown(d, ".relu does not belong");
}

bool cue_select_convert(cue_decoder *d)
{
    if (!cue_word_is(d, 0, "cvt"))
        return false;
    cue_only_words(d, "rn rz rm rp rna rni rzi rmi rpi ftz sat relu");
    cue_type to = cue_word_type(d, 0), from = cue_word_type(d, 1);
    bool packed = to == CUE_F16X2 || to == CUE_BF16X2;
    if (packed && from != CUE_F32)
        cue_unknown(d, "no conversion between these types");
    if (packed)
        to = to == CUE_F16X2 ? CUE_F16 : CUE_BF16;
    d->insn.run = packed ? run_cvt_pack : run_cvt;
    d->insn.class = CUE_CLASS_CONVERSION;
    d->insn.type = (uint8_t)to;
    d->insn.source_type = (uint8_t)from;
    d->insn.ftz = cue_has_word(d, "ftz");
    d->insn.sat = cue_has_word(d, "sat");
    d->insn.relu = cue_has_word(d, "relu");
    check_types(d, from, to);
    take_rounding(d);
    d->insn.dst = cue_destination(d);
    for (int i = 0; i < (packed ? 2 : 1); i++) {
        cue_comma(d);
        d->insn.src[i] = cue_source(d, from);
    }
    return true;
}
