/* activation.c: every activation's value and derivative, one line of algebra each, and the operations made of them.
 *
 * The derivative takes what the forward saved: a = f(z) where f can be turned back into f', z itself for SiLU and GELU.
 * Comparisons are written so that NaN falls through to an expression that keeps it. Source: docs/numerics.md. */
#include "kernels/reference/reference.h"

#include <assert.h>
#include <math.h>

static const double pi = 3.14159265358979323846;

/* Each half of the line divides by something in [1, 2], so nothing overflows. */
double bpi_reference_sigmoid(double z)
{
    return z >= 0.0 ? 1.0 / (1.0 + exp(-z)) : exp(z) / (1.0 + exp(z));
}

/* log(1 + e^z) */
double bpi_reference_softplus(double z)
{
    return z > 0.0 ? z + log1p(exp(-z)) : log1p(exp(z));
}

/* P(X <= z) of the standard normal; erfc keeps the lower tail right where 1 + erf(z / sqrt 2) would cancel. */
static double normal_cdf(double z)
{
    return 0.5 * erfc(-z / sqrt(2.0));
}

static double normal_density(double z)
{
    return exp(-0.5 * z * z) / sqrt(2.0 * pi);
}

/* GELU's tanh form is z (1 + tanh u) / 2 = z sigmoid(2u): this is 2u, and it is the sigmoid that doesn't cancel. */
static double gelu_tanh_argument(double z)
{
    return 2.0 * sqrt(2.0 / pi) * (z + 0.044715 * z * z * z);
}

/* z times something that closes faster than z grows: 0 where it is closed, also for z = -inf. */
static double gated(double z, double gate)
{
    return gate == 0.0 ? 0.0 : z * gate;
}

double bpi_reference_activation(bp_activation activation, float slope, double z)
{
    switch (activation) {
    case BP_ACTIVATION_IDENTITY:
        return z;
    case BP_ACTIVATION_SIGMOID:
        return bpi_reference_sigmoid(z);
    case BP_ACTIVATION_TANH:
        return tanh(z);
    case BP_ACTIVATION_RELU:
        return z <= 0.0 ? 0.0 : z;
    case BP_ACTIVATION_LEAKY_RELU:
        return z > 0.0 ? z : (double)slope * z;
    case BP_ACTIVATION_ELU:
        return z > 0.0 ? z : expm1(z);
    case BP_ACTIVATION_SOFTPLUS:
        return bpi_reference_softplus(z);
    case BP_ACTIVATION_SILU:
        return gated(z, bpi_reference_sigmoid(z));
    case BP_ACTIVATION_GELU:
        return gated(z, normal_cdf(z));
    case BP_ACTIVATION_GELU_TANH:
        return gated(z, bpi_reference_sigmoid(gelu_tanh_argument(z)));
    case BP_ACTIVATION_COUNT:
        break;
    }
    assert(false && "no such activation");
    return (double)NAN;
}

/* d/dz of z sigmoid(v(z)) = s + z s (1 - s) v'. Where s (1 - s) is 0, z v' may have overflowed: the limit is s. */
static double gated_derivative(double z, double v, double v_slope)
{
    double s = bpi_reference_sigmoid(v);
    double s_slope = s * bpi_reference_sigmoid(-v);
    return s + gated(z * v_slope, s_slope);
}

double bpi_reference_derivative(bp_activation activation, float slope, double saved)
{
    switch (activation) {
    case BP_ACTIVATION_IDENTITY:
        return 1.0;
    case BP_ACTIVATION_SIGMOID:
        return saved * (1.0 - saved);
    case BP_ACTIVATION_TANH:
        return (1.0 - saved) * (1.0 + saved);
    case BP_ACTIVATION_RELU:
        return saved > 0.0 ? 1.0 : saved <= 0.0 ? 0.0 : saved;
    case BP_ACTIVATION_LEAKY_RELU:
        return saved > 0.0 ? 1.0 : saved <= 0.0 ? (double)slope : saved;
    case BP_ACTIVATION_ELU: /* e^z = (e^z - 1) + 1 */
        return saved > 0.0 ? 1.0 : saved + 1.0;
    case BP_ACTIVATION_SOFTPLUS: /* sigmoid(z) = 1 - 1 / (1 + e^z) = 1 - e^-a */
        return -expm1(-saved);
    case BP_ACTIVATION_SILU:
        return gated_derivative(saved, saved, 1.0);
    case BP_ACTIVATION_GELU:
        return normal_cdf(saved) + gated(saved, normal_density(saved));
    case BP_ACTIVATION_GELU_TANH:
        return gated_derivative(saved, gelu_tanh_argument(saved),
                                2.0 * sqrt(2.0 / pi) * (1.0 + 3.0 * 0.044715 * saved * saved));
    case BP_ACTIVATION_COUNT:
        break;
    }
    assert(false && "no such activation");
    return (double)NAN;
}

bp_status bpi_reference_activation_forward(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix z,
                                           bpi_matrix a)
{
    (void)backend;
    assert(z.rows == a.rows && z.cols == a.cols);
    for (int64_t b = 0; b < z.rows; ++b)
        for (int64_t o = 0; o < z.cols; ++o)
            bpi_reference_row(a, b)[o] = bpi_reference_activation(activation, slope, bpi_reference_row(z, b)[o]);
    return BP_STATUS_OK;
}

bp_status bpi_reference_activation_derivative(bpi_backend *backend, bp_activation activation, float slope,
                                              bpi_matrix saved, bpi_matrix derivative)
{
    (void)backend;
    assert(saved.rows == derivative.rows && saved.cols == derivative.cols);
    for (int64_t b = 0; b < saved.rows; ++b)
        for (int64_t o = 0; o < saved.cols; ++o)
            bpi_reference_row(derivative, b)[o] =
                bpi_reference_derivative(activation, slope, bpi_reference_row(saved, b)[o]);
    return BP_STATUS_OK;
}

bp_status bpi_reference_activation_backward(bpi_backend *backend, const bpi_activation_args *args)
{
    bpi_matrix saved = args->saved, d_a = args->d_a, delta = args->delta;
    assert(saved.rows == delta.rows && saved.cols == delta.cols && d_a.rows == delta.rows && d_a.cols == delta.cols);
    for (int64_t b = 0; b < delta.rows; ++b)
        for (int64_t o = 0; o < delta.cols; ++o)
            bpi_reference_row(delta, b)[o] =
                bpi_reference_row(d_a, b)[o] *
                bpi_reference_derivative(args->activation, args->slope, bpi_reference_row(saved, b)[o]);
    return args->d_b ? bpi_reference_bias_grad(backend, delta, args->accumulate, args->d_b) : BP_STATUS_OK;
}
