/* block_exact.c: block_forward in long double, straight from the definitions; and beside each value how far a backend
 * may be off, by kernels/bounds_block.h. */
#include "support/block_exact.h"
#include "support/exact.h"

int64_t bpt_block_group_at(const bpt_block *block, int64_t k)
{
    return block->spec.norm == BP_NORM_BATCH ? k % block->cols : k / block->cols;
}

int64_t bpt_block_members(const bpt_block *block)
{
    return block->spec.norm == BP_NORM_BATCH ? block->rows : block->cols;
}

static bool takes_running(const bpt_block *block)
{
    return block->evaluation && block->spec.norm == BP_NORM_BATCH;
}

static void measure(const bpt_block *block, const bpt_block_inputs *in, bpt_normalised *n)
{
    int64_t count = block->rows * block->cols, groups = bpt_block_groups(block);
    long double members = (long double)bpt_block_members(block);
    for (int64_t k = 0; k < count; ++k) {
        n->mean[bpt_block_group_at(block, k)] += (long double)in->u[k] / members;
        n->magnitude[bpt_block_group_at(block, k)] += fabs(in->u[k]) / (double)members;
    }
    for (int64_t k = 0; k < count; ++k) {
        long double distance = (long double)in->u[k] - n->mean[bpt_block_group_at(block, k)];
        n->variance[bpt_block_group_at(block, k)] += distance * distance / members;
    }
    for (int64_t g = 0; g < groups && takes_running(block); ++g) {
        n->mean[g] = (long double)in->running_mean[g];
        n->variance[g] = (long double)in->running_var[g];
    }
}

bpt_normalised bpt_normalise(const bpt_block *block, const bpt_block_inputs *in)
{
    int64_t count = block->rows * block->cols, groups = bpt_block_groups(block);
    bpt_normalised n = {.y = bpt_long_doubles(count)};
    if (groups == 0) {
        for (int64_t k = 0; k < count; ++k)
            n.y[k] = (long double)in->u[k];
        return n;
    }
    n.mean = bpt_long_doubles(groups), n.variance = bpt_long_doubles(groups), n.inv_std = bpt_long_doubles(groups);
    n.xhat = bpt_long_doubles(count), n.magnitude = bpt_doubles(groups);
    n.e_mean = bpt_doubles(groups), n.e_variance = bpt_doubles(groups), n.e_inv_std = bpt_doubles(groups);
    measure(block, in, &n);
    for (int64_t g = 0; g < groups; ++g)
        n.inv_std[g] = 1.0L / sqrtl(n.variance[g] + (long double)block->spec.norm_epsilon);
    for (int64_t k = 0; k < count; ++k) {
        int64_t g = bpt_block_group_at(block, k), o = k % block->cols;
        n.xhat[k] = ((long double)in->u[k] - n.mean[g]) * n.inv_std[g];
        n.y[k] = (long double)in->gamma[o] * n.xhat[k] + (long double)in->beta[o];
    }
    return n;
}

double bpt_xhat_bound(const bpi_roundoff *r, const bpt_block *block, const bpt_block_inputs *in,
                      const bpt_normalised *n, int64_t k)
{
    int64_t g = bpt_block_group_at(block, k);
    return bpi_norm_xhat_bound(r, in->u[k], (double)n->mean[g], n->e_mean[g], (double)n->inv_std[g], n->e_inv_std[g]);
}

double bpt_y_bound(const bpi_roundoff *r, const bpt_block *block, const bpt_block_inputs *in, const bpt_normalised *n,
                   int64_t k)
{
    if (!n->xhat)
        return 0.0;
    int64_t o = k % block->cols;
    return bpi_norm_output_bound(r, in->gamma[o], in->beta[o], (double)n->xhat[k], bpt_xhat_bound(r, block, in, n, k));
}

long double bpt_exact_factor(const bpt_block *block, int64_t k)
{
    double factor = bpt_block_factor(block, k / block->cols, k % block->cols);
    return factor == 0.0 || factor == 1.0 ? (long double)factor : 1.0L / (1.0L - (long double)block->spec.dropout);
}

/* ---------------------------------------------------------------- forward */

static void statistics_bounds(const bpi_roundoff *r, const bpt_block *block, const bpt_normalised *n)
{
    int64_t members = bpt_block_members(block);
    for (int64_t g = 0; g < bpt_block_groups(block); ++g) {
        double variance = (double)n->variance[g];
        if (!takes_running(block)) {
            n->e_mean[g] = bpi_norm_mean_bound(r, members, n->magnitude[g]);
            n->e_variance[g] = bpi_norm_variance_bound(r, members, variance, n->e_mean[g]);
        }
        n->e_inv_std[g] = bpi_norm_inv_std_bound(r, variance, block->spec.norm_epsilon, n->e_variance[g]);
    }
}

static void exact_statistics(const bpi_roundoff *r, const bpt_block *block, const bpt_block_inputs *in,
                             const bpt_normalised *n, bpt_block_forward *want, bpt_block_forward *bound)
{
    int64_t groups = bpt_block_groups(block);
    bool moves = block->spec.norm == BP_NORM_BATCH && !block->evaluation && !block->keeps_running;
    double m = block->spec.norm_momentum, unbiased = (double)block->rows / fmax(1.0, (double)block->rows - 1.0);
    for (int64_t g = 0; g < groups; ++g) {
        double mean = (double)n->mean[g], inv_std = (double)n->inv_std[g];
        want->mean[g] = mean, bound->mean[g] = bpt_allow(n->e_mean[g], mean);
        want->inv_std[g] = inv_std, bound->inv_std[g] = bpt_allow(n->e_inv_std[g] * inv_std, inv_std);
    }
    for (int64_t o = 0; o < block->cols; ++o) {
        double mean = in->running_mean[o], var = in->running_var[o];
        want->running_mean[o] = mean, want->running_var[o] = var;
        if (!moves)
            continue; /* bounds of 0: untouched */
        long double now = n->variance[o] * (long double)block->rows / (long double)(block->rows - 1);
        double e_now = unbiased * n->e_variance[o] + 2.0 * r->sum * (double)now;
        long double keep = 1.0L - (long double)m;
        want->running_mean[o] = (double)(keep * (long double)mean + (long double)m * n->mean[o]);
        want->running_var[o] = (double)(keep * (long double)var + (long double)m * now);
        bound->running_mean[o] =
            bpt_allow(bpi_norm_running_bound(r, m, mean, (double)n->mean[o], n->e_mean[o]), want->running_mean[o]);
        bound->running_var[o] = bpt_allow(bpi_norm_running_bound(r, m, var, (double)now, e_now), want->running_var[o]);
    }
}

static bpt_block_forward arrays_of(const bpt_block *block)
{
    int64_t count = block->rows * block->cols, groups = bpt_block_groups(block) + 1;
    return (bpt_block_forward){bpt_doubles(groups),      bpt_doubles(groups), bpt_doubles(block->cols),
                               bpt_doubles(block->cols), bpt_doubles(count),  bpt_doubles(count)};
}

bpt_block_forward bpt_block_exact_forward(const bpi_roundoff *r, const bpt_block *block, const bpt_block_inputs *in,
                                          bpt_block_forward *bound)
{
    bpt_normalised n = bpt_normalise(block, in);
    bpt_block_forward want = arrays_of(block), limits = arrays_of(block);
    bpi_roundoff output = bpi_roundoff_wide(*r, block->wide);
    statistics_bounds(r, block, &n);
    exact_statistics(r, block, in, &n, &want, &limits);
    for (int64_t k = 0; k < block->rows * block->cols; ++k) {
        bp_activation f = block->spec.activation;
        double factor = bpt_block_factor(block, k / block->cols, k % block->cols);
        long double a = bpt_exact_activation(f, block->spec.slope, n.y[k]);
        want.a[k] = (double)a;
        want.out[k] = (double)(a * bpt_exact_factor(block, k) + (block->skip ? (long double)in->skip[k] : 0.0L));
        double e_a = bpi_activation_forward_bound(&output, f, block->spec.slope, (double)n.y[k],
                                                  bpt_y_bound(r, block, in, &n, k), want.a[k]);
        double e_out = bpi_dropout_bound(r, factor == 1.0 ? 0.0 : (double)block->spec.dropout, factor, want.a[k], e_a);
        if (block->skip)
            e_out = bpi_addition_bound(r, want.out[k], e_out);
        limits.a[k] = bpt_allow(e_a, want.a[k]);
        limits.out[k] = bpt_allow(bpi_stored_bound(&output, want.out[k], e_out), want.out[k]);
    }
    if (bound)
        *bound = limits;
    return want;
}

long double bpt_block_exact_objective(const bpt_block *block, const bpt_block_inputs *in)
{
    bpt_normalised n = bpt_normalise(block, in);
    long double sum = 0.0L;
    for (int64_t k = 0; k < block->rows * block->cols; ++k) {
        long double a = bpt_exact_activation(block->spec.activation, block->spec.slope, n.y[k]);
        long double d_out = (long double)in->d_out[k] + (block->d_out_skip ? (long double)in->d_out_skip[k] : 0.0L);
        sum += d_out * (a * bpt_exact_factor(block, k) + (block->skip ? (long double)in->skip[k] : 0.0L));
    }
    return sum;
}
