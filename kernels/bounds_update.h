/* bounds_update.h: bounds of one step of an optimiser, see bounds.h: how far an element may be after it, with the state
 * before it taken as exact. A running error analysis beside the formulas of docs/numerics.md. */
#ifndef BPI_BOUNDS_UPDATE_H
#define BPI_BOUNDS_UPDATE_H

#include "kernels/bounds.h"
#include "kernels/ops.h"

/* The relative error of grad_norm and of what is made of it: sums of squares are kept in f64 on every backend. */
static inline double bpi_grad_norm_bound(int64_t count, double norm)
{
    return ((double)count + 8.0) * 0x1p-53 * norm;
}

/* An element before the step, and the exact step (in double) that bounds are wanted for. */
typedef struct bpi_update_element {
    double parameter, state1, state2; /* before */
    double gradient;                  /* after both clippings */
    double next_state1, next_state2;  /* after */
} bpi_update_element;

typedef struct bpi_update_bound {
    double parameter, state1, state2;
} bpi_update_bound;

/* The smallest number that is not a denormal: a first moment or momentum buffer below it is taken as 0. */
static inline double bpi_smallest_normal(const bpi_roundoff *r)
{
    return 0.5 * r->quantum / r->sum;
}

/* g (clipped: the factor and the product are rounded) + weight_decay p, 2 roundings each. */
static inline double bpi_update_direction_magnitude(const bpi_hyper *hyper, const bpi_update_element *e)
{
    return fabs(e->gradient) + fabs(hyper->weight_decay * e->parameter);
}

static inline bpi_update_bound bpi_sgd_bound(const bpi_roundoff *r, const bpi_hyper *hyper, const bpi_step_state *state,
                                             const bpi_update_element *e)
{
    double u = r->sum * (1.0 + 0x1p-8), lr = fabs(state->lr);
    double direction = bpi_update_direction_magnitude(hyper, e);
    double buffer = fabs(hyper->momentum * e->state1) + direction;
    double moved = hyper->momentum > 0.0 ? buffer : direction;
    if (hyper->nesterov)
        moved = direction + hyper->momentum * buffer;
    bpi_update_bound bound = {0.0, 0.0, 0.0};
    bound.state1 = 6.0 * u * buffer + 4.0 * r->quantum + bpi_smallest_normal(r);
    bound.parameter = u * (fabs(e->parameter) + 12.0 * lr * moved) + 8.0 * r->quantum +
                      (hyper->momentum > 0.0 ? 2.0 * lr * bpi_smallest_normal(r) : 0.0);
    return bound;
}

/* Moments: beta m + (1 - beta) g, each factor rounded once, in either form. Where g and weight decay cancel, the second
 * moment's error is no longer small against itself: hence the smaller of the two bounds of its root's error. */
static inline bpi_update_bound bpi_adam_bound(const bpi_roundoff *r, const bpi_hyper *hyper,
                                              const bpi_step_state *state, const bpi_update_element *e)
{
    double u = r->sum * (1.0 + 0x1p-8);
    bool decoupled = hyper->optimizer == BP_OPTIMIZER_ADAMW;
    double g = decoupled ? fabs(e->gradient) : bpi_update_direction_magnitude(hyper, e);
    bpi_update_bound bound;
    bound.state1 = 8.0 * u * (fabs(e->state1) + (1.0 - hyper->beta1) * (g + fabs(e->state1))) + 8.0 * r->quantum +
                   bpi_smallest_normal(r);
    bound.state2 = 12.0 * u * (e->state2 + (1.0 - hyper->beta2) * (g * g + e->state2)) + 8.0 * r->quantum;

    double correction = sqrt(state->bias_correction2);
    double root = sqrt(e->next_state2);
    double root_bound = root > 0.0 ? fmin(bound.state2 / root, sqrt(bound.state2)) : sqrt(bound.state2);
    double denominator = root / correction + hyper->epsilon;
    double denominator_bound = root_bound / correction + 4.0 * u * denominator;
    double lowest = fmax(denominator - denominator_bound, 0.5 * hyper->epsilon);
    double factor = fabs(state->lr) / state->bias_correction1;
    double moved = factor * fabs(e->next_state1) / denominator;
    double moved_bound = factor * bound.state1 / lowest + moved * (denominator_bound / lowest + 6.0 * u);
    double decay = decoupled ? fabs(state->lr * hyper->weight_decay * e->parameter) : 0.0;
    bound.parameter = moved_bound + u * (2.0 * fabs(e->parameter) + 4.0 * decay + moved) + 8.0 * r->quantum;
    return bound;
}

static inline bpi_update_bound bpi_update_bound_of(const bpi_roundoff *r, const bpi_hyper *hyper,
                                                   const bpi_step_state *state, const bpi_update_element *e)
{
    return hyper->optimizer == BP_OPTIMIZER_SGD ? bpi_sgd_bound(r, hyper, state, e)
                                                : bpi_adam_bound(r, hyper, state, e);
}

/* The moving average after the step, from a parameter that is off by `parameter_bound`: the weight, the difference and
 * the sum are rounded. */
static inline double bpi_average_bound(const bpi_roundoff *r, double weight, double average, double value,
                                       double parameter_bound)
{
    double u = r->sum * (1.0 + 0x1p-8);
    return weight * parameter_bound + 4.0 * u * (fabs(average) + fabs(value)) + 4.0 * r->quantum;
}

#endif
