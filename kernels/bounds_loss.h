/* bounds_loss.h: bounds of the loss's error and value, see bounds.h. Values are per element or row, unscaled; the scale
 * is applied by bpi_loss_scaled_bound. Derivations: docs/numerics.md. */
#ifndef BPI_BOUNDS_LOSS_H
#define BPI_BOUNDS_LOSS_H

#include "kernels/bounds.h"

/* An exponential's roundoffs in this precision, and a logarithm's. */
static inline double bpi_bound_exp_roundoffs(const bpi_roundoff *r)
{
    return r->sum < 0x1p-24 ? 4.0 : BPI_EXP_ROUNDOFFS;
}

static inline double bpi_bound_log_roundoffs(const bpi_roundoff *r)
{
    return r->sum < 0x1p-24 ? 4.0 : BPI_LOG1P_ROUNDOFFS;
}

/* What scale * error is off by: the scale is rounded to the type of the sums, and so is the product. */
static inline double bpi_loss_scaled_bound(const bpi_roundoff *r, double scale, double error, double bound)
{
    double scaled = scale * (bound + 2.0 * r->sum * (1.0 + r->sum) * (fabs(error) + bound)) + 2.0 * r->quantum;
    return bpi_stored_bound(r, scale * error, scaled);
}

/* The value is summed over elements and rows, in the type of the sums at the least. */
static inline double bpi_loss_sum_bound(const bpi_roundoff *r, int64_t terms, double magnitude, double errors)
{
    double gamma = bpi_gamma(r->sum, terms + 2);
    return gamma * magnitude + (1.0 + gamma) * errors;
}

/* ---- element-wise losses ---- */

typedef struct bpi_loss_bound {
    double value, error;
} bpi_loss_bound;

/* error sigmoid(z) - t; value max(z, 0) - z t + log1p(e^-|z|), whose terms may cancel. */
static inline bpi_loss_bound bpi_bce_bound(const bpi_roundoff *r, double z, double target)
{
    double u = r->sum;
    double s = bpi_bound_sigmoid_of(z);
    double rest = log1p(exp(-fabs(z)));
    double terms = fabs(z) + fabs(z * target) + rest;
    bpi_loss_bound bound;
    bound.error = u * ((bpi_bound_exp_roundoffs(r) + 6.0) * s * fmax(1.0, fabs(target)) + 2.0 * fabs(s - target)) +
                  4.0 * r->quantum;
    bound.value =
        u * (4.0 * terms + (bpi_bound_exp_roundoffs(r) + bpi_bound_log_roundoffs(r)) * rest) * (1.0 + 8.0 * u);
    bound.value += 4.0 * r->quantum;
    return bound;
}

/* With d = z - t rounded once: error c d, value c d^2 / 2. */
static inline bpi_loss_bound bpi_squared_error_bound(const bpi_roundoff *r, double value, double error)
{
    double u = r->sum;
    bpi_loss_bound bound = {5.0 * u * (1.0 + 8.0 * u) * fabs(value) + r->quantum, 2.0 * u * fabs(error) + r->quantum};
    return bound;
}

/* Where |d| is rounded across the limit the other branch is taken: value and error are continuous there, so that it
 * costs no more than the rounding of d. */
static inline bpi_loss_bound bpi_huber_bound(const bpi_roundoff *r, double distance, double limit)
{
    double u = r->sum;
    double slope = fmin(fabs(distance), limit);
    bpi_loss_bound bound;
    bound.error = 2.0 * u * slope + r->quantum;
    bound.value = 6.0 * u * (1.0 + 8.0 * u) * slope * (fabs(distance) + 0.5 * slope) + r->quantum;
    return bound;
}

/* ---- softmax cross-entropy, a row at a time ---- */

typedef struct bpi_softmax_row {
    double largest, log_total; /* log sum_o e^(z_o - largest) */
    double spread;             /* sum_o p_o (largest - z_o): what rounding z_o - largest does to the total */
    double target_sum, target_magnitude;
} bpi_softmax_row;

static inline bpi_softmax_row bpi_softmax_row_of(const double *z, const double *target, int64_t outputs)
{
    bpi_softmax_row row = {z[0], 0.0, 0.0, 0.0, 0.0};
    for (int64_t o = 1; o < outputs; ++o)
        row.largest = fmax(row.largest, z[o]);
    double total = 0.0;
    for (int64_t o = 0; o < outputs; ++o) {
        double distance = row.largest - z[o];
        total += exp(-distance);
        row.spread += exp(-distance) * distance;
        row.target_sum += target[o];
        row.target_magnitude += fabs(target[o]);
    }
    row.log_total = log(total);
    row.spread /= total;
    return row;
}

/* Relative roundoffs of the total: of each exponent's argument, of the exponentials, of the sum. */
static inline double bpi_softmax_total_roundoffs(const bpi_roundoff *r, const bpi_softmax_row *row, int64_t outputs)
{
    return row->spread + bpi_bound_exp_roundoffs(r) + (double)outputs;
}

/* Of p sum(t') - t', for the smoothed target t'. Smoothing takes 4 roundings, sum(t') one more for each term. */
static inline double bpi_softmax_error_bound(const bpi_roundoff *r, const bpi_softmax_row *row, int64_t outputs,
                                             double z, double target)
{
    double distance = row->largest - z;
    double p = exp(-distance - row->log_total);
    double of_p = distance + bpi_bound_exp_roundoffs(r) + bpi_softmax_total_roundoffs(r, row, outputs) + 3.0;
    double of_sum = (double)outputs + 4.0;
    double roundoffs = p * (of_p * fabs(row->target_sum) + of_sum * row->target_magnitude) + 4.0 * fabs(target) +
                       fabs(p * row->target_sum - target);
    return r->sum * roundoffs * (1.0 + 0x1p-8) + 4.0 * r->quantum;
}

/* Of sum_o t' (log_total + largest - z_o), also where the sum over o is taken apart: keep * l_class + eps * mean. */
static inline double bpi_softmax_value_bound(const bpi_roundoff *r, const bpi_softmax_row *row, int64_t outputs,
                                             const double *z, const double *target)
{
    double of_total = bpi_softmax_total_roundoffs(r, row, outputs);
    double roundoffs = 0.0;
    for (int64_t o = 0; o < outputs; ++o) {
        double distance = row->largest - z[o];
        double of_log = of_total + (bpi_bound_log_roundoffs(r) + 1.0) * row->log_total;
        double of_term = ((double)outputs + 8.0) * (row->log_total + distance);
        roundoffs += fabs(target[o]) * (of_log + distance + of_term);
    }
    return r->sum * roundoffs * (1.0 + 0x1p-8) + 4.0 * r->quantum;
}

#endif
