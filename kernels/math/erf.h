/* bpi_erf, and the distribution function of the standard normal with a tail that is right relative to itself (GELU
 * needs it), in f32; measured figures and method: docs/numerics.md. Polynomials by Sollya's fpminimax, float
 * coefficients. */
#ifndef BPI_MATH_ERF_H
#define BPI_MATH_ERF_H

#include "kernels/math/exp.h"

/* erf(x), odd bit for bit, at most 2 ulp. Below 0.92 x + x p(x^2) (error 1.8e-8 relative); above it 1 - e^-q(|x|) with
 * q = -log(erfc) (error 0.04 ulp of the result). From 3.92 on that is 1. */
BPI_MATH_FN float bpi_erf(float x)
{
    float magnitude = bpi_abs(x);
    float square = x * x;
    float p = -0x1.3b2486p-11f;
    p = bpi_fmaf(p, square, 0x1.47831cp-8f);
    p = bpi_fmaf(p, square, -0x1.b6989cp-6f);
    p = bpi_fmaf(p, square, 0x1.ce1b6cp-4f);
    p = bpi_fmaf(p, square, -0x1.8126ecp-2f);
    p = bpi_fmaf(p, square, 0x1.06eba6p-3f);
    float near = bpi_fmaf(magnitude, p, magnitude);

    float t = bpi_at_most(magnitude, 3.95f);
    float q = -0x1.b345bcp-20f;
    q = bpi_fmaf(q, t, 0x1.7f860cp-15f);
    q = bpi_fmaf(q, t, -0x1.3744dap-11f);
    q = bpi_fmaf(q, t, 0x1.36e41cp-8f);
    q = bpi_fmaf(q, t, -0x1.b01774p-6f);
    q = bpi_fmaf(q, t, 0x1.c2836cp-4f);
    q = bpi_fmaf(q, t, 0x1.438c58p-1f);
    q = bpi_fmaf(q, t, 0x1.2152b8p+0f);
    q = bpi_fmaf(q, t, -0x1.3dd0acp-12f);
    float far = 1.0f - bpi_exp_normal(-q);
    return bpi_with_sign_of(magnitude < 0.92f ? near : far, x);
}

typedef struct {
    float cdf;   /* P(X <= z) of the standard normal */
    float gauss; /* e^(-z^2/2); the density is this over sqrt(2 pi) */
} bpi_normal;

/* For t = |z|: Q(t) = P(X > t) = e^(-t^2/2) (1 - w) p(w), w = t / (t + 2.5) (error 1.8e-8 relative), and cdf = Q(t) or
 * 1 - Q(t). p starts with exactly 1/2 and w is right relative to itself, so that cdf is at its best around 0. Rounding
 * t^2 would cost t^2/4 ulp in the exponential: the rest of the square, which an fma gives, is applied to first order.
 * Beyond 15 everything is below the smallest denormal. */
BPI_MATH_FN bpi_normal bpi_normal_at(float z)
{
    float t = bpi_at_most(bpi_abs(z), 15.0f);
    float w = t / (t + 2.5f);
    float p = -0x1.050b70p-5f;
    p = bpi_fmaf(p, w, 0x1.c98e2cp-4f);
    p = bpi_fmaf(p, w, -0x1.00355ep-3f);
    p = bpi_fmaf(p, w, 0x1.c2fc32p-5f);
    p = bpi_fmaf(p, w, -0x1.ea695cp-5f);
    p = bpi_fmaf(p, w, 0x1.6f5248p-6f);
    p = bpi_fmaf(p, w, 0x1.de2d9ep-4f);
    p = bpi_fmaf(p, w, 0x1.15e31ep-4f);
    p = bpi_fmaf(p, w, -0x1.fd4b22p-2f);
    p = bpi_fmaf(p, w, 0.5f);

    float square = t * t;
    float half_rest = -0.5f * bpi_fmaf(t, t, -square);
    float e = bpi_exp(-0.5f * square);
    float quotient = bpi_fmaf(-w, p, p);
    float tail = e * bpi_fmaf(quotient, half_rest, quotient);
    bpi_normal normal;
    normal.gauss = bpi_fmaf(e, half_rest, e);
    normal.cdf = z < 0.0f ? tail : 1.0f - tail;
    return normal;
}

#endif
