/* bpi_log and bpi_log1p in f32, at most 2 ulp over every float32 (measured figures and method: docs/numerics.md).
 * The argument is 2^k (1 + m) with m in [-0.25, 0.5], an interval around 0, so that results near 0 come from k = 0
 * without cancellation; a minimax polynomial in m (Sollya's fpminimax, float coefficients), plus k ln2. */
#ifndef BPI_MATH_LOG_H
#define BPI_MATH_LOG_H

#include "kernels/math/portable.h"

/* log(1 + m) + k ln2 for m in [-0.2501, 0.5001]; polynomial error 2.6e-9 relative. ln2 needs no second part: its error
 * is below 0.05 ulp of k ln2. */
BPI_MATH_FN float bpi_log_polynomial(float m, float k)
{
    float p = 0x1.592194p-5f;
    p = bpi_fmaf(p, m, -0x1.8835f0p-4f);
    p = bpi_fmaf(p, m, 0x1.e1a5ccp-4f);
    p = bpi_fmaf(p, m, -0x1.03538ep-3f);
    p = bpi_fmaf(p, m, 0x1.241490p-3f);
    p = bpi_fmaf(p, m, -0x1.552a52p-3f);
    p = bpi_fmaf(p, m, 0x1.999b3ep-3f);
    p = bpi_fmaf(p, m, -0x1.00004ap-2f);
    p = bpi_fmaf(p, m, 0x1.555554p-2f);
    p = bpi_fmaf(p, m, -0.5f);
    return bpi_fmaf(k, 0x1.62e430p-1f, bpi_fmaf(m * m, p, m));
}

/* The exponent field of 2^k for a positive y = 2^k (1 + m), m in [-0.25, 0.5): 0x3f400000 is 0.75. */
BPI_MATH_FN uint32_t bpi_log_exponent_bits(float y)
{
    return (bpi_bits_from_float(y) - 0x3f400000u) & 0xff800000u;
}

BPI_MATH_FN float bpi_log_exponent(uint32_t exponent_bits)
{
    return (float)((int32_t)exponent_bits >> 23);
}

/* log(x): -inf at 0 of either sign, NaN below, +inf at +inf. Denormals are brought into the normal range first. */
BPI_MATH_FN float bpi_log(float x)
{
    float scaled = x * 8388608.0f;
    float normal = x < 0x1p-126f ? scaled : x;
    float offset = x < 0x1p-126f ? -23.0f : 0.0f;
    uint32_t bits = bpi_log_exponent_bits(normal);
    float m = bpi_float_from_bits(bpi_bits_from_float(normal) - bits) - 1.0f;
    float y = bpi_log_polynomial(m, bpi_log_exponent(bits) + offset);
    y = x > 0.0f ? y : -BPI_MATH_INF;
    y = x < 0.0f ? BPI_MATH_NAN : y;
    y = x > 0x1.fffffep+127f ? x : y;
    return bpi_unless_nan(x, y);
}

/* log(1 + x): -inf at -1, NaN below, +inf at +inf, x itself for tiny x (also -0). With k from the rounded 1 + x,
 * m = 2^-k x + (2^-k - 1): 2^-k x by arithmetic on the exponent (k = 0 for tiny x, so denormals stay as they are),
 * 4 * 2^-k likewise. The sum is exact because its terms are within a factor of two of each other or 2^-k is 1, but for
 * the one x just below 0.5 whose 1 + x rounds to 1.5. */
BPI_MATH_FN float bpi_log1p(float x)
{
    uint32_t bits = bpi_log_exponent_bits(1.0f + x);
    float scaled = bpi_float_from_bits(bpi_bits_from_float(x) - bits);
    float four_scale = bpi_float_from_bits(0x40800000u - bits);
    float m = scaled + bpi_fmaf(0.25f, four_scale, -1.0f);
    float y = bpi_log_polynomial(m, bpi_log_exponent(bits));
    y = bpi_abs(x) < 0x1p-25f ? x : y;
    y = x > -1.0f ? y : -BPI_MATH_INF;
    y = x < -1.0f ? BPI_MATH_NAN : y;
    y = x > 0x1.fffffep+127f ? x : y;
    return bpi_unless_nan(x, y);
}

/* log(1 + x) for x in [0, 1] alone, without what only other x need: softplus and the losses take it of e^-|z|. */
BPI_MATH_FN float bpi_log1p_unit(float x)
{
    float halved = bpi_fmaf(0.5f, x, -0.5f);
    float m = x > 0.5f ? halved : x;
    float k = x > 0.5f ? 1.0f : 0.0f;
    return bpi_log_polynomial(m, k);
}

#endif
