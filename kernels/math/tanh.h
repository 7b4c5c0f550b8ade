/* bpi_tanh in f32, at most 2 ulp over every float32 (measured figures and method: docs/numerics.md). */
#ifndef BPI_MATH_TANH_H
#define BPI_MATH_TANH_H

#include "kernels/math/exp.h"

/* tanh(x), odd bit for bit. Below 0.55 an odd polynomial (Sollya's fpminimax, float coefficients, error 5.6e-9
 * relative), which keeps tiny and denormal x; above it 1 - 2 / (e^2|x| + 1), where the subtrahend is below one half, so
 * that its error counts half. From 9.01 on that is 1. */
BPI_MATH_FN float bpi_tanh(float x)
{
    float magnitude = bpi_abs(x);
    float square = x * x;
    float p = -0x1.aa71c6p-8f;
    p = bpi_fmaf(p, square, 0x1.5c335cp-6f);
    p = bpi_fmaf(p, square, -0x1.b98bc2p-5f);
    p = bpi_fmaf(p, square, 0x1.110fa0p-3f);
    p = bpi_fmaf(p, square, -0x1.555554p-2f);
    float near = bpi_fmaf(magnitude * square, p, magnitude);
    float far = 1.0f - 2.0f / (bpi_exp_normal(2.0f * bpi_at_most(magnitude, 10.0f)) + 1.0f);
    return bpi_with_sign_of(magnitude < 0.55f ? near : far, x);
}

#endif
