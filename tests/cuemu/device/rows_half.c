/* rows_half.c: f16 and bf16 arithmetic. Operands come as double, results go back with one rounding: sums are rounded to
 * odd first where double cannot hold them, so that the second rounding is the right one. */
#include "device/rows.h"

#include <math.h>

double cue_half_to_double(uint32_t bits, bool bf16)
{
    bits &= 0xffff;
    if (bf16)
        return (double)cue_to_f32(bits << 16);
    uint64_t sign = (uint64_t)(bits & 0x8000) << 48, exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    if (exponent == 31)
        return cue_to_f64(sign | (uint64_t)0x7ff << 52 | fraction << 42);
    if (exponent == 0)
        return sign != 0 ? (double)fraction * -0x1p-24 : (double)fraction * 0x1p-24;
    return cue_to_f64(sign | (exponent - 15 + 1023) << 52 | fraction << 42);
}

/* rounds_up: the number is units + rest / 2^shift, 0 <= rest < 2^shift. */
static bool rounds_up(uint64_t units, uint64_t rest, int shift, bool negative, cue_rounding rounding)
{
    uint64_t half = (uint64_t)1 << (shift - 1);
    switch (rounding) {
    case CUE_RN:
        return rest > half || (rest == half && (units & 1));
    case CUE_RNA:
        return rest >= half;
    case CUE_RZ:
        return false;
    case CUE_RM:
        return negative && rest > 0;
    case CUE_RP:
        return !negative && rest > 0;
    }
    return false;
}

uint32_t cue_half_from_double(double value, bool bf16, cue_rounding rounding)
{
    const int fraction_bits = bf16 ? 7 : 10, lowest = bf16 ? -126 : -14;
    const uint32_t infinity = bf16 ? 0x7f80 : 0x7c00;
    uint64_t bits = cue_from_f64(value);
    bool negative = bits >> 63 != 0;
    uint32_t sign = negative ? 0x8000 : 0;
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
    if (exponent == 1024)
        return fraction != 0 ? CUE_HALF_NAN : sign | infinity;
    if (exponent > -1023)
        fraction |= (uint64_t)1 << 52;
    int shift = 52 - fraction_bits + (exponent < lowest ? lowest - exponent : 0);
    if (shift > 60) { /* far below the smallest number: only whether it is zero matters */
        shift = 60;
        fraction = fraction != 0;
    }
    uint64_t units = fraction >> shift, rest = fraction & (((uint64_t)1 << shift) - 1);
    units += rounds_up(units, rest, shift, negative, rounding);
    /* A carry out of the fraction makes the next exponent by itself; below `lowest` there is no implicit bit. */
    uint64_t result = exponent < lowest ? units
                                        : ((uint64_t)(exponent - lowest + 1) << fraction_bits) + units -
                                              ((uint64_t)1 << fraction_bits);
    if (result >= infinity) { /* overflow: a mode that rounds towards zero stays at the largest number */
        bool stays = rounding == CUE_RZ || (rounding == CUE_RM && !negative) || (rounding == CUE_RP && negative);
        return sign | (stays ? infinity - 1 : infinity);
    }
    return sign | (uint32_t)result;
}

double cue_sum_to_odd(double x, double y)
{
    double sum = x + y;
    if (!isfinite(sum))
        return sum;
    /* Knuth's exact error of a sum */
    double part = sum - x;
    double error = (x - (sum - part)) + (y - part);
    if (error == 0)
        return sum;
    uint64_t bits = cue_from_f64(sum);
    if (bits & 1)
        return sum;
    /* towards the error, to the neighbour, which is odd */
    bool away = (error > 0) == (sum > 0);
    return cue_to_f64(away ? bits + 1 : bits - 1);
}

static double add(double a, double b, double c)
{
    (void)c;
    return cue_sum_to_odd(a, b);
}

static double sub(double a, double b, double c)
{
    (void)c;
    return cue_sum_to_odd(a, -b);
}

static double mul(double a, double b, double c)
{
    (void)c;
    return a * b; /* at most 22 bits: exact */
}

static double multiply_add(double a, double b, double c)
{
    return cue_sum_to_odd(a * b, c);
}

static double neg(double a, double b, double c)
{
    (void)b, (void)c;
    return -a;
}

static double absolute(double a, double b, double c)
{
    (void)b, (void)c;
    return fabs(a);
}

static double min(double a, double b, double c)
{
    (void)c;
    return cue_min_f64(a, b);
}

static double max(double a, double b, double c)
{
    (void)c;
    return cue_max_f64(a, b);
}

static double min_nan(double a, double b, double c)
{
    (void)c;
    return isnan(a) || isnan(b) ? (double)NAN : cue_min_f64(a, b);
}

static double max_nan(double a, double b, double c)
{
    (void)c;
    return isnan(a) || isnan(b) ? (double)NAN : cue_max_f64(a, b);
}

static double min_xor(double a, double b, double c)
{
    (void)c;
    return copysign(cue_min_f64(fabs(a), fabs(b)), signbit(a) != signbit(b) ? -1.0 : 1.0);
}

static double max_xor(double a, double b, double c)
{
    (void)c;
    return copysign(cue_max_f64(fabs(a), fabs(b)), signbit(a) != signbit(b) ? -1.0 : 1.0);
}

static double ex2(double a, double b, double c)
{
    (void)b, (void)c;
    return exp2(a);
}

static double hyperbolic_tangent(double a, double b, double c)
{
    (void)b, (void)c;
    return tanh(a);
}

#define F16 (CUE_TYPE_BIT(CUE_F16) | CUE_TYPE_BIT(CUE_F16X2))
#define BF16 (CUE_TYPE_BIT(CUE_BF16) | CUE_TYPE_BIT(CUE_BF16X2))
#define HALF_OF(class, name, types, sources, allows, function)                                                         \
    {                                                                                                                  \
        name, types, CUE_FAMILY_HALF, class, sources, allows,                                                          \
        {                                                                                                              \
            .f64 = function                                                                                            \
        }                                                                                                              \
    }
#define HALF(name, types, sources, allows, function) HALF_OF(CUE_CLASS_HALF, name, types, sources, allows, function)

/* Rounding of f16 and bf16 arithmetic is .rn alone, which the decoder checks. */
enum { ROUND = CUE_ALLOW_ROUNDING, FTZ = CUE_ALLOW_FTZ, SAT = CUE_ALLOW_SAT, RELU = CUE_ALLOW_RELU };

static const cue_row rows[] = {
    HALF("add", F16, 2, ROUND | FTZ | SAT, add),
    HALF("sub", F16, 2, ROUND | FTZ | SAT, sub),
    HALF("mul", F16, 2, ROUND | FTZ | SAT, mul),
    HALF("fma", F16, 3, ROUND | FTZ | SAT | RELU | CUE_NEEDS_ROUNDING, multiply_add),
    HALF("add", BF16, 2, ROUND, add),
    HALF("sub", BF16, 2, ROUND, sub),
    HALF("mul", BF16, 2, ROUND, mul),
    HALF("fma", BF16, 3, ROUND | RELU | CUE_NEEDS_ROUNDING, multiply_add),
    HALF("neg", CUE_TYPES_HALF, 1, FTZ, neg),
    HALF("abs", CUE_TYPES_HALF, 1, FTZ, absolute),
    HALF("min", CUE_TYPES_HALF, 2, FTZ, min),
    HALF("max", CUE_TYPES_HALF, 2, FTZ, max),
    HALF("min.NaN", CUE_TYPES_HALF, 2, FTZ, min_nan),
    HALF("max.NaN", CUE_TYPES_HALF, 2, FTZ, max_nan),
    HALF("min.xorsign.abs", CUE_TYPES_HALF, 2, FTZ, min_xor),
    HALF("max.xorsign.abs", CUE_TYPES_HALF, 2, FTZ, max_xor),
    HALF_OF(CUE_CLASS_SPECIAL, "ex2.approx", F16, 1, 0, ex2),
    HALF_OF(CUE_CLASS_SPECIAL, "ex2.approx", BF16, 1, FTZ, ex2),
    HALF_OF(CUE_CLASS_SPECIAL, "tanh.approx", CUE_TYPES_HALF, 1, 0, hyperbolic_tangent),
};

cue_row_table cue_rows_half(void)
{
    return (cue_row_table){rows, sizeof rows / sizeof rows[0]};
}
