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

/* For t = |z|: Q(t) = P(X > t) = e^(-t^2/2) y p(u), y = 4 / (t + 4), u = 1 - 2 y (error 1.8e-8 relative), and cdf =
 * Q(t) or 1 - Q(t). Rounding t^2 would cost t^2/4 ulp in the exponential: the rest of the square, which an fma gives,
 * is applied to first order. Beyond 15 everything is below the smallest denormal. */
BPI_MATH_FN bpi_normal bpi_normal_at(float z)
{
    float t = bpi_at_most(bpi_abs(z), 15.0f);
    float y = 4.0f / (t + 4.0f);
    float u = bpi_fmaf(-2.0f, y, 1.0f);
    float p = -0x1.0743e0p-15f;
    p = bpi_fmaf(p, u, 0x1.91808cp-15f);
    p = bpi_fmaf(p, u, 0x1.9bb068p-12f);
    p = bpi_fmaf(p, u, -0x1.cd9730p-11f);
    p = bpi_fmaf(p, u, -0x1.ed553ep-10f);
    p = bpi_fmaf(p, u, 0x1.eed91ap-7f);
    p = bpi_fmaf(p, u, -0x1.7dffaep-5f);
    p = bpi_fmaf(p, u, 0x1.8c6d8cp-4f);
    p = bpi_fmaf(p, u, -0x1.373e3ap-3f);
    p = bpi_fmaf(p, u, 0x1.82b4bcp-3f);

    float square = t * t;
    float rest = bpi_fmaf(t, t, -square);
    float e = bpi_exp(-0.5f * square);
    bpi_normal normal;
    normal.gauss = bpi_fmaf(e, -0.5f * rest, e);
    float tail = normal.gauss * (y * p);
    normal.cdf = z < 0.0f ? tail : 1.0f - tail;
    return normal;
}

#endif
