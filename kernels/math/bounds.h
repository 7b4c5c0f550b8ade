/* Error bounds of kernels/math as functions: how far the f32 result may be from the exact one. C, double, host only;
 * what the tests hold the formulas to and what verify builds on. Derivations: docs/numerics.md, a section for each
 * formula.
 *
 * bpi_<name>_bound(z) limits |bpi_<name>(z) - f(z)|, and bpi_<name>_grad_bound(z) limits the error of the derivative as
 * a backend computes it, that is from the saved f32 value: |bpi_<name>_grad(bpi_<name>(z)) - f'(z)|. z is the f32
 * argument, finite. They hold where f(z) is finite in f32. */
#ifndef BPI_MATH_BOUNDS_H
#define BPI_MATH_BOUNDS_H

#include <math.h>

/* Half a unit in the last place of 1: the relative error of one rounding. */
#define BPI_ROUNDOFF 0x1p-24

/* The smallest denormal: more than the absolute error that roundings below 2^-126 add. */
#define BPI_QUANTUM 0x1p-149

/* Elementary functions, largest errors over every float32 (exhaustive test), rounded up: in units in the last place,
 * and relative in roundoffs for results of at least 2^-126. */
#define BPI_EXP_ULP 1.0
#define BPI_EXPM1_ULP 1.5
#define BPI_LOG_ULP 1.0
#define BPI_LOG1P_ULP 1.5
#define BPI_TANH_ULP 1.75
#define BPI_ERF_ULP 1.25

#define BPI_EXP_ROUNDOFFS 1.5
#define BPI_EXPM1_ROUNDOFFS 2.25
#define BPI_LOG_ROUNDOFFS 1.5
#define BPI_LOG1P_ROUNDOFFS 1.75
#define BPI_TANH_ROUNDOFFS 3.25
#define BPI_ERF_ROUNDOFFS 1.5
#define BPI_NORMAL_TAIL_ROUNDOFFS 10.0      /* P(X > t) */
#define BPI_NORMAL_NEAR_TAIL_ROUNDOFFS 4.75 /* for t < 1 */

/* e / (1 + e) or 1 / (1 + e): the error of e, the sum, the quotient; one more product in bpi_sigmoid_both. */
#define BPI_SIGMOID_ROUNDOFFS (BPI_EXP_ROUNDOFFS + 2.0)
#define BPI_SIGMOID_BOTH_ROUNDOFFS (BPI_EXP_ROUNDOFFS + 3.0)

/* The argument of gelu_tanh: square, constants, sum, product. */
#define BPI_GELU_TANH_ARGUMENT_ROUNDOFFS 4.0

static inline double bpi_bound_sigmoid_of(double z)
{
    return z < 0.0 ? exp(z) / (1.0 + exp(z)) : 1.0 / (1.0 + exp(-z));
}

/* P(X > t) of the standard normal. */
static inline double bpi_bound_normal_tail_of(double t)
{
    return 0.5 * erfc(t * 0.70710678118654752440);
}

static inline double bpi_sigmoid_bound(double z)
{
    return BPI_SIGMOID_ROUNDOFFS * BPI_ROUNDOFF * bpi_bound_sigmoid_of(z) + 2.0 * BPI_QUANTUM;
}

/* a (1 - a) with a off by B: |1 - 2a| B + B^2, and two roundings. */
static inline double bpi_sigmoid_grad_bound(double z)
{
    double s = bpi_bound_sigmoid_of(z);
    double complement = bpi_bound_sigmoid_of(-z);
    double bound = bpi_sigmoid_bound(z);
    double from_a = fabs(s - complement) * bound + bound * bound;
    return from_a + 2.0 * BPI_ROUNDOFF * (s * complement + from_a) + BPI_QUANTUM;
}

static inline double bpi_tanh_bound(double z)
{
    return BPI_TANH_ROUNDOFFS * BPI_ROUNDOFF * fabs(tanh(z)) + BPI_QUANTUM;
}

/* 1 - a^2 with a off by B, one rounding. */
static inline double bpi_tanh_grad_bound(double z)
{
    double a = tanh(z);
    double bound = bpi_tanh_bound(z);
    double from_a = 2.0 * fabs(a) * bound + bound * bound;
    return from_a + BPI_ROUNDOFF * (1.0 - a * a + from_a) + BPI_QUANTUM;
}

static inline double bpi_leaky_relu_bound(double z, double slope)
{
    return z > 0.0 ? 0.0 : BPI_ROUNDOFF * fabs(slope * z) + BPI_QUANTUM;
}

static inline double bpi_elu_bound(double z)
{
    return z > 0.0 ? 0.0 : BPI_EXPM1_ROUNDOFFS * BPI_ROUNDOFF * fabs(expm1(z)) + BPI_QUANTUM;
}

/* a + 1: the error of a in full, one rounding. */
static inline double bpi_elu_grad_bound(double z)
{
    double bound = bpi_elu_bound(z);
    return z > 0.0 ? 0.0 : bound + BPI_ROUNDOFF * (exp(z) + bound);
}

/* max(z, 0) is exact, the sum is rounded where z > 0. */
static inline double bpi_softplus_bound(double z)
{
    double rest = log1p(exp(-fabs(z)));
    double sum = z > 0.0 ? z + rest : 0.0;
    return ((BPI_EXP_ROUNDOFFS + BPI_LOG1P_ROUNDOFFS) * rest + sum) * BPI_ROUNDOFF * (1.0 + 8.0 * BPI_ROUNDOFF) +
           2.0 * BPI_QUANTUM;
}

/* 1 - e^-a with a off by B: e^-a B = (1 - sigmoid(z)) B to first order. */
static inline double bpi_softplus_grad_bound(double z)
{
    double bound = bpi_softplus_bound(z);
    double from_a = bpi_bound_sigmoid_of(-z) * bound * (1.0 + bound);
    return from_a + BPI_EXPM1_ROUNDOFFS * BPI_ROUNDOFF * (bpi_bound_sigmoid_of(z) + from_a) + BPI_QUANTUM;
}

static inline double bpi_silu_bound(double z)
{
    double value = z * bpi_bound_sigmoid_of(z);
    return (BPI_SIGMOID_ROUNDOFFS + 1.0) * BPI_ROUNDOFF * fabs(value) + 2.0 * (1.0 + fabs(z)) * BPI_QUANTUM;
}

/* s (1 + w), w = z (1 - s): s and w each off by a factor, w's product, the sum, the last product. */
static inline double bpi_silu_grad_bound(double z)
{
    double s = bpi_bound_sigmoid_of(z);
    double w = z * bpi_bound_sigmoid_of(-z);
    double roundoffs =
        BPI_SIGMOID_BOTH_ROUNDOFFS * s * fabs(w) + (BPI_SIGMOID_BOTH_ROUNDOFFS + 2.0) * s * fabs(1.0 + w);
    return roundoffs * BPI_ROUNDOFF * (1.0 + 16.0 * BPI_ROUNDOFF) + 2.0 * (1.0 + fabs(z)) * BPI_QUANTUM;
}

/* The distribution function: the tail, and for z >= 0 the subtraction from 1. */
static inline double bpi_normal_cdf_bound(double z)
{
    double tail = bpi_bound_normal_tail_of(fabs(z));
    double difference = z < 0.0 ? 0.0 : 1.0 - tail;
    double roundoffs = fabs(z) < 1.0 ? BPI_NORMAL_NEAR_TAIL_ROUNDOFFS : BPI_NORMAL_TAIL_ROUNDOFFS;
    return (roundoffs * tail + difference) * BPI_ROUNDOFF + 2.0 * BPI_QUANTUM;
}

static inline double bpi_gelu_bound(double z)
{
    double value = z * bpi_bound_normal_tail_of(-z);
    return fabs(z) * bpi_normal_cdf_bound(z) * (1.0 + BPI_ROUNDOFF) + BPI_ROUNDOFF * fabs(value) + BPI_QUANTUM;
}

/* cdf + z density: the exponential, its correction, the constant and two products, then the sum. */
static inline double bpi_gelu_grad_bound(double z)
{
    double product = z * 0.39894228040143267794 * exp(-0.5 * z * z);
    double value = bpi_bound_normal_tail_of(-z) + product;
    double cdf_bound = bpi_normal_cdf_bound(z);
    double from_terms = cdf_bound + (BPI_EXP_ROUNDOFFS + 3.5) * BPI_ROUNDOFF * fabs(product);
    return from_terms + BPI_ROUNDOFF * (fabs(value) + from_terms) + 2.0 * (1.0 + fabs(z)) * BPI_QUANTUM;
}

static inline double bpi_bound_gelu_tanh_argument_of(double z)
{
    return 1.59576912160573071176 * (z + 0.044715 * z * z * z);
}

/* A relative error of the argument v moves sigmoid(v) by |v| (1 - sigmoid(v)) times that, relative: this is why the
 * lower tail of this form is worse than that of gelu. */
static inline double bpi_gelu_tanh_bound(double z)
{
    double v = bpi_bound_gelu_tanh_argument_of(z);
    double value = z * bpi_bound_sigmoid_of(v);
    double roundoffs = BPI_SIGMOID_ROUNDOFFS + 1.0;
    if (fabs(v) < 128.0) {
        roundoffs += BPI_GELU_TANH_ARGUMENT_ROUNDOFFS * fabs(v) * bpi_bound_sigmoid_of(-v);
    }
    return roundoffs * BPI_ROUNDOFF * (1.0 + 0x1p-12) * fabs(value) + 2.0 * (1.0 + fabs(z)) * BPI_QUANTUM;
}

/* s (1 + w), w = z (1 - s) v': as silu_grad, with v' (square, constants, sum) and the product with it, and the error of
 * v in s and in 1 - s. */
static inline double bpi_gelu_tanh_grad_bound(double z)
{
    double v = bpi_bound_gelu_tanh_argument_of(z);
    double s = bpi_bound_sigmoid_of(v);
    double complement = bpi_bound_sigmoid_of(-v);
    double w = z * complement * 1.59576912160573071176 * (1.0 + 3.0 * 0.044715 * z * z);
    double argument = fabs(v) < 128.0 ? BPI_GELU_TANH_ARGUMENT_ROUNDOFFS * fabs(v) : 0.0;
    double of_w = BPI_SIGMOID_BOTH_ROUNDOFFS + 4.0 + argument * s;
    double of_s = BPI_SIGMOID_BOTH_ROUNDOFFS + 2.0 + argument * complement;
    double roundoffs = of_w * s * fabs(w) + of_s * s * fabs(1.0 + w);
    return roundoffs * BPI_ROUNDOFF * (1.0 + 0x1p-12) + 2.0 * (1.0 + fabs(w)) * BPI_QUANTUM;
}

#endif
