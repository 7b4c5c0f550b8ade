/* update.c: gradient norm and clipping, and the optimisers by PyTorch's definitions, one element at a time.
 * The contract: kernels/ops.h; the formulas: docs/numerics.md. */
#include "kernels/reference/reference.h"

#include <assert.h>
#include <math.h>

bp_status bpi_reference_step_begin(bpi_backend *backend, bpi_step_state *state, const bpi_running *running)
{
    (void)backend;
    state->loss_sum = 0.0;
    state->correct = 0;
    state->passes = running ? running->passes : 0;
    for (int64_t k = 0; running && k < running->count; ++k)
        ((double *)running->moved)[k] = ((const double *)running->kept)[k];
    return BP_STATUS_OK;
}

/* Clamped to +-clip_value where that is on; NaN stays. */
static double clamped(const bpi_hyper *hyper, double gradient)
{
    double limit = hyper->clip_value;
    if (limit > 0.0 && gradient > limit)
        return limit;
    if (limit > 0.0 && gradient < -limit)
        return -limit;
    return gradient;
}

/* Divided by the largest element, so that squares of finite gradients never overflow or vanish. */
static double norm_of(const bpi_hyper *hyper, const double *gradients, int64_t count)
{
    double largest = 0.0;
    for (int64_t k = 0; k < count; ++k)
        largest = fmax(largest, fabs(clamped(hyper, gradients[k])));
    double unit = largest > 0.0 && isfinite(largest) ? largest : 1.0;
    double sum = 0.0;
    for (int64_t k = 0; k < count; ++k) {
        double ratio = clamped(hyper, gradients[k]) / unit;
        sum += ratio * ratio;
    }
    return unit * sqrt(sum);
}

/* Of the gradients as they came: clipping by value would hide an infinity. */
static bool holds_nonfinite(const double *gradients, int64_t count)
{
    for (int64_t k = 0; k < count; ++k)
        if (!isfinite(gradients[k]))
            return true;
    return false;
}

bp_status bpi_reference_update_prepare(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients,
                                       int64_t count, bpi_step_state *state)
{
    (void)backend;
    assert(hyper && gradients && state);
    if (hyper->on_nonfinite == BPI_NONFINITE_HOLD && state->nonfinite) {
        state->held += 1;
        return BP_STATUS_OK;
    }
    bool adaptive = hyper->optimizer != BP_OPTIMIZER_SGD;
    double next = (double)(state->step + 1);
    state->grad_norm = norm_of(hyper, gradients, count);
    state->nonfinite = hyper->on_nonfinite != BPI_NONFINITE_APPLY && holds_nonfinite(gradients, count);
    double factor = hyper->clip_norm / (state->grad_norm + 1e-6);
    state->clip_factor = hyper->clip_norm > 0.0 && factor < 1.0 ? factor : 1.0;
    state->lr = bpi_reference_learning_rate(hyper, state->step);
    state->bias_correction1 = adaptive ? 1.0 - pow(hyper->beta1, next) : 1.0;
    state->bias_correction2 = adaptive ? 1.0 - pow(hyper->beta2, next) : 1.0;
    if (!state->nonfinite) {
        state->step += 1;
        state->batches += state->passes;
    }
    return BP_STATUS_OK;
}

/* torch.optim.SGD. Its buffer starts as the first gradient; ours starts as 0, which comes to the same. */
static void sgd(const bpi_hyper *hyper, const bpi_step_state *state, double weight_decay, double gradient,
                double *parameter, double *buffer)
{
    double direction = gradient + weight_decay * *parameter;
    if (buffer) {
        *buffer = hyper->momentum * *buffer + direction;
        direction = hyper->nesterov ? direction + hyper->momentum * *buffer : *buffer;
    }
    *parameter -= state->lr * direction;
}

/* torch.optim.Adam and AdamW: weight decay is part of the gradient in the one, shrinks the parameter in the other. */
static void adam(const bpi_hyper *hyper, const bpi_step_state *state, double weight_decay, double gradient,
                 double *parameter, double *moment1, double *moment2)
{
    if (hyper->optimizer == BP_OPTIMIZER_ADAMW)
        *parameter -= state->lr * weight_decay * *parameter;
    else
        gradient += weight_decay * *parameter;
    *moment1 = hyper->beta1 * *moment1 + (1.0 - hyper->beta1) * gradient;
    *moment2 = hyper->beta2 * *moment2 + (1.0 - hyper->beta2) * gradient * gradient;
    double root = sqrt(*moment2) / sqrt(state->bias_correction2);
    *parameter -= state->lr / state->bias_correction1 * *moment1 / (root + hyper->epsilon);
}

/* A decay that grows with the steps, as tf.train.ExponentialMovingAverage has it with num_updates. */
static double average_decay(const bpi_update_args *args)
{
    double step = (double)args->state->step;
    return step > 1.0 ? fmin(args->hyper->average_decay, (1.0 + step) / (10.0 + step)) : 0.0;
}

static void average(const bpi_update_args *args)
{
    double decay = average_decay(args);
    const double *values = args->parameters;
    double *averages = args->average;
    for (int64_t k = 0; k < args->whole; ++k)
        averages[k] = decay * averages[k] + (1.0 - decay) * values[k];
}

bp_status bpi_reference_update(bpi_backend *backend, const bpi_update_args *args)
{
    (void)backend;
    const bpi_hyper *hyper = args->hyper;
    const bpi_step_state *state = args->state;
    double *parameters = args->parameters, *state1 = args->state1, *state2 = args->state2;
    if (state->nonfinite)
        return BP_STATUS_OK;
    for (int64_t k = 0; k < args->count; ++k) {
        double gradient = state->clip_factor * clamped(hyper, ((const double *)args->gradients)[k]);
        double weight_decay = k < args->decayed ? hyper->weight_decay : 0.0;
        if (hyper->optimizer == BP_OPTIMIZER_SGD)
            sgd(hyper, state, weight_decay, gradient, &parameters[k], state1 ? &state1[k] : NULL);
        else
            adam(hyper, state, weight_decay, gradient, &parameters[k], &state1[k], &state2[k]);
    }
    for (int64_t k = args->count; args->running && k < args->whole; ++k)
        parameters[k] = ((const double *)args->running)[k - args->count];
    if (args->average)
        average(args);
    return BP_STATUS_OK;
}
