/* bounds.h: how far an operation's result may be from exact arithmetic on the same inputs: the bounds of ops.h as
 * functions, in double, on the host. What the operation tests and `verify` judge by. Derivations: docs/numerics.md.
 *
 * They follow from the precision and the length of the sums alone, not from a measurement; `magnitude` is always the
 * same sum with every term in absolute value. The loss and the update have files of their own beside this one. */
#ifndef BPI_BOUNDS_H
#define BPI_BOUNDS_H

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "backprop/context.h"
#include "backprop/model.h"
#include "kernels/math/bounds.h"

/* What a precision rounds, and how much. */
typedef struct bpi_roundoff {
    double sum;     /* u: one operation, in the type that sums are kept in */
    double product; /* factors that a product rounds to a shorter type than they are given in: of it, relative */
    double store;   /* writing an activation array in a shorter type than sums are kept in, relative */
    double quantum; /* smallest denormal: at least what an operation that underflows loses */
    double product_quantum; /* the same of a term of a product and of its sum */
    double store_quantum;   /* half the smallest denormal of that shorter type: what is lost in writing it */
} bpi_roundoff;

static inline bpi_roundoff bpi_roundoff_of(bp_precision precision)
{
    bpi_roundoff r = {.sum = 0x1p-24, .quantum = 0x1p-149, .product_quantum = 0x1p-149};
    if (precision == BP_PRECISION_F64) {
        r.sum = 0x1p-53;
        r.quantum = r.product_quantum = 0x1p-1074;
    }
    if (precision == BP_PRECISION_TF32) /* both factors to 11 significant bits */
        r.product = 0x1p-10 + 0x1p-22;
    if (precision == BP_PRECISION_BF16) { /* 8 significant bits; factors are bf16 already, the weights too */
        r.store = 0x1p-8;
        r.store_quantum = 0x1p-134;
        r.product_quantum = 0x1p-125; /* AVX512-BF16 and AMX take denormals as 0, in a factor and in a sum */
    }
    return r;
}

/* The same for an array that is wide (kernels/ops.h): in the type of the sums. */
static inline bpi_roundoff bpi_roundoff_wide(bpi_roundoff r, bool wide)
{
    r.store = wide ? 0.0 : r.store;
    r.store_quantum = wide ? 0.0 : r.store_quantum;
    return r;
}

/* gamma(n) = n u / (1 - n u): n roundings of a term, one on top of the other. Higham, Accuracy and Stability, 3.1. */
static inline double bpi_gamma(double u, int64_t n)
{
    double nu = (double)n * u;
    assert(nu < 1.0);
    return nu / (1.0 - nu);
}

/* A value that was right within `bound`, once it is written to an activation array. */
static inline double bpi_stored_bound(const bpi_roundoff *r, double value, double bound)
{
    return bound + r->store * (fabs(value) + bound) + r->store_quantum;
}

/* A sum of `terms` products in any order; counts the additions of a bias or of an old value as terms too. */
static inline double bpi_product_sum_bound(const bpi_roundoff *r, int64_t terms, double magnitude)
{
    double gamma = bpi_gamma(r->sum, terms);
    return (gamma + r->product * (1.0 + gamma)) * magnitude + (double)terms * r->product_quantum;
}

/* ---- linear layer; magnitude: sum_i |x||w| + |b|, sum_o |delta||w|, sum_b |delta||x| (+ |old d_w|) ---- */

/* Of z before it is stored; the product without b may have been stored once on the way. */
static inline double bpi_linear_forward_bound(const bpi_roundoff *r, int64_t inputs, double magnitude)
{
    return bpi_stored_bound(r, magnitude, bpi_product_sum_bound(r, inputs + 1, magnitude));
}

static inline double bpi_linear_input_grad_bound(const bpi_roundoff *r, int64_t outputs, double d_x, double magnitude)
{
    return bpi_stored_bound(r, d_x, bpi_product_sum_bound(r, outputs, magnitude));
}

static inline double bpi_linear_weight_grad_bound(const bpi_roundoff *r, int64_t rows, bool accumulate,
                                                  double magnitude)
{
    return bpi_product_sum_bound(r, rows + accumulate, magnitude);
}

/* ---- activation ---- */

/* The largest |f'|: what an error of z can at most become. SiLU's is at z = 2.3994, GELU's at sqrt 2, both forms. */
static inline double bpi_activation_steepness(bp_activation activation, float slope)
{
    switch (activation) {
    case BP_ACTIVATION_SIGMOID:
        return 0.25;
    case BP_ACTIVATION_LEAKY_RELU:
        return fmax(1.0, fabs((double)slope));
    case BP_ACTIVATION_SILU:
        return 1.09984;
    case BP_ACTIVATION_GELU:
        return 1.12891;
    case BP_ACTIVATION_GELU_TANH:
        return 1.12906;
    default:
        return 1.0;
    }
}

/* How many roundoffs of the argument the value feels beyond those of its own operations: e^(-x^2) and e^v multiply a
 * relative error of x and of v by 2 x^2 and by |v|. x = z / sqrt 2 takes 2 roundings, v = 2 sqrt(2/pi) (z + c z^3) 8.
 */
static inline double bpi_activation_condition(bp_activation activation, double z)
{
    if (activation == BP_ACTIVATION_GELU)
        return 2.0 * z * z;
    double v = bpi_bound_gelu_tanh_argument_of(z);
    return activation == BP_ACTIVATION_GELU_TANH ? 8.0 * fabs(v) * bpi_bound_sigmoid_of(-v) : 0.0;
}

/* f64: libm's functions are within 8 roundoffs, and no formula takes more than 8 operations besides. */
#define BPI_F64_ROUNDOFFS 16.0

static inline double bpi_activation_bound_f64(bp_activation activation, double value, double z)
{
    if (activation == BP_ACTIVATION_IDENTITY || activation == BP_ACTIVATION_RELU)
        return 0.0;
    double condition = fabs(value) > 0.0 ? bpi_activation_condition(activation, z) : 0.0;
    return (BPI_F64_ROUNDOFFS + condition) * 0x1p-53 * fabs(value) + 4.0 * (1.0 + fabs(z)) * 0x1p-1074;
}

static inline double bpi_activation_bound_f32(bp_activation activation, float slope, double z)
{
    switch (activation) {
    case BP_ACTIVATION_SIGMOID:
        return bpi_sigmoid_bound(z);
    case BP_ACTIVATION_TANH:
        return bpi_tanh_bound(z);
    case BP_ACTIVATION_LEAKY_RELU:
        return bpi_leaky_relu_bound(z, (double)slope);
    case BP_ACTIVATION_ELU:
        return bpi_elu_bound(z);
    case BP_ACTIVATION_SOFTPLUS:
        return bpi_softplus_bound(z);
    case BP_ACTIVATION_SILU:
        return bpi_silu_bound(z);
    case BP_ACTIVATION_GELU:
        return bpi_gelu_bound(z);
    case BP_ACTIVATION_GELU_TANH:
        return bpi_gelu_tanh_bound(z);
    default:
        return 0.0;
    }
}

/* Of a = f(z), `value`, for a z that is off by at most z_bound. The activation's own bound is of the size of |f| and of
 * |z|, at most 2^-14 times them, and is taken at the exact z: the last factor makes up for that. */
static inline double bpi_activation_forward_bound(const bpi_roundoff *r, bp_activation activation, float slope,
                                                  double z, double z_bound, double value)
{
    double own = r->sum < 0x1p-24 ? bpi_activation_bound_f64(activation, value, z)
                                  : bpi_activation_bound_f32(activation, slope, z);
    double inherited = bpi_activation_steepness(activation, slope) * z_bound * (1.0 + 0x1p-13);
    return bpi_stored_bound(r, value, own + inherited);
}

/* Of f'(z) from what was saved, taken as exact; `value` is f'. From a = f(z) it takes a few roundings; from z, in f32,
 * what kernels/math derives, and in f64 the roundoffs of its terms and of the exponentials' arguments. */
static inline double bpi_derivative_own_bound(const bpi_roundoff *r, bp_activation activation, double saved,
                                              double value)
{
    bool f64 = r->sum < 0x1p-24;
    switch (activation) {
    case BP_ACTIVATION_SIGMOID:
    case BP_ACTIVATION_TANH: /* 1 - a is rounded, or 1 - a^2 is, by a fused operation; a product or two */
        return 3.0 * r->sum * fabs(value) + r->quantum;
    case BP_ACTIVATION_ELU:
        return saved > 0.0 ? 0.0 : r->sum * fabs(value);
    case BP_ACTIVATION_SOFTPLUS:
        return (f64 ? BPI_F64_ROUNDOFFS : BPI_EXPM1_ROUNDOFFS) * r->sum * fabs(value) + r->quantum;
    case BP_ACTIVATION_SILU:
        return f64 ? BPI_F64_ROUNDOFFS * r->sum * (1.0 + fabs(saved)) * bpi_bound_sigmoid_of(saved)
                   : bpi_silu_grad_bound(saved);
    case BP_ACTIVATION_GELU:
        return f64 ? (BPI_F64_ROUNDOFFS + 2.0 * saved * saved) * r->sum *
                         (bpi_bound_normal_tail_of(-saved) + fabs(saved) * exp(-0.5 * saved * saved))
                   : bpi_gelu_grad_bound(saved);
    case BP_ACTIVATION_GELU_TANH: {
        double v = bpi_bound_gelu_tanh_argument_of(saved);
        double terms = bpi_bound_sigmoid_of(v) * (1.0 + (3.0 * fabs(v) + fabs(saved)) * bpi_bound_sigmoid_of(-v));
        return f64 ? (BPI_F64_ROUNDOFFS + 8.0 * fmin(fabs(v), 800.0)) * r->sum * terms
                   : bpi_gelu_tanh_grad_bound(saved);
    }
    default:
        return 0.0;
    }
}

static inline double bpi_activation_derivative_bound(const bpi_roundoff *r, bp_activation activation, double saved,
                                                     double value)
{
    return bpi_stored_bound(r, value, bpi_derivative_own_bound(r, activation, saved, value));
}

/* Of delta = d_a f', `derivative` the exact f'. */
static inline double bpi_activation_backward_bound(const bpi_roundoff *r, bp_activation activation, double saved,
                                                   double d_a, double derivative)
{
    double from_f = fabs(d_a) * bpi_derivative_own_bound(r, activation, saved, derivative);
    double delta = d_a * derivative;
    return bpi_stored_bound(r, delta, from_f + r->sum * (fabs(delta) + from_f) + r->quantum);
}

static inline double bpi_hadamard_bound(const bpi_roundoff *r, double product)
{
    return bpi_stored_bound(r, product, r->sum * fabs(product) + r->quantum);
}

/* Of a sum over rows; magnitude sum_b |delta| (+ |old d_b|). errors: the sum of what each delta was off by already. */
static inline double bpi_bias_grad_bound(const bpi_roundoff *r, int64_t rows, bool accumulate, double magnitude,
                                         double errors)
{
    double gamma = bpi_gamma(r->sum, rows + accumulate);
    return gamma * magnitude + (1.0 + gamma) * errors;
}

/* ---- load: (value - mean) inv_std, after value = byte / divisor where the source holds bytes ---- */

static inline double bpi_load_bound(const bpi_roundoff *r, bool bytes, double value, double mean, double inv_std)
{
    double of_value = bytes ? r->sum * fabs(value) : 0.0;
    double distance = fabs(value - mean);
    double bound = inv_std * (of_value + r->sum * (distance + of_value)) * (1.0 + r->sum) + r->sum * inv_std * distance;
    return bpi_stored_bound(r, inv_std * distance, bound + 2.0 * r->quantum);
}

#endif
