/* bounds_block.h: the bounds of block_forward and block_backward; what bounds.h is for the other operations.
 *
 * A group is what a norm is taken over: the rows of a column (batch norm) or the columns of a row (layer norm), n
 * members. An error e_t is always a limit of |t as computed - t|; e_inv_std is relative. Derivations: docs/numerics.md,
 * block_forward and block_backward. */
#ifndef BPI_BOUNDS_BLOCK_H
#define BPI_BOUNDS_BLOCK_H

#include "kernels/bounds.h"

/* ---- statistics of a group; magnitude: the mean of |u| ---- */

/* n - 1 additions and the division, or 1/n rounded and a product. */
static inline double bpi_norm_mean_bound(const bpi_roundoff *r, int64_t n, double magnitude)
{
    return bpi_gamma(r->sum, n + 2) * magnitude + 2.0 * r->quantum;
}

/* Around a mean that is off by t the squares are larger by n t^2 in all, and nothing else: the distances sum to 0. The
 * distance counts twice, its square, n - 1 additions, the division as above. */
static inline double bpi_norm_variance_bound(const bpi_roundoff *r, int64_t n, double variance, double e_mean)
{
    double shift = e_mean * e_mean;
    return bpi_gamma(r->sum, n + 4) * (variance + shift) + shift + 2.0 * r->quantum;
}

/* Relative, of 1 / sqrt(variance + epsilon): epsilon and the sum are rounded, then root and quotient. */
static inline double bpi_norm_inv_std_bound(const bpi_roundoff *r, double variance, double epsilon, double e_variance)
{
    double inherited = e_variance / (variance + epsilon) + 2.0 * r->sum;
    return inherited < 1.0 ? (1.0 + 3.0 * r->sum) / sqrt(1.0 - inherited) - 1.0 : (double)INFINITY;
}

/* Of running = (1 - m) old + m value, or old + m (value - old): m rounded, and three operations. */
static inline double bpi_norm_running_bound(const bpi_roundoff *r, double momentum, double old, double value,
                                            double e_value)
{
    double terms = fabs(old) + momentum * (fabs(value) + e_value);
    return momentum * e_value + bpi_gamma(r->sum, 4) * terms + 2.0 * r->quantum;
}

/* ---- forward ---- */

/* Of xhat = (u - mean) inv_std. A backend may fold the mean into the shift, gamma inv_std u + (beta - gamma inv_std
 * mean): then it is u and the mean that are rounded, three times each, and not their distance. */
static inline double bpi_norm_xhat_bound(const bpi_roundoff *r, double u, double mean, double e_mean, double inv_std,
                                         double e_inv_std)
{
    double rounding = 3.0 * r->sum * (fabs(u) + fabs(mean) + e_mean);
    double xhat = (u - mean) * inv_std;
    return fabs(xhat) * e_inv_std + inv_std * (1.0 + e_inv_std) * (e_mean + rounding) + r->quantum;
}

/* Of y = gamma xhat + beta. */
static inline double bpi_norm_output_bound(const bpi_roundoff *r, double gamma, double beta, double xhat, double e_xhat)
{
    double inherited = fabs(gamma) * e_xhat;
    return inherited + 2.0 * r->sum * (fabs(gamma * xhat) + inherited + fabs(beta)) + r->quantum;
}

/* Of value * factor, factor 1 / (1 - p): the difference, the quotient, the product. A dropped value is 0, exactly. */
static inline double bpi_dropout_bound(const bpi_roundoff *r, double p, double factor, double value, double e_value)
{
    if (!(p > 0.0) || factor == 0.0)
        return factor * e_value;
    return factor * (e_value + bpi_gamma(r->sum, 3) * (fabs(value) + e_value)) + r->quantum;
}

/* Of a sum of two, each off already, by `inherited` together. */
static inline double bpi_addition_bound(const bpi_roundoff *r, double sum, double inherited)
{
    return inherited + r->sum * (fabs(sum) + inherited);
}

/* ---- backward ---- */

/* The largest |f''| of the activations whose derivative is taken from an argument that is computed again: SiLU 1/2 and
 * GELU 2 phi(0) = 0.798, both forms, all of them at 0. */
static inline double bpi_block_curvature(bp_activation activation)
{
    switch (activation) {
    case BP_ACTIVATION_SILU:
        return 0.5;
    case BP_ACTIVATION_GELU:
    case BP_ACTIVATION_GELU_TANH:
        return 0.8;
    default:
        return 0.0;
    }
}

/* Of f'; saved: a as given, or y, which is off by e_saved. f's own bound is taken at the exact y: the factor. */
static inline double bpi_block_derivative_bound(const bpi_roundoff *r, bp_activation activation, double saved,
                                                double e_saved, double derivative)
{
    double own = bpi_derivative_own_bound(r, activation, saved, derivative) * (1.0 + 0x1p-10);
    return own + bpi_block_curvature(activation) * e_saved;
}

/* Of a product of two that are off already. */
static inline double bpi_block_product_bound(const bpi_roundoff *r, double left, double e_left, double right,
                                             double e_right)
{
    double product = left * right;
    double inherited = fabs(left) * e_right + e_left * (fabs(right) + e_right);
    return inherited + r->sum * (fabs(product) + inherited) + r->quantum;
}

/* Sums over a group, or over the rows for d_gamma. g is dL/dxhat; t = g xhat. */
typedef struct bpi_norm_sums {
    int64_t n;
    double g, g_magnitude, e_g; /* sum of g, of |g|, of e_g */
    double t, t_magnitude, e_t; /* the same of t */
    double xhat_magnitude, e_xhat;
} bpi_norm_sums;

static inline void bpi_norm_sums_add(bpi_norm_sums *sums, double g, double e_g, double xhat, double e_xhat)
{
    sums->n += 1;
    sums->g += g;
    sums->g_magnitude += fabs(g);
    sums->e_g += e_g;
    sums->t += g * xhat;
    sums->t_magnitude += fabs(g * xhat);
    sums->e_t += fabs(g) * e_xhat + e_g * (fabs(xhat) + e_xhat);
    sums->xhat_magnitude += fabs(xhat);
    sums->e_xhat += e_xhat;
}

/* Of sum t: the product, the sum, and inv_std, which a backend may multiply with afterwards; three roundings more than
 * the sum has. old: |d_gamma| before, 0 unless it accumulates. */
static inline double bpi_norm_product_sum_bound(const bpi_roundoff *r, const bpi_norm_sums *sums, bool accumulate,
                                                double old)
{
    double gamma = bpi_gamma(r->sum, sums->n + 3 + accumulate);
    return gamma * (sums->t_magnitude + old) + (1.0 + gamma) * sums->e_t + (double)sums->n * r->quantum;
}

/* Of delta = inv_std (g - S1 / n - xhat S2 / n), S1 = sum g, S2 = sum g xhat. The mean of xhat is 0: a backend that
 * subtracts it times S2 / n, as the chain rule does, subtracts what rounding left of it, which is in here too. No path
 * to one of the three terms has more than eight roundings beside those of the sums. */
static inline double bpi_norm_grad_bound(const bpi_roundoff *r, const bpi_norm_sums *sums, double g, double e_g,
                                         double xhat, double e_xhat, double inv_std, double e_inv_std)
{
    double n = (double)sums->n, u = r->sum;
    double of_sum = bpi_gamma(u, sums->n) * sums->g_magnitude + (1.0 + bpi_gamma(u, sums->n)) * sums->e_g;
    double of_products = bpi_norm_product_sum_bound(r, sums, false, 0.0);
    double xhats = fabs(xhat) + sums->xhat_magnitude / n, e_xhats = e_xhat + sums->e_xhat / n;
    double inherited = e_g + (of_sum + xhats * of_products + e_xhats * (fabs(sums->t) + of_products)) / n;
    double terms = fabs(g) + fabs(sums->g) / n + fabs(xhat * sums->t) / n;
    double of_mean = bpi_gamma(u, sums->n + 8) * sums->xhat_magnitude / n * fabs(sums->t) / n;
    double inside = g - sums->g / n - xhat * sums->t / n;
    double e_inside = inherited + bpi_gamma(u, 8) * terms + of_mean;
    double last = e_inv_std + 2.0 * u;
    double bound = inv_std * (e_inside * (1.0 + last) + last * fabs(inside)) + 4.0 * r->quantum;
    return bpi_stored_bound(r, inv_std * inside, bound);
}

#endif
