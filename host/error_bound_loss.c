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

/* dl/dz = p sum(t') - t'. If every z is off by at most E, the factor by which p_k is off lies between e^-(e_k + E) and
 * e^(e_k + E). The value's gradient is dl/dz, and its second derivative along a direction of entries within E is a
 * variance of numbers in [-E, E]: at most E^2 times sum(t'). */
static void softmax_row(const bpi_roundoff *r, double smoothing, int64_t outputs, const double *z,
                        const double *z_bound, const double *target, double *smoothed, double *error,
                        double *error_bound, double *value, double *value_bound)
{
    double whole = largest(z_bound, outputs), inherited = 0.0;
    for (int64_t o = 0; o < outputs; o++)
        smoothed[o] = (1.0 - smoothing) * target[o] + smoothing / (double)outputs;
    bpi_softmax_row row = bpi_softmax_row_of(z, smoothed, outputs);
    *value = 0.0;
    for (int64_t o = 0; o < outputs; o++) {
        double p = exp(z[o] - row.largest - row.log_total);
        double factor = expm1(z_bound[o] + whole);
        error[o] = p * row.target_sum - smoothed[o];
        double own = bpi_softmax_error_bound(r, &row, outputs, z[o], smoothed[o]);
        error_bound[o] = own * (1.0 + factor) + p * factor * fabs(row.target_sum);
        inherited += fabs(error[o]) * z_bound[o];
        *value += smoothed[o] * (row.log_total + row.largest - z[o]);
    }
    double own = bpi_softmax_value_bound(r, &row, outputs, z, smoothed);
    *value_bound = own * (1.0 + 2.0 * whole) + inherited + whole * whole * fabs(row.target_sum);
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

void bpi_loss_row_bounds(const bpi_roundoff *r, const bpi_loss_args *args, const double *z, const double *z_bound,
                         const double *target, double *smoothed, double *error, double *error_bound, double *value,
                         double *value_bound)
{
    int64_t outputs = args->z.cols;
    if (args->loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY) {
        softmax_row(r, (double)args->label_smoothing, outputs, z, z_bound, target, smoothed, error, error_bound, value,
                    value_bound);
        return;
    }
    double sum = 0.0, errors = 0.0, magnitude = 0.0;
    for (int64_t o = 0; o < outputs; o++) {
        element e = element_of(r, args, z[o], target[o]);
        double moved = e.curvature * z_bound[o];
        /* The own bounds grow with the size of z, d and the error, which are off by z_bound themselves. */
        double grown = 1.0 + z_bound[o] / (fabs(z[o] - target[o]) + z_bound[o] + r->quantum);
        error[o] = e.error;
        error_bound[o] = e.own.error * (1.0 + grown) + moved;
        sum += e.value;
        magnitude += fabs(e.value);
        errors += e.own.value * (1.0 + grown) + (fabs(e.error) + 0.5 * moved) * z_bound[o];
    }
    *value = sum;
    *value_bound = bpi_loss_sum_bound(r, outputs, magnitude, errors);
}
