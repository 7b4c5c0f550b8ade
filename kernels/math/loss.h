/* Terms of the losses and their derivatives, f32, from the network's output z (logits where the loss wants them).
 * Values are per element or per row, unscaled; PyTorch's definitions. How a row or a batch is summed is the backend's.
 * NaN in gives NaN out. Bounds and tests: docs/numerics.md. */
#ifndef BPI_MATH_LOSS_H
#define BPI_MATH_LOSS_H

#include "kernels/math/activation.h"

/* ---- squared error: half_mse is the sum of these over a row, mse the mean of twice these ---- */

BPI_MATH_FN float bpi_half_squared_error(float z, float t)
{
    float d = z - t;
    return 0.5f * d * d;
}

BPI_MATH_FN float bpi_half_squared_error_delta(float z, float t)
{
    return z - t;
}

/* ---- Huber, limit > 0: d^2/2 up to the limit, limit (|d| - limit/2) beyond; torch.nn.HuberLoss ---- */

BPI_MATH_FN float bpi_huber(float z, float t, float limit)
{
    float d = z - t;
    float magnitude = bpi_abs(d);
    float square = 0.5f * d * d;
    float line = limit * (magnitude - 0.5f * limit);
    return magnitude > limit ? line : square;
}

BPI_MATH_FN float bpi_huber_delta(float z, float t, float limit)
{
    return bpi_at_most(bpi_at_least(z - t, -limit), limit);
}

/* ---- binary cross-entropy with logits, t in [0, 1]: max(z, 0) - z t + log1p(e^-|z|); finite for every finite z ----
 */

BPI_MATH_FN float bpi_bce_with_logits(float z, float t)
{
    return bpi_fmaf(-z, t, bpi_relu(z)) + bpi_log1p_unit(bpi_exp(-bpi_abs(z)));
}

BPI_MATH_FN float bpi_bce_with_logits_delta(float z, float t)
{
    return bpi_sigmoid(z) - t;
}

/* ---- softmax cross-entropy over a row of O logits, in four parts:
 *   largest = max z;  shifted_o = z_o - largest;  sum = sum_o e^shifted_o;  log_sum = bpi_log(sum)
 *   p_o = e^shifted_o / sum,  -log p_o = log_sum - shifted_o
 * so that no exponential overflows, the sum is at least 1 and its logarithm at least 0. ---- */

/* Label smoothing: t' = (1 - eps) t + eps / O, for class indices with t one-hot. */
typedef struct bpi_smoothing {
    float keep;   /* 1 - eps */
    float spread; /* eps / O */
    float eps;
} bpi_smoothing;

BPI_MATH_FN bpi_smoothing bpi_smoothing_of(double eps, int64_t outputs)
{
    bpi_smoothing smoothing;
    smoothing.keep = (float)(1.0 - eps);
    smoothing.spread = (float)(eps / (double)outputs);
    smoothing.eps = (float)eps;
    return smoothing;
}

BPI_MATH_FN float bpi_smoothed_target(float t, bpi_smoothing smoothing)
{
    return bpi_fmaf(smoothing.keep, t, smoothing.spread);
}

/* e^(z - largest), at most 1. */
BPI_MATH_FN float bpi_softmax_exp(float z, float largest)
{
    return bpi_exp(z - largest);
}

/* The loss of a row with a class index: keep * -log p_class + eps * mean_o(-log p_o), where the mean of -log p is
 * log_sum - mean_shifted. mean_shifted is not looked at when eps is 0 (a shifted logit may be -inf). */
BPI_MATH_FN float bpi_cross_entropy_of_class(float shifted_class, float mean_shifted, float log_sum,
                                             bpi_smoothing smoothing)
{
    float of_class = log_sum - shifted_class;
    float smoothed = bpi_fmaf(smoothing.keep, of_class, smoothing.eps * (log_sum - mean_shifted));
    return smoothing.eps > 0.0f ? smoothed : of_class;
}

/* One element of the loss of a row with probabilities: -t' log p. */
BPI_MATH_FN float bpi_cross_entropy_term(float smoothed_target, float shifted, float log_sum)
{
    return smoothed_target * (log_sum - shifted);
}

/* dl/dz of one element: p sum(t') - t'; sum(t') is 1 for a class index. */
BPI_MATH_FN float bpi_cross_entropy_delta(float p, float smoothed_target, float target_sum)
{
    return bpi_fmaf(p, target_sum, -smoothed_target);
}

#endif
