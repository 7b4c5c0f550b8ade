/* block_exact_backward.c: block_backward in long double, the gradient of the norms in closed form, and the bounds of
 * it. */
#include "support/block_exact.h"
#include "support/exact.h"
#include "support/linear.h"

/* dL/dy of element k, its error, and what goes to the skip. */
typedef struct output_error {
    long double d_out, d_y;
    double e_d_out, e_d_y;
} output_error;

static output_error error_at(const bpi_roundoff *r, const bpt_block *block, const bpt_block_inputs *in,
                             const bpt_block_forward *saved, const bpt_normalised *n, int64_t k)
{
    bp_activation f = block->spec.activation;
    double factor = bpt_block_factor(block, k / block->cols, k % block->cols);
    double p = (double)block->spec.dropout;
    output_error e = {.d_out = (long double)in->d_out[k]};
    if (block->d_out_skip) {
        e.d_out += (long double)in->d_out_skip[k];
        e.e_d_out = bpi_addition_bound(r, (double)e.d_out, 0.0);
    }
    bool from_y = bpi_activation_saves_z(f);
    long double argument = from_y ? n->y[k] : (long double)saved->a[k];
    long double slope = bpt_exact_derivative(f, block->spec.slope, argument);
    double e_slope = bpi_block_derivative_bound(r, f, (double)argument, from_y ? bpt_y_bound(r, block, in, n, k) : 0.0,
                                                (double)slope);
    long double d_a = e.d_out * bpt_exact_factor(block, k);
    double e_d_a = bpi_dropout_bound(r, p, factor, (double)e.d_out, e.e_d_out);
    e.d_y = d_a * slope;
    e.e_d_y = bpi_block_product_bound(r, (double)d_a, e_d_a, (double)slope, e_slope);
    return e;
}

typedef struct grads {
    const bpi_roundoff *r;
    const bpt_block *block;
    const bpt_block_inputs *in;
    const bpt_normalised *n;
    const output_error *errors;
    bpt_block_backward *want, *bound;
} grads;

static double old_of(const bpt_block *block, const double *before, int64_t o)
{
    return block->accumulate ? before[o] : 0.0;
}

/* d_gamma and d_beta of one column. */
static void norm_parameters(const grads *g, int64_t o)
{
    const bpt_block *block = g->block;
    bpi_norm_sums sums = {0};
    long double d_beta = (long double)old_of(block, g->in->d_beta, o);
    long double d_gamma = (long double)old_of(block, g->in->d_gamma, o);
    for (int64_t b = 0; b < block->rows; ++b) {
        int64_t k = b * block->cols + o;
        bpi_norm_sums_add(&sums, (double)g->errors[k].d_y, g->errors[k].e_d_y, (double)g->n->xhat[k],
                          bpt_xhat_bound(g->r, block, g->in, g->n, k));
        d_beta += g->errors[k].d_y;
        d_gamma += g->errors[k].d_y * g->n->xhat[k];
    }
    double old_beta = fabs(old_of(block, g->in->d_beta, o)), old_gamma = fabs(old_of(block, g->in->d_gamma, o));
    g->want->d_beta[o] = (double)d_beta, g->want->d_gamma[o] = (double)d_gamma;
    g->bound->d_beta[o] =
        bpt_allow(bpi_bias_grad_bound(g->r, block->rows, block->accumulate, sums.g_magnitude + old_beta, sums.e_g),
                  (double)d_beta);
    g->bound->d_gamma[o] =
        bpt_allow(bpi_norm_product_sum_bound(g->r, &sums, block->accumulate, old_gamma), (double)d_gamma);
}

/* dL/dxhat of element k, and its error. */
static long double scaled(const grads *g, int64_t k, double *error)
{
    double gamma = g->in->gamma[k % g->block->cols];
    *error = bpi_block_product_bound(g->r, (double)g->errors[k].d_y, g->errors[k].e_d_y, gamma, 0.0);
    return g->errors[k].d_y * (long double)gamma;
}

static void group_delta(const grads *g, int64_t group)
{
    const bpt_block *block = g->block;
    int64_t members = bpt_block_members(block);
    bool batch = block->spec.norm == BP_NORM_BATCH;
    bpi_norm_sums sums = {0};
    long double first = 0.0L, second = 0.0L;
    for (int64_t j = 0; j < members; ++j) {
        int64_t k = batch ? j * block->cols + group : group * block->cols + j;
        double error;
        long double d = scaled(g, k, &error);
        bpi_norm_sums_add(&sums, (double)d, error, (double)g->n->xhat[k], bpt_xhat_bound(g->r, block, g->in, g->n, k));
        first += d / (long double)members;
        second += d * g->n->xhat[k] / (long double)members;
    }
    for (int64_t j = 0; j < members; ++j) {
        int64_t k = batch ? j * block->cols + group : group * block->cols + j;
        double error;
        long double d = scaled(g, k, &error), xhat = g->n->xhat[k];
        double value = (double)(g->n->inv_std[group] * (d - first - xhat * second));
        g->want->delta[k] = value;
        double limit = bpi_norm_grad_bound(g->r, &sums, (double)d, error, (double)xhat,
                                           bpt_xhat_bound(g->r, block, g->in, g->n, k), (double)g->n->inv_std[group],
                                           g->n->e_inv_std[group]);
        g->bound->delta[k] = bpt_allow(limit, value);
    }
}

static void bias_and_skip(const grads *g)
{
    const bpt_block *block = g->block;
    int64_t cols = block->cols;
    double *magnitude = bpt_doubles(cols), *errors = bpt_doubles(cols);
    long double *sum = bpt_long_doubles(cols);
    for (int64_t k = 0; k < block->rows * cols; ++k) {
        double added = block->d_skip_added ? g->in->d_skip[k] : 0.0;
        g->want->d_skip[k] = (double)(g->errors[k].d_out + (long double)added);
        double limit = g->errors[k].e_d_out;
        if (block->d_skip_added)
            limit = bpi_addition_bound(g->r, g->want->d_skip[k], limit);
        g->bound->d_skip[k] = bpt_allow(bpi_stored_bound(g->r, g->want->d_skip[k], limit), g->want->d_skip[k]);
        sum[k % cols] += (long double)g->want->delta[k];
        magnitude[k % cols] += fabs(g->want->delta[k]);
        errors[k % cols] += g->bound->delta[k];
    }
    for (int64_t o = 0; o < cols; ++o) {
        double old = old_of(block, g->in->d_b, o);
        g->want->d_b[o] = (double)(sum[o] + (long double)old);
        g->bound->d_b[o] =
            bpt_allow(bpi_bias_grad_bound(g->r, block->rows, block->accumulate, magnitude[o] + fabs(old), errors[o]),
                      g->want->d_b[o]);
    }
}

static bpt_block_backward gradient_arrays(const bpt_block *block)
{
    int64_t count = block->rows * block->cols, cols = block->cols;
    return (bpt_block_backward){bpt_doubles(count), bpt_doubles(count), bpt_doubles(cols), bpt_doubles(cols),
                                bpt_doubles(cols)};
}

bpt_block_backward bpt_block_exact_backward(const bpi_roundoff *r, bpi_type type, const bpt_block *block,
                                            const bpt_block_inputs *in, const bpt_block_forward *saved,
                                            bpt_block_backward *bound)
{
    double once = type == BPI_TYPE_F64 ? 0x1p-53 : type == BPI_TYPE_F32 ? 0x1p-24 : 0x1p-8;
    int64_t count = block->rows * block->cols, groups = bpt_block_groups(block);
    bpt_normalised n = bpt_normalise(block, in);
    for (int64_t g = 0; g < groups; ++g) {
        n.e_mean[g] = once * fabs((double)n.mean[g]);
        n.e_inv_std[g] = once;
    }
    output_error *errors = (output_error *)bpt_long_doubles(count * (int64_t)(sizeof *errors / sizeof(long double)));
    for (int64_t k = 0; k < count; ++k)
        errors[k] = error_at(r, block, in, saved, &n, k);
    bpt_block_backward want = gradient_arrays(block), limits = gradient_arrays(block);
    grads g = {r, block, in, &n, errors, &want, &limits};
    for (int64_t k = 0; k < count && groups == 0; ++k) {
        want.delta[k] = (double)errors[k].d_y;
        limits.delta[k] = bpt_allow(bpi_stored_bound(r, want.delta[k], errors[k].e_d_y), want.delta[k]);
    }
    for (int64_t o = 0; o < block->cols && groups > 0; ++o)
        norm_parameters(&g, o);
    for (int64_t group = 0; group < groups; ++group)
        group_delta(&g, group);
    bias_and_skip(&g);
    *bound = limits;
    return want;
}
