/* rows_float.c: f32 and f64 arithmetic. The processor's rounding mode is the instruction's when these run; flushing of
 * denormals, saturation and the canonical NaN of f32 are the caller's. Approximate instructions are computed in double
 * and rounded once: they are better than a card's, never worse. */
#include "device/rows.h"

#include <fenv.h>
#include <math.h>

void cue_set_rounding(cue_rounding rounding)
{
    static const int modes[] = {[CUE_RN] = FE_TONEAREST,
                                [CUE_RZ] = FE_TOWARDZERO,
                                [CUE_RM] = FE_DOWNWARD,
                                [CUE_RP] = FE_UPWARD,
                                [CUE_RNA] = FE_TONEAREST};
    fesetround(modes[rounding]);
}

/* min and max: a NaN loses against a number, and -0 is less than +0. */
float cue_min_f32(float a, float b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) ? b : a;
    return a < b || (a == b && signbit(a)) ? a : b;
}

float cue_max_f32(float a, float b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) ? b : a;
    return a > b || (a == b && !signbit(a)) ? a : b;
}

double cue_min_f64(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) ? b : a;
    return a < b || (a == b && signbit(a)) ? a : b;
}

double cue_max_f64(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) ? b : a;
    return a > b || (a == b && !signbit(a)) ? a : b;
}

/* ---------------------------------------------------------------- f32 */
static float add32(float a, float b, float c)
{
    (void)c;
    return a + b;
}

static float sub32(float a, float b, float c)
{
    (void)c;
    return a - b;
}

static float mul32(float a, float b, float c)
{
    (void)c;
    return a * b;
}

static float fma32(float a, float b, float c)
{
    return fmaf(a, b, c);
}

static float div32(float a, float b, float c)
{
    (void)c;
    return a / b;
}

/* div.approx: for divisors beyond 2^126 the card gives 0 (NaN for a dividend that is no finite number), as its manual
 * says. */
static float div_approx32(float a, float b, float c)
{
    (void)c;
    if (fabsf(b) > 0x1p126f && !isinf(b))
        return isinf(a) || isnan(a) ? NAN : copysignf(0.0f, signbit(a) != signbit(b) ? -1.0f : 1.0f);
    return (float)((double)a / (double)b);
}

static float rcp32(float a, float b, float c)
{
    (void)b, (void)c;
    return 1.0f / a;
}

static float sqrt32(float a, float b, float c)
{
    (void)b, (void)c;
    return sqrtf(a);
}

static float rsqrt32(float a, float b, float c)
{
    (void)b, (void)c;
    return (float)(1.0 / sqrt((double)a));
}

static float ex2_32(float a, float b, float c)
{
    (void)b, (void)c;
    return (float)exp2((double)a);
}

static float lg2_32(float a, float b, float c)
{
    (void)b, (void)c;
    return (float)log2((double)a);
}

static float sin32(float a, float b, float c)
{
    (void)b, (void)c;
    return (float)sin((double)a);
}

static float cos32(float a, float b, float c)
{
    (void)b, (void)c;
    return (float)cos((double)a);
}

static float tanh32(float a, float b, float c)
{
    (void)b, (void)c;
    return (float)tanh((double)a);
}

static float neg32(float a, float b, float c)
{
    (void)b, (void)c;
    return -a;
}

static float abs32(float a, float b, float c)
{
    (void)b, (void)c;
    return fabsf(a);
}

static float min32(float a, float b, float c)
{
    (void)c;
    return cue_min_f32(a, b);
}

static float max32(float a, float b, float c)
{
    (void)c;
    return cue_max_f32(a, b);
}

static float min_nan32(float a, float b, float c)
{
    (void)c;
    return isnan(a) || isnan(b) ? NAN : cue_min_f32(a, b);
}

static float max_nan32(float a, float b, float c)
{
    (void)c;
    return isnan(a) || isnan(b) ? NAN : cue_max_f32(a, b);
}

static float min_xor32(float a, float b, float c)
{
    (void)c;
    return copysignf(cue_min_f32(fabsf(a), fabsf(b)), signbit(a) != signbit(b) ? -1.0f : 1.0f);
}

static float max_xor32(float a, float b, float c)
{
    (void)c;
    return copysignf(cue_max_f32(fabsf(a), fabsf(b)), signbit(a) != signbit(b) ? -1.0f : 1.0f);
}

/* ---------------------------------------------------------------- f64 */
static double add64(double a, double b, double c)
{
    (void)c;
    return a + b;
}

static double sub64(double a, double b, double c)
{
    (void)c;
    return a - b;
}

static double mul64(double a, double b, double c)
{
    (void)c;
    return a * b;
}

static double fma64(double a, double b, double c)
{
    return fma(a, b, c);
}

static double div64(double a, double b, double c)
{
    (void)c;
    return a / b;
}

static double rcp64(double a, double b, double c)
{
    (void)b, (void)c;
    return 1.0 / a;
}

static double sqrt64(double a, double b, double c)
{
    (void)b, (void)c;
    return sqrt(a);
}

/* The approximate forms of f64 have zeros in the low 32 bits; they flush denormals. */
static double high_half(double value)
{
    return isnan(value) ? value : cue_to_f64(cue_from_f64(value) & 0xffffffff00000000u);
}

static double flush64(double value)
{
    return fabs(value) < 0x1p-1022 ? copysign(0.0, value) : value;
}

static double rcp_approx64(double a, double b, double c)
{
    (void)b, (void)c;
    return flush64(high_half(1.0 / flush64(a)));
}

static double rsqrt_approx64(double a, double b, double c)
{
    (void)b, (void)c;
    return flush64(high_half(1.0 / sqrt(flush64(a))));
}

static double rsqrt64(double a, double b, double c)
{
    (void)b, (void)c;
    return 1.0 / sqrt(a);
}

static double neg64(double a, double b, double c)
{
    (void)b, (void)c;
    return -a;
}

static double abs64(double a, double b, double c)
{
    (void)b, (void)c;
    return fabs(a);
}

static double min64(double a, double b, double c)
{
    (void)c;
    return cue_min_f64(a, b);
}

static double max64(double a, double b, double c)
{
    (void)c;
    return cue_max_f64(a, b);
}

/* copysign d, a, b: sign of a, magnitude of b; bits only, so that NaNs pass unchanged. */
static uint64_t copysign_bits32(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return (a & 0x80000000u) | (b & 0x7fffffffu);
}

static uint64_t copysign_bits64(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return (a & (uint64_t)1 << 63) | (b & ~((uint64_t)1 << 63));
}

#define F32_OF(class, name, sources, allows, function)                                                                 \
    {                                                                                                                  \
        name, CUE_TYPE_BIT(CUE_F32), CUE_FAMILY_F32, class, sources, allows,                                           \
        {                                                                                                              \
            .f32 = function                                                                                            \
        }                                                                                                              \
    }
#define F32(name, sources, allows, function) F32_OF(CUE_CLASS_F32, name, sources, allows, function)
#define SPECIAL(name, sources, allows, function) F32_OF(CUE_CLASS_SPECIAL, name, sources, allows, function)
#define F64(name, sources, allows, function)                                                                           \
    {                                                                                                                  \
        name, CUE_TYPE_BIT(CUE_F64), CUE_FAMILY_F64, CUE_CLASS_F64, sources, allows,                                   \
        {                                                                                                              \
            .f64 = function                                                                                            \
        }                                                                                                              \
    }

enum {
    ROUND = CUE_ALLOW_ROUNDING,
    NEED = CUE_ALLOW_ROUNDING | CUE_NEEDS_ROUNDING,
    FTZ = CUE_ALLOW_FTZ,
    SAT = CUE_ALLOW_SAT
};

static const cue_row rows[] = {
    F32("add", 2, ROUND | FTZ | SAT, add32),
    F32("sub", 2, ROUND | FTZ | SAT, sub32),
    F32("mul", 2, ROUND | FTZ | SAT, mul32),
    F32("fma", 3, NEED | FTZ | SAT, fma32),
    F32("mad", 3, NEED | FTZ | SAT, fma32),
    F32("div", 2, NEED | FTZ, div32),
    SPECIAL("div.full", 2, FTZ, div32),
    SPECIAL("div.approx", 2, FTZ, div_approx32),
    F32("rcp", 1, NEED | FTZ, rcp32),
    SPECIAL("rcp.approx", 1, FTZ, rcp32),
    F32("sqrt", 1, NEED | FTZ, sqrt32),
    SPECIAL("sqrt.approx", 1, FTZ, sqrt32),
    SPECIAL("rsqrt.approx", 1, FTZ, rsqrt32),
    SPECIAL("ex2.approx", 1, FTZ, ex2_32),
    SPECIAL("lg2.approx", 1, FTZ, lg2_32),
    SPECIAL("sin.approx", 1, FTZ, sin32),
    SPECIAL("cos.approx", 1, FTZ, cos32),
    SPECIAL("tanh.approx", 1, 0, tanh32),
    F32("neg", 1, FTZ, neg32),
    F32("abs", 1, FTZ, abs32),
    F32("min", 2, FTZ, min32),
    F32("max", 2, FTZ, max32),
    F32("min.NaN", 2, FTZ, min_nan32),
    F32("max.NaN", 2, FTZ, max_nan32),
    F32("min.xorsign.abs", 2, FTZ, min_xor32),
    F32("max.xorsign.abs", 2, FTZ, max_xor32),
    F64("add", 2, ROUND, add64),
    F64("sub", 2, ROUND, sub64),
    F64("mul", 2, ROUND, mul64),
    F64("fma", 3, NEED, fma64),
    F64("mad", 3, NEED, fma64),
    F64("div", 2, NEED, div64),
    F64("rcp", 1, NEED, rcp64),
    F64("rcp.approx.ftz", 1, 0, rcp_approx64),
    F64("sqrt", 1, NEED, sqrt64),
    F64("rsqrt.approx", 1, 0, rsqrt64),
    F64("rsqrt.approx.ftz", 1, 0, rsqrt_approx64),
    F64("neg", 1, 0, neg64),
    F64("abs", 1, 0, abs64),
    F64("min", 2, 0, min64),
    F64("max", 2, 0, max64),
    {"copysign", CUE_TYPE_BIT(CUE_F32), CUE_FAMILY_RAW, CUE_CLASS_F32, 2, 0, {copysign_bits32}},
    {"copysign", CUE_TYPE_BIT(CUE_F64), CUE_FAMILY_RAW, CUE_CLASS_F64, 2, 0, {copysign_bits64}},
};

cue_row_table cue_rows_float(void)
{
    return (cue_row_table){rows, sizeof rows / sizeof rows[0]};
}
