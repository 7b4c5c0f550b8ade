/* error_block.c: errors of norm, dropout and skip. See error_bound.c.
 *
 * Batch norm and layer norm are the same over groups: the rows of a column, the columns of a row. In a group of M
 * members, to first order,
 *   d xhat_k  = inv_std (d u_k - mean(d u)) - xhat_k d(inv_std^-1) inv_std,
 *   d inv_std = -inv_std / 2 * d var / (var + epsilon)
 *   delta_k   = inv_std (g_k - S1 / M - xhat_k S2 / M),  g = dL/d xhat, S1 = sum g, S2 = sum g xhat. */
#include "host/error_follow.h"
#include "kernels/bounds_block.h"
#include "kernels/math/philox.h"

/* ---------------------------------------------------------------- groups */

typedef struct groups {
    int64_t count, members;
    bool columns; /* batch norm */
    int64_t width;
} groups;

static groups groups_of(const bpi_follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    bool columns = layer->block.norm == BP_NORM_BATCH;
    return (groups){columns ? layer->outputs : f->rows, columns ? f->rows : layer->outputs, columns, f->width};
}

static int64_t row_of(const groups *g, int64_t group, int64_t member)
{
    return g->columns ? member : group;
}

static int64_t column_of(const groups *g, int64_t group, int64_t member)
{
    return g->columns ? group : member;
}

static int64_t place_of(const groups *g, int64_t group, int64_t member)
{
    return row_of(g, group, member) * g->width + column_of(g, group, member);
}

static const double *vector_of(const bpi_follower *f, int64_t tensor)
{
    return bpi_tensor_at(f->model, f->model->parameters, tensor);
}

/* ---------------------------------------------------------------- norm, forward */

typedef struct statistics {
    double mean, e_mean, var, e_var;
} statistics;

static statistics measure(const bpi_follower *f, const bpi_followed_layer *own, const groups *g, int64_t group)
{
    double members = (double)g->members, magnitude = 0.0, square = 0.0;
    statistics s = {0.0, 0.0, 0.0, 0.0};
    for (int64_t k = 0; k < g->members; k++) {
        int64_t at = place_of(g, group, k);
        s.mean += own->z[at] / members;
        magnitude += fabs(own->z[at]) / members;
        square += own->e_z[at] * own->e_z[at] / (members * members);
    }
    s.e_mean = hypot(bpi_sum_scale(&f->r, g->members + 1, magnitude), sqrt(square));
    square = 0.0;
    for (int64_t k = 0; k < g->members; k++) {
        int64_t at = place_of(g, group, k);
        double c = own->z[at] - s.mean, moved = 2.0 * c / members * own->e_z[at];
        s.var += c * c / members;
        square += moved * moved;
    }
    /* The mean's error enters the variance in second order alone. */
    double second = BPI_ERROR_MULTIPLE * s.e_mean * s.e_mean;
    s.e_var = hypot(bpi_sum_scale(&f->r, g->members + 3, s.var), sqrt(square)) + second;
    return s;
}

static statistics statistics_of(const bpi_follower *f, int64_t index, const groups *g, int64_t group)
{
    const bpi_layer *layer = &f->model->layers[index];
    if (g->columns && f->evaluates)
        return (statistics){vector_of(f, layer->running_mean)[group], 0.0, vector_of(f, layer->running_var)[group],
                            0.0};
    return measure(f, &f->layers[index], g, group);
}

static double *running_bound(const bpi_follower *f, int64_t tensor)
{
    return f->bounds->running + (f->model->tensors[tensor].offset - f->model->parameter_count);
}

/* Of the running values after the batch, whose variance is the unbiased one: one rounding more. */
static void follow_running(bpi_follower *f, int64_t index, int64_t o, int64_t members, const statistics *s)
{
    const bpi_layer *layer = &f->model->layers[index];
    double momentum = bpi_block_spec_of(layer).norm_momentum, correction = (double)members / (double)(members - 1);
    double e_mean = BPI_ERROR_MULTIPLE * s->e_mean;
    double e_var = correction * (BPI_ERROR_MULTIPLE * s->e_var + f->r.sum * s->var);
    running_bound(f, layer->running_mean)[o] =
        bpi_norm_running_bound(&f->r, momentum, vector_of(f, layer->running_mean)[o], s->mean, e_mean);
    running_bound(f, layer->running_var)[o] =
        bpi_norm_running_bound(&f->r, momentum, vector_of(f, layer->running_var)[o], correction * s->var, e_var);
}

void bpi_follow_norm(bpi_follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    bpi_followed_layer *own = &f->layers[index];
    const double *gamma = vector_of(f, layer->gamma), *beta = vector_of(f, layer->beta);
    groups g = groups_of(f, index);
    double epsilon = bpi_block_spec_of(layer).norm_epsilon, u = f->r.sum;
    for (int64_t group = 0; group < g.count; group++) {
        statistics s = statistics_of(f, index, &g, group);
        if (g.columns && !f->evaluates)
            follow_running(f, index, group, g.members, &s);
        double inv_std = 1.0 / sqrt(s.var + epsilon);
        double relative = hypot(0.5 * s.e_var / (s.var + epsilon), 3.0 * u);
        own->inv_std[group] = inv_std;
        own->e_inv_std[group] = relative;
        for (int64_t k = 0; k < g.members; k++) {
            int64_t at = place_of(&g, group, k), o = column_of(&g, group, k);
            double value = own->z[at], xhat = (value - s.mean) * inv_std;
            /* A backend may fold the mean into a shift: then u and the mean are rounded each, and not their difference.
             */
            double rounding = 3.0 * u * (fabs(value) + fabs(s.mean)) * inv_std;
            double moved = inv_std * hypot(own->e_z[at], s.e_mean);
            own->xhat[at] = xhat;
            own->e_xhat[at] = hypot(hypot(moved, xhat * relative), rounding);
            own->z[at] = gamma[o] * xhat + beta[o];
            double last = 2.0 * u * (fabs(gamma[o] * xhat) + fabs(beta[o])) + f->r.quantum;
            own->e_z[at] = hypot(gamma[o] * own->e_xhat[at], last);
        }
    }
}

/* ---------------------------------------------------------------- dropout and skip, forward */

/* 1 / (1 - p) where the element is kept, else 0: bpi_block_spec in kernels/ops.h. */
static double dropout_factor(const bpi_follower *f, int64_t index, int64_t b, int64_t o)
{
    const bpi_layer *layer = &f->model->layers[index];
    double p = (double)layer->block.dropout;
    if (!(p > 0.0) || f->evaluates)
        return 1.0;
    bpi_dropout_key key = bpi_dropout_key_of(f->pass, index);
    uint64_t stream = (uint64_t)key.state->step << 16 | key.layer;
    uint64_t block = (uint64_t)(key.first_row + b) * (uint64_t)((layer->outputs + 3) / 4) + (uint64_t)(o / 4);
    uint32_t word = bpi_philox(key.seed, stream, block).word[o % 4];
    return word >= (uint32_t)(p * 0x1p32) ? 1.0 / (1.0 - p) : 0.0;
}

void bpi_follow_output(bpi_follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_pass_layer *kept = &f->pass->layers[index];
    const bpi_followed_layer *own = &f->layers[index];
    bool skips = layer->skip_source >= 0;
    bpi_roundoff r = bpi_layer_roundoff(f, index);
    const double *e_skip = NULL;
    int64_t ld;
    if (skips)
        bpi_followed_inputs(f, layer->skip_source, &ld, &e_skip);
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t o = 0; o < layer->outputs; o++) {
            int64_t at = b * f->width + o;
            double factor = dropout_factor(f, index, b, o);
            double a = ((const double *)kept->a)[b * kept->ld + o], out = ((const double *)kept->out)[b * kept->ld + o];
            double rounding = r.sum * (2.0 * fabs(factor * a) + fabs(out)) + r.quantum;
            double inherited = hypot(factor * own->e_a[at], skips ? e_skip[at] : 0.0);
            own->e_out[at] = hypot(rounding + bpi_stored_bound(&r, out, 0.0), inherited);
        }
}

/* ---------------------------------------------------------------- backward */

/* dL/d out with what skips add to it, handed on to this layer's own skip; then dL/dy, into d_a and e_delta. */
static void follow_to_argument(bpi_follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_pass_layer *kept = &f->pass->layers[index];
    bpi_followed_layer *own = &f->layers[index];
    bpi_followed_layer *source = layer->skip_source > 0 ? &f->layers[layer->skip_source - 1] : NULL;
    bool source_begun = source && f->pass->layers[layer->skip_source - 1].skip_grad_begun;
    double u = f->r.sum;
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t o = 0; o < layer->outputs; o++) {
            int64_t at = b * f->width + o, in = b * kept->ld + o;
            double *value = &f->d_a[in], *e = &f->e_delta[index & 1][at];
            if (kept->skip_grad_begun) {
                *value += ((const double *)kept->skip_grad)[in];
                *e = hypot(hypot(*e, own->e_skip[at]), u * fabs(*value) + f->r.quantum);
            }
            if (source) {
                double added = source_begun ? hypot(source->e_skip[at], *e) : *e, old = 0.0;
                if (source_begun)
                    old = ((const double *)f->pass->layers[layer->skip_source - 1].skip_grad)[in];
                source->e_skip[at] = hypot(added, bpi_stored_bound(&f->r, old + *value, 0.0));
            }
            double factor = dropout_factor(f, index, b, o), slope = f->slope_of[in];
            double e_slope = bpi_follow_derivative(f, index, b, o, slope), d_a = factor * *value;
            double moved = hypot(d_a * e_slope, (fabs(slope) + BPI_ERROR_MULTIPLE * e_slope) * factor * *e);
            *value = d_a * slope;
            double rounded = 4.0 * u * (fabs(*value) + BPI_ERROR_MULTIPLE * moved) + f->r.quantum;
            if (layer->block.norm == BP_NORM_NONE) /* it is the error term then, and stored; else only added up */
                rounded = bpi_stored_bound(&f->r, *value, rounded);
            *e = hypot(moved, rounded);
        }
}

/* Of d_gamma and d_beta, from dL/dy. */
static void follow_norm_grads(bpi_follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_followed_layer *own = &f->layers[index];
    const double *e_delta = f->e_delta[index & 1];
    int64_t ld = f->pass->layers[index].ld;
    for (int64_t o = 0; o < layer->outputs; o++) {
        double sum = 0.0, square = 0.0, product_sum = 0.0, product_square = 0.0;
        for (int64_t b = 0; b < f->rows; b++) {
            int64_t at = b * f->width + o;
            double d = f->d_a[b * ld + o], e = e_delta[at], xhat = own->xhat[at], e_xhat = own->e_xhat[at];
            double larger = fabs(xhat) + BPI_ERROR_MULTIPLE * e_xhat;
            sum += fabs(d) + BPI_ERROR_MULTIPLE * e;
            square += e * e;
            product_sum += (fabs(d) + BPI_ERROR_MULTIPLE * e) * larger;
            product_square += e * larger * e * larger + d * e_xhat * d * e_xhat;
        }
        double *gradients = f->bounds->gradients;
        gradients[f->model->tensors[layer->beta].offset + o] =
            BPI_ERROR_MULTIPLE * hypot(bpi_sum_scale(&f->r, f->rows, sum), sqrt(square));
        gradients[f->model->tensors[layer->gamma].offset + o] =
            BPI_ERROR_MULTIPLE * hypot(bpi_sum_scale(&f->r, f->rows + 1, product_sum), sqrt(product_square));
    }
}

typedef struct sums {
    double first, e_first, second, e_second; /* S1 / M and S2 / M */
} sums;

static sums add_up(const bpi_follower *f, int64_t index, const groups *g, int64_t group, const double *gamma)
{
    const bpi_followed_layer *own = &f->layers[index];
    int64_t ld = f->pass->layers[index].ld;
    double magnitude[2] = {0.0, 0.0}, square[2] = {0.0, 0.0}, members = (double)g->members;
    sums s = {0.0, 0.0, 0.0, 0.0};
    for (int64_t k = 0; k < g->members; k++) {
        int64_t at = place_of(g, group, k), b = row_of(g, group, k), o = column_of(g, group, k);
        double d = gamma[o] * f->d_a[b * ld + o], e = gamma[o] * f->e_delta[index & 1][at];
        double xhat = own->xhat[at], moved = hypot(e * xhat, d * own->e_xhat[at]);
        s.first += d / members;
        s.second += d * xhat / members;
        magnitude[0] += fabs(d) / members;
        magnitude[1] += fabs(d * xhat) / members;
        square[0] += e * e;
        square[1] += moved * moved;
    }
    s.e_first = hypot(bpi_sum_scale(&f->r, g->members + 2, magnitude[0]), sqrt(square[0]) / members);
    s.e_second = hypot(bpi_sum_scale(&f->r, g->members + 3, magnitude[1]), sqrt(square[1]) / members);
    return s;
}

/* From dL/dy to the error term dL/du. */
static void follow_norm_delta(bpi_follower *f, int64_t index)
{
    const bpi_followed_layer *own = &f->layers[index];
    const double *gamma = vector_of(f, f->model->layers[index].gamma);
    int64_t ld = f->pass->layers[index].ld;
    groups g = groups_of(f, index);
    for (int64_t group = 0; group < g.count; group++) {
        sums s = add_up(f, index, &g, group, gamma);
        for (int64_t k = 0; k < g.members; k++) {
            int64_t at = place_of(&g, group, k), b = row_of(&g, group, k), o = column_of(&g, group, k);
            double *e = &f->e_delta[index & 1][at];
            double d = gamma[o] * f->d_a[b * ld + o], xhat = own->xhat[at];
            double terms = fabs(d) + fabs(s.first) + fabs(xhat * s.second);
            double inside =
                hypot(hypot(gamma[o] * *e, s.e_first), hypot(xhat * s.e_second, s.second * own->e_xhat[at]));
            double delta = own->inv_std[group] * (d - s.first - xhat * s.second);
            double outside = hypot(delta * own->e_inv_std[group], 5.0 * f->r.sum * terms * own->inv_std[group]);
            *e = hypot(own->inv_std[group] * inside, outside + bpi_stored_bound(&f->r, delta, f->r.quantum));
        }
    }
}

void bpi_follow_block_delta(bpi_follower *f, int64_t index)
{
    follow_to_argument(f, index);
    if (f->model->layers[index].block.norm == BP_NORM_NONE)
        return;
    follow_norm_grads(f, index);
    follow_norm_delta(f, index);
}
