/* error_bound_loss.c: what the loss makes of the errors of the network's output, one row at a time. */
#include <math.h>

#include "host/error_bound.h"
#include "kernels/bounds_loss.h"

static double largest(const double *values, int64_t count)
{
    double most = 0.0;
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, values[i]);
    return most;
}

/* dl/dz_k = p_k T - t'_k, T = sum(t'). To first order p_k moves by p_k (e_k - sum_j p_j e_j), the value by
 * sum_k dl/dz_k e_k. Where every z is off by at most E, p_k is off by a factor within e^(+-2E): that is the second
 * order of both. */
static void softmax_row(const bpi_roundoff *r, double smoothing, int64_t outputs, bpi_loss_row *row)
{
    for (int64_t o = 0; o < outputs; o++)
        row->smoothed[o] = (1.0 - smoothing) * row->target[o] + smoothing / (double)outputs;
    bpi_softmax_row sums = bpi_softmax_row_of(row->z, row->smoothed, outputs);
    double beyond = exp(2.0 * BPI_ERROR_MULTIPLE * largest(row->z_scale, outputs));
    double mean_square = 0.0, value_square = 0.0;
    row->value = 0.0;
    for (int64_t o = 0; o < outputs; o++) {
        double p = exp(row->z[o] - sums.largest - sums.log_total);
        row->error[o] = p * sums.target_sum - row->smoothed[o];
        row->error_scale[o] = p; /* for the loop below */
        mean_square += p * p * row->z_scale[o] * row->z_scale[o];
        value_square += row->error[o] * row->error[o] * row->z_scale[o] * row->z_scale[o];
        row->value += row->smoothed[o] * (sums.log_total + sums.largest - row->z[o]);
    }
    for (int64_t o = 0; o < outputs; o++) {
        double p = row->error_scale[o];
        double moved = p * fabs(sums.target_sum) * sqrt(mean_square + row->z_scale[o] * row->z_scale[o]);
        double own = bpi_softmax_error_bound(r, &sums, outputs, row->z[o], row->smoothed[o]);
        row->error_scale[o] = beyond * hypot(own, moved);
    }
    row->value_scale = beyond * hypot(bpi_softmax_value_bound(r, &sums, outputs, row->z, row->smoothed),
                                      sqrt(value_square) + mean_square * fabs(sums.target_sum));
}

/* One element of a loss that is a sum over elements: value, error dl/dz, how much they are off by for an exact z, and
 * how fast the error moves with z. */
typedef struct element {
    double value, error;
    bpi_loss_bound own;
    double curvature;
} element;

static element element_of(const bpi_roundoff *r, const bpi_loss_args *args, double z, double target)
{
    double d = z - target, limit = (double)args->huber_delta;
    switch (args->loss) {
    case BP_LOSS_BCE_WITH_LOGITS:
        return (element){fmax(z, 0.0) - z * target + log1p(exp(-fabs(z))), bpi_bound_sigmoid_of(z) - target,
                         bpi_bce_bound(r, z, target), 0.25};
    case BP_LOSS_MSE:
        return (element){d * d, 2.0 * d, bpi_squared_error_bound(r, d * d, 2.0 * d), 2.0};
    case BP_LOSS_HALF_MSE:
        return (element){0.5 * d * d, d, bpi_squared_error_bound(r, 0.5 * d * d, d), 1.0};
    default: {
        double slope = fmin(fabs(d), limit);
        return (element){slope * (fabs(d) - 0.5 * slope), copysign(slope, d), bpi_huber_bound(r, d, limit), 1.0};
    }
    }
}

void bpi_loss_row_follow(const bpi_roundoff *r, const bpi_loss_args *args, bpi_loss_row *row)
{
    int64_t outputs = args->z.cols;
    if (args->loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY) {
        softmax_row(r, (double)args->label_smoothing, outputs, row);
        return;
    }
    double magnitude = 0.0, own = 0.0, square = 0.0;
    row->value = 0.0;
    for (int64_t o = 0; o < outputs; o++) {
        element e = element_of(r, args, row->z[o], row->target[o]);
        double scale = row->z_scale[o], moved = e.curvature * scale;
        /* The own bounds grow with the size of z - t, which may be off by K times the scale itself. */
        double off = BPI_ERROR_MULTIPLE * scale;
        double grown = 1.0 + off / (fabs(row->z[o] - row->target[o]) + off + r->quantum);
        row->error[o] = e.error;
        row->error_scale[o] = hypot(e.own.error * grown, moved);
        row->value += e.value;
        magnitude += fabs(e.value);
        own += e.own.value * grown;
        double value_moved = (fabs(e.error) + 0.5 * BPI_ERROR_MULTIPLE * moved) * scale;
        square += value_moved * value_moved;
    }
    row->value_scale = hypot(bpi_loss_sum_bound(r, outputs, magnitude, own), sqrt(square));
}
