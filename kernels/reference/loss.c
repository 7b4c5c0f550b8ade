/* loss.c: value and error of every loss, always from the network's output z, in the form that neither overflows nor
 * cancels. A row is read whole before its error is written, because delta may be z itself. Source: docs/numerics.md. */
#include "kernels/reference/reference.h"

#include <assert.h>
#include <math.h>

/* Where a row's results go: scale * dl/dz into delta and into the sums of d_b, each only where it is wanted. */
static void put_error(const bpi_loss_args *args, int64_t b, int64_t o, double error)
{
    double scaled = args->scale * error;
    if (args->d_b)
        ((double *)args->d_b)[o] += scaled;
    if (args->delta.data)
        bpi_reference_row(args->delta, b)[o] = scaled;
}

static int64_t first_largest(const double *values, int64_t count)
{
    int64_t at = 0;
    for (int64_t o = 1; o < count; ++o)
        if (values[o] > values[at])
            at = o;
    return at;
}

/* The target of a logit, smoothed: (1 - eps) t + eps / O. */
static double smoothed_target(const bpi_loss_args *args, int64_t b, int64_t o)
{
    double smoothing = (double)args->label_smoothing;
    double target = args->classes ? (args->classes[b] == o ? 1.0 : 0.0) : bpi_reference_row(args->targets, b)[o];
    return (1.0 - smoothing) * target + smoothing / (double)args->z.cols;
}

/* l = sum_o t_o (log sum_k e^z_k - z_o), error p sum_o t_o - t. With m the largest logit, log sum e^z is
 * m + log1p(sum of e^(z - m) over the others): right to the last digits also where one logit towers over the rest. */
static double softmax_cross_entropy(const bpi_loss_args *args, int64_t b)
{
    const double *z = bpi_reference_row(args->z, b);
    int64_t outputs = args->z.cols;
    int64_t top = first_largest(z, outputs);
    double largest = z[top], others = 0.0;
    for (int64_t o = 0; o < outputs; ++o)
        if (o != top)
            others += exp(z[o] - largest);
    double log_total = log1p(others);

    double value = 0.0, target_sum = 0.0;
    for (int64_t o = 0; o < outputs; ++o) {
        double target = smoothed_target(args, b, o);
        target_sum += target;
        if (!(target == 0.0)) /* a class that cannot be has no part in the loss, even at z = -inf */
            value += target * (log_total + (largest - z[o]));
    }
    for (int64_t o = 0; o < outputs; ++o) {
        double probability = exp(z[o] - largest) / (1.0 + others);
        put_error(args, b, o, probability * target_sum - smoothed_target(args, b, o));
    }
    return value;
}

/* -t log sigmoid(z) - (1 - t) log(1 - sigmoid(z)); both logarithms are softplus, and nothing large cancels. */
static double bce_with_logits(double z, double target, double *error)
{
    *error = (1.0 - target) * bpi_reference_sigmoid(z) - target * bpi_reference_sigmoid(-z);
    return (1.0 - target) * bpi_reference_softplus(z) + target * bpi_reference_softplus(-z);
}

static double squared_error(double z, double target, double *error)
{
    *error = 2.0 * (z - target);
    return (z - target) * (z - target);
}

static double half_squared_error(double z, double target, double *error)
{
    *error = z - target;
    return 0.5 * (z - target) * (z - target);
}

/* Quadratic within +-limit, linear beyond with the slope that it has there. NaN takes the quadratic branch. */
static double huber(double z, double target, double limit, double *error)
{
    double distance = z - target;
    if (fabs(distance) > limit) {
        *error = copysign(limit, distance);
        return limit * (fabs(distance) - 0.5 * limit);
    }
    *error = distance;
    return 0.5 * distance * distance;
}

static double element_loss(const bpi_loss_args *args, double z, double target, double *error)
{
    switch (args->loss) {
    case BP_LOSS_BCE_WITH_LOGITS:
        return bce_with_logits(z, target, error);
    case BP_LOSS_MSE:
        return squared_error(z, target, error);
    case BP_LOSS_HALF_MSE:
        return half_squared_error(z, target, error);
    case BP_LOSS_HUBER:
        return huber(z, target, (double)args->huber_delta, error);
    case BP_LOSS_SOFTMAX_CROSS_ENTROPY:
    case BP_LOSS_COUNT:
        break;
    }
    assert(false && "no such element-wise loss");
    *error = (double)NAN;
    return (double)NAN;
}

static double row_loss(const bpi_loss_args *args, int64_t b)
{
    if (args->loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY)
        return softmax_cross_entropy(args, b);
    double sum = 0.0;
    for (int64_t o = 0; o < args->z.cols; ++o) {
        double error;
        sum += element_loss(args, bpi_reference_row(args->z, b)[o], bpi_reference_row(args->targets, b)[o], &error);
        put_error(args, b, o, error);
    }
    return sum;
}

static bool row_is_correct(const bpi_loss_args *args, int64_t b)
{
    const double *z = bpi_reference_row(args->z, b);
    int64_t outputs = args->z.cols;
    if (args->classes)
        return first_largest(z, outputs) == args->classes[b];
    const double *target = bpi_reference_row(args->targets, b);
    if (args->loss == BP_LOSS_BCE_WITH_LOGITS && outputs == 1)
        return (z[0] > 0.0) == (target[0] > 0.5);
    return first_largest(z, outputs) == first_largest(target, outputs);
}

bp_status bpi_reference_loss(bpi_backend *backend, const bpi_loss_args *args)
{
    (void)backend;
    assert(args->state && (args->classes || args->targets.data));
    assert(!args->classes || args->loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY);
    if (args->d_b && !args->accumulate)
        for (int64_t o = 0; o < args->z.cols; ++o)
            ((double *)args->d_b)[o] = 0.0;
    double sum = 0.0;
    int64_t correct = 0;
    for (int64_t b = 0; b < args->z.rows; ++b) {
        correct += row_is_correct(args, b); /* before delta takes the place of z */
        sum += row_loss(args, b);
    }
    args->state->loss_sum += args->scale * sum;
    args->state->correct += correct;
    return BP_STATUS_OK;
}
