/* observe.c: what an observed step is looked at for, one element at a time. The contract: kernels/ops.h. */
#include "kernels/reference/reference.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static bool is_off(bp_activation activation, double a)
{
    switch (activation) {
    case BP_ACTIVATION_RELU:
        return a == 0.0;
    case BP_ACTIVATION_SIGMOID:
        return a < 1.0 / 64.0 || a > 63.0 / 64.0;
    case BP_ACTIVATION_TANH:
        return fabs(a) > 31.0 / 32.0;
    default:
        assert(!"observe_units knows relu, sigmoid and tanh");
        return false;
    }
}

bp_status bpi_reference_observe_units(bpi_backend *backend, bp_activation activation, bpi_matrix a, bool wide,
                                      bool accumulate, int64_t *counts)
{
    (void)backend, (void)wide;
    for (int64_t o = 0; o < a.cols; ++o) {
        int64_t count = accumulate ? counts[o] : 0;
        for (int64_t b = 0; b < a.rows; ++b)
            count += is_off(activation, bpi_reference_row(a, b)[o]);
        counts[o] = count;
    }
    return BP_STATUS_OK;
}

/* A copy of the parameters, for the difference. */
size_t bpi_reference_observe_scratch_bytes(bpi_backend *backend, int64_t count, int64_t tensors)
{
    (void)backend, (void)tensors;
    return (size_t)count * sizeof(double);
}

static bpi_tensor_sums sums_of_gradient(const double *gradients, int64_t count)
{
    bpi_tensor_sums sums = {0};
    for (int64_t k = 0; k < count; ++k) {
        double g = gradients[k];
        if (!isfinite(g)) {
            sums.nonfinite += 1;
            continue;
        }
        sums.square_sum += g * g;
        sums.sum += g;
        sums.largest = fmax(sums.largest, fabs(g));
        sums.zeros += g == 0.0;
    }
    return sums;
}

bp_status bpi_reference_observe_gradients(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients,
                                          int64_t count, bpi_step_state *state, const bpi_observe_args *args)
{
    for (int64_t t = 0; t < args->tensors; ++t)
        args->sums[t] = sums_of_gradient((const double *)gradients + args->ranges[t].offset, args->ranges[t].count);
    return bpi_reference_update_prepare(backend, hyper, gradients, count, state);
}

bp_status bpi_reference_observe_update(bpi_backend *backend, const bpi_update_args *update,
                                       const bpi_observe_args *args)
{
    const double *after = update->parameters;
    double *before = args->scratch;
    memcpy(before, after, (size_t)update->count * sizeof *before);
    BPI_TRY(bpi_reference_update(backend, update));
    for (int64_t t = 0; t < args->tensors; ++t) {
        const bpi_observed_range *range = &args->ranges[t];
        double weights = 0.0, moves = 0.0;
        for (int64_t k = range->offset; k < range->offset + range->count; ++k) {
            double move = after[k] - before[k];
            weights += before[k] * before[k];
            moves += move * move;
        }
        args->sums[t].weight_square_sum = weights;
        args->sums[t].move_square_sum = moves;
    }
    return BP_STATUS_OK;
}
