/* Activations: value f(z) and derivative f'(z), f32, element by element; the formulas of DESIGN section 1.
 *
 * Each f has bpi_<name>(z) and bpi_<name>_grad(saved). saved is a = f(z), except for silu, gelu and gelu_tanh, which
 * cannot be inverted: there it is z. NaN in gives NaN out, also where a comparison decides (identity_grad alone is 1
 * for every argument). Infinite z gives the limit of f and of f'. Derivation, bounds, tests: docs/numerics.md; the
 * bounds as functions: bounds.h. */
#ifndef BPI_MATH_ACTIVATION_H
#define BPI_MATH_ACTIVATION_H

#include "kernels/math/elementary.h"

BPI_MATH_FN float bpi_identity(float z)
{
    return z;
}

BPI_MATH_FN float bpi_identity_grad(float a)
{
    (void)a;
    return 1.0f;
}

/* 1 / (1 + e^-z) and its complement 1 / (1 + e^z), each right relative to itself for every z: with e = e^-|z| <= 1 the
 * one is 1 / (1 + e), the other e / (1 + e). Nothing overflows and nothing cancels. */
BPI_MATH_FN float bpi_sigmoid(float z)
{
    float e = bpi_exp(-bpi_abs(z));
    float numerator = z < 0.0f ? e : 1.0f;
    return numerator / (1.0f + e);
}

typedef struct {
    float value;      /* sigmoid(z) */
    float complement; /* 1 - sigmoid(z) */
} bpi_sigmoid_parts;

BPI_MATH_FN bpi_sigmoid_parts bpi_sigmoid_both(float z)
{
    float e = bpi_exp(-bpi_abs(z));
    float larger = 1.0f / (1.0f + e);
    float smaller = e * larger;
    bpi_sigmoid_parts parts;
    parts.value = z < 0.0f ? smaller : larger;
    parts.complement = z < 0.0f ? larger : smaller;
    return parts;
}

BPI_MATH_FN float bpi_sigmoid_grad(float a)
{
    return a * (1.0f - a);
}

/* bpi_tanh itself is in tanh.h. */
BPI_MATH_FN float bpi_tanh_grad(float a)
{
    return bpi_fmaf(-a, a, 1.0f);
}

/* z < 0 ? 0 : z, which is one vector maximum on x86 and keeps NaN, as PyTorch does. */
BPI_MATH_FN float bpi_relu(float z)
{
    return z < 0.0f ? 0.0f : z;
}

/* 1 where z > 0, else 0, also at z = 0. */
BPI_MATH_FN float bpi_relu_grad(float a)
{
    return bpi_unless_nan(a, a > 0.0f ? 1.0f : 0.0f);
}

/* requires slope >= 0: for a negative slope a doesn't tell the sign of z. With slope 0 equal to relu for finite z (a
 * zero may carry a minus sign). */
BPI_MATH_FN float bpi_leaky_relu(float z, float slope)
{
    float scaled = slope * z;
    return z > 0.0f ? z : scaled;
}

/* The slope holds at z <= 0. */
BPI_MATH_FN float bpi_leaky_relu_grad(float a, float slope)
{
    return bpi_unless_nan(a, a > 0.0f ? 1.0f : slope);
}

/* z for z > 0, else e^z - 1 (alpha = 1). */
BPI_MATH_FN float bpi_elu(float z)
{
    float negative = bpi_expm1(bpi_at_most(z, 0.0f));
    return z > 0.0f ? z : negative;
}

BPI_MATH_FN float bpi_elu_grad(float a)
{
    float negative = a + 1.0f;
    return a > 0.0f ? 1.0f : negative;
}

/* log(1 + e^z) = max(z, 0) + log1p(e^-|z|). */
BPI_MATH_FN float bpi_softplus(float z)
{
    return bpi_relu(z) + bpi_log1p_unit(bpi_exp(-bpi_abs(z)));
}

/* f' = sigmoid(z) = 1 - e^-a. */
BPI_MATH_FN float bpi_softplus_grad(float a)
{
    return -bpi_expm1(-a);
}

/* z sigmoid(z). Below -120 the sigmoid is 0: the limit keeps -inf from becoming -inf * 0. */
BPI_MATH_FN float bpi_silu(float z)
{
    float limited = bpi_at_least(z, -120.0f);
    return limited * bpi_sigmoid(limited);
}

/* s + z s (1 - s) = s (1 + z (1 - s)), with 1 - s not by subtraction. */
BPI_MATH_FN float bpi_silu_grad(float z)
{
    float limited = bpi_at_most(bpi_at_least(z, -120.0f), 120.0f);
    bpi_sigmoid_parts s = bpi_sigmoid_both(limited);
    return s.value * bpi_fmaf(limited, s.complement, 1.0f);
}

/* z P(X <= z) = z/2 (1 + erf(z / sqrt 2)), with the lower tail right relative to itself. */
BPI_MATH_FN float bpi_gelu(float z)
{
    float limited = bpi_at_least(z, -15.0f);
    return limited * bpi_normal_at(limited).cdf;
}

/* P(X <= z) + z density(z); 1 / sqrt(2 pi) = 0.39894... */
BPI_MATH_FN float bpi_gelu_grad(float z)
{
    float limited = bpi_at_most(bpi_at_least(z, -15.0f), 15.0f);
    bpi_normal normal = bpi_normal_at(limited);
    return bpi_fmaf(limited * 0x1.988454p-2f, normal.gauss, normal.cdf);
}

/* v = 2 sqrt(2/pi) (z + 0.044715 z^3): z/2 (1 + tanh(v/2)) = z sigmoid(v), which has no cancellation for negative z. */
BPI_MATH_FN float bpi_gelu_tanh_argument(float z)
{
    return z * bpi_fmaf(z * z, 0x1.2444f2p-4f, 0x1.988454p+0f);
}

/* Below -12 the sigmoid is 0, see silu. */
BPI_MATH_FN float bpi_gelu_tanh(float z)
{
    float limited = bpi_at_least(z, -12.0f);
    return limited * bpi_sigmoid(bpi_gelu_tanh_argument(limited));
}

/* s (1 + z (1 - s) v'), v' = 2 sqrt(2/pi) (1 + 3 * 0.044715 z^2). */
BPI_MATH_FN float bpi_gelu_tanh_grad(float z)
{
    float limited = bpi_at_most(bpi_at_least(z, -12.0f), 12.0f);
    bpi_sigmoid_parts s = bpi_sigmoid_both(bpi_gelu_tanh_argument(limited));
    float slope = bpi_fmaf(limited * limited, 0x1.b6676cp-3f, 0x1.988454p+0f);
    return s.value * bpi_fmaf(limited * s.complement, slope, 1.0f);
}

#endif
