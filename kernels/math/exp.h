/* bpi_exp and bpi_expm1 in f32, at most 2 ulp over every float32 (measured figures and method: docs/numerics.md).
 * x = n ln2 + r with |r| <= ln2/2, a minimax polynomial in r (Sollya's fpminimax with float coefficients, constrained
 * to start exactly with 1 + r), and powers of two that are put together from their bits. */
#ifndef BPI_MATH_EXP_H
#define BPI_MATH_EXP_H

#include "kernels/math/portable.h"

/* 2^n for n in [-126, 127]. */
BPI_MATH_FN float bpi_exp2_int(int32_t n)
{
    return bpi_float_from_bits((uint32_t)(n + 127) << 23);
}

typedef struct {
    float r;
    int32_t n;
} bpi_exp_parts;

/* x = n ln2 + r for |x| <= 2^21. Adding 1.5 * 2^23 leaves the nearest integer to x / ln2 in the low bits of the sum.
 * ln2 is taken in two parts, the first of them so short that n times it is exact. */
BPI_MATH_FN bpi_exp_parts bpi_exp_reduce(float x)
{
    const float shift = 12582912.0f;
    float shifted = bpi_fmaf(x, 0x1.715476p+0f, shift);
    float n = shifted - shift;
    bpi_exp_parts parts;
    parts.n = (int32_t)(bpi_bits_from_float(shifted) - 0x4b400000u);
    parts.r = bpi_fmaf(n, -0x1.62e400p-1f, x);
    parts.r = bpi_fmaf(n, -0x1.7f7d1cp-20f, parts.r);
    return parts;
}

/* e^r for |r| <= 0.347; polynomial error 1.1e-8 relative. */
BPI_MATH_FN float bpi_exp_polynomial(float r)
{
    float p = 0x1.6d4e7ep-10f;
    p = bpi_fmaf(p, r, 0x1.120c44p-7f);
    p = bpi_fmaf(p, r, 0x1.5554e8p-5f);
    p = bpi_fmaf(p, r, 0x1.5554dcp-3f);
    p = bpi_fmaf(p, r, 0.5f);
    p = bpi_fmaf(p, r, 1.0f);
    return bpi_fmaf(p, r, 1.0f);
}

/* e^x where the result is a normal number: x in [-87.3, 88]. */
BPI_MATH_FN float bpi_exp_normal(float x)
{
    bpi_exp_parts parts = bpi_exp_reduce(x);
    return bpi_exp_polynomial(parts.r) * bpi_exp2_int(parts.n);
}

/* e^x: +inf from 88.72284 on, denormal below -87.33, 0 below -103.98. Two scalings, of which the first is exact, so
 * that a denormal result is rounded once. */
BPI_MATH_FN float bpi_exp(float x)
{
    bpi_exp_parts parts = bpi_exp_reduce(bpi_at_most(bpi_at_least(x, -104.0f), 89.0f));
    int32_t half = parts.n >> 1;
    return bpi_exp_polynomial(parts.r) * bpi_exp2_int(half) * bpi_exp2_int(parts.n - half);
}

/* e^r - 1 for |r| <= 0.347; polynomial error 7e-10 relative. */
BPI_MATH_FN float bpi_expm1_polynomial(float r)
{
    float p = 0x1.a2d944p-13f;
    p = bpi_fmaf(p, r, 0x1.6d3096p-10f);
    p = bpi_fmaf(p, r, 0x1.110fc2p-7f);
    p = bpi_fmaf(p, r, 0x1.5555p-5f);
    p = bpi_fmaf(p, r, 0x1.555556p-3f);
    p = bpi_fmaf(p, r, 0.5f);
    return bpi_fmaf(r * r, p, r);
}

/* e^x - 1 = 2^n (e^r - 1) + (2^n - 1), with 2^(n-1) in place of 2^n so that n = 128 stays finite. Below -18 the result
 * is -1. For tiny x the halving would cost a denormal its last bit: there the result is x. */
BPI_MATH_FN float bpi_expm1(float x)
{
    bpi_exp_parts parts = bpi_exp_reduce(bpi_at_most(bpi_at_least(x, -18.0f), 89.0f));
    float half_scale = bpi_exp2_int(parts.n - 1);
    float half = bpi_fmaf(half_scale, bpi_expm1_polynomial(parts.r), half_scale - 0.5f);
    return bpi_abs(x) < 0x1p-25f ? x : half + half;
}

#endif
