/* block_norm.c: batch norm and layer norm: the same over groups, which are the rows of a column or the columns of a
 * row.
 *
 * Sums in two passes over a group: the mean, then what deviates from it. The gradient by the chain rule as in Ioffe and
 * Szegedy (2015), one intermediate after the other, and not in the closed form that the fast backends use. Contract:
 * bpi_block_spec in kernels/ops.h. */
#include "kernels/reference/block.h"

#include <assert.h>
#include <math.h>

/* Element k of a group stands at first[k * stride]. */
typedef struct group {
    double *first;
    int64_t stride, members;
} group;

static group group_of(bp_norm norm, bpi_matrix matrix, int64_t index)
{
    if (norm == BP_NORM_BATCH)
        return (group){(double *)matrix.data + index, matrix.ld, matrix.rows};
    return (group){bpi_reference_row(matrix, index), 1, matrix.cols};
}

static int64_t group_count(bp_norm norm, bpi_matrix matrix)
{
    return norm == BP_NORM_BATCH ? matrix.cols : matrix.rows;
}

static double mean_of(group u)
{
    double sum = 0.0;
    for (int64_t k = 0; k < u.members; ++k)
        sum += u.first[k * u.stride];
    return sum / (double)u.members;
}

static double squares_around(group u, double mean)
{
    double sum = 0.0;
    for (int64_t k = 0; k < u.members; ++k) {
        double distance = u.first[k * u.stride] - mean;
        sum += distance * distance;
    }
    return sum;
}

/* The running variance takes the unbiased one. */
static void move_running(const bpi_block_args *args, int64_t o, double mean, double squares)
{
    double momentum = args->spec.norm_momentum, unbiased = squares / (double)(args->u.rows - 1);
    double *running_mean = args->running_mean, *running_var = args->running_var;
    if (running_mean)
        running_mean[o] = (1.0 - momentum) * running_mean[o] + momentum * mean;
    if (running_var)
        running_var[o] = (1.0 - momentum) * running_var[o] + momentum * unbiased;
}

void bpi_reference_norm_statistics(const bpi_block_args *args)
{
    const bpi_block_spec *spec = &args->spec;
    double *mean = args->mean, *inv_std = args->inv_std;
    bool batch = spec->norm == BP_NORM_BATCH;
    assert(mean && inv_std && (!batch || !args->training || args->u.rows >= 2));
    for (int64_t g = 0; g < group_count(spec->norm, args->u); ++g) {
        if (batch && !args->training) {
            mean[g] = ((const double *)args->running_mean)[g];
            inv_std[g] = 1.0 / sqrt(((const double *)args->running_var)[g] + spec->norm_epsilon);
            continue;
        }
        group u = group_of(spec->norm, args->u, g);
        mean[g] = mean_of(u);
        double squares = squares_around(u, mean[g]);
        inv_std[g] = 1.0 / sqrt(squares / (double)u.members + spec->norm_epsilon);
        if (batch)
            move_running(args, g, mean[g], squares);
    }
}

double bpi_reference_norm(const bpi_block_spec *spec, double u, const double *gamma, const double *beta,
                          const double *mean, const double *inv_std, int64_t b, int64_t o)
{
    if (spec->norm == BP_NORM_NONE)
        return u;
    int64_t g = spec->norm == BP_NORM_BATCH ? o : b;
    return gamma[o] * ((u - mean[g]) * inv_std[g]) + beta[o];
}

/* d_gamma[o] = sum_b d_y xhat */
static void gamma_grad(const bpi_block_grad_args *args)
{
    const double *mean = args->mean, *inv_std = args->inv_std;
    double *d_gamma = args->d_gamma;
    bool batch = args->spec.norm == BP_NORM_BATCH;
    for (int64_t o = 0; o < args->u.cols; ++o) {
        double sum = 0.0;
        for (int64_t b = 0; b < args->u.rows; ++b) {
            int64_t g = batch ? o : b;
            double xhat = (bpi_reference_row(args->u, b)[o] - mean[g]) * inv_std[g];
            sum += bpi_reference_row(args->delta, b)[o] * xhat;
        }
        d_gamma[o] = args->accumulate ? d_gamma[o] + sum : sum;
    }
}

/* One group: xhat = c s with c = u - mean and s = (mean c^2 + epsilon)^(-1/2). d holds dL/dxhat and becomes dL/du. */
static void group_backward(group u, group d, double mean, double s)
{
    double n = (double)u.members;
    double d_s = 0.0;
    for (int64_t k = 0; k < u.members; ++k)
        d_s += d.first[k * d.stride] * (u.first[k * u.stride] - mean);
    double d_var = -0.5 * s * s * s * d_s;
    double d_mean = 0.0; /* c moves against the mean */
    for (int64_t k = 0; k < u.members; ++k) {
        double *d_c = &d.first[k * d.stride];
        *d_c = *d_c * s + d_var * 2.0 * (u.first[k * u.stride] - mean) / n;
        d_mean -= *d_c;
    }
    for (int64_t k = 0; k < u.members; ++k)
        d.first[k * d.stride] += d_mean / n;
}

void bpi_reference_norm_backward(bpi_backend *backend, const bpi_block_grad_args *args)
{
    const double *gamma = args->gamma, *mean = args->mean, *inv_std = args->inv_std;
    bpi_matrix delta = args->delta;
    assert(gamma && mean && inv_std && args->d_gamma && args->d_beta);
    gamma_grad(args);
    bpi_reference_bias_grad(backend, delta, args->accumulate, args->d_beta);
    for (int64_t b = 0; b < delta.rows; ++b)
        for (int64_t o = 0; o < delta.cols; ++o)
            bpi_reference_row(delta, b)[o] *= gamma[o];
    for (int64_t g = 0; g < group_count(args->spec.norm, delta); ++g)
        group_backward(group_of(args->spec.norm, args->u, g), group_of(args->spec.norm, delta, g), mean[g], inv_std[g]);
}
