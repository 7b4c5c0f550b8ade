/* See exact.h. */
#include "support/exact.h"

#include <math.h>

static long double exact_sigmoid(long double z)
{
    return 1.0L / (1.0L + expl(-z));
}

long double bpt_exact_activation(bp_activation activation, float slope, long double z)
{
    const long double pi = 3.141592653589793238462643383279502884L;
    if (isnan(z))
        return z; /* fmaxl would drop it */
    switch (activation) {
    case BP_ACTIVATION_IDENTITY:
        return z;
    case BP_ACTIVATION_SIGMOID:
        return exact_sigmoid(z);
    case BP_ACTIVATION_TANH:
        return sinhl(z) / coshl(z);
    case BP_ACTIVATION_RELU:
        return fmaxl(z, 0.0L);
    case BP_ACTIVATION_LEAKY_RELU:
        return fmaxl(z, 0.0L) + (long double)slope * fminl(z, 0.0L);
    case BP_ACTIVATION_ELU:
        return fmaxl(z, 0.0L) + fminl(expm1l(z), 0.0L);
    case BP_ACTIVATION_SOFTPLUS:
        return fmaxl(z, 0.0L) + log1pl(expl(-fabsl(z)));
    case BP_ACTIVATION_SILU:
        return z * exact_sigmoid(z);
    case BP_ACTIVATION_GELU:
        return z * 0.5L * erfcl(-z / sqrtl(2.0L));
    case BP_ACTIVATION_GELU_TANH:
        return z * exact_sigmoid(2.0L * sqrtl(2.0L / pi) * (z + 0.044715L * z * z * z));
    case BP_ACTIVATION_COUNT:
        break;
    }
    return (long double)NAN;
}

/* d/dz of z sigmoid(v) */
static long double gated_slope(long double z, long double v, long double v_slope)
{
    long double s = exact_sigmoid(v);
    return s * (1.0L + z * exact_sigmoid(-v) * v_slope);
}

long double bpt_exact_derivative(bp_activation activation, float slope, long double saved)
{
    const long double pi = 3.141592653589793238462643383279502884L;
    long double c = 2.0L * sqrtl(2.0L / pi), cube = saved * saved * saved;
    switch (activation) {
    case BP_ACTIVATION_IDENTITY:
        return 1.0L;
    case BP_ACTIVATION_SIGMOID:
        return saved - saved * saved;
    case BP_ACTIVATION_TANH:
        return 1.0L - saved * saved;
    case BP_ACTIVATION_RELU:
        return saved > 0.0L ? 1.0L : 0.0L;
    case BP_ACTIVATION_LEAKY_RELU:
        return saved > 0.0L ? 1.0L : (long double)slope;
    case BP_ACTIVATION_ELU:
        return saved > 0.0L ? 1.0L : 1.0L + saved;
    case BP_ACTIVATION_SOFTPLUS:
        return -expm1l(-saved);
    case BP_ACTIVATION_SILU:
        return gated_slope(saved, saved, 1.0L);
    case BP_ACTIVATION_GELU:
        return 0.5L * erfcl(-saved / sqrtl(2.0L)) + saved * expl(-saved * saved / 2.0L) / sqrtl(2.0L * pi);
    case BP_ACTIVATION_GELU_TANH:
        return gated_slope(saved, c * (saved + 0.044715L * cube), c * (1.0L + 0.134145L * saved * saved));
    case BP_ACTIVATION_COUNT:
        break;
    }
    return (long double)NAN;
}

long double bpt_exact_difference(bp_activation activation, float slope, long double z)
{
    long double h = BPT_DIFFERENCE_STEP;
    return (bpt_exact_activation(activation, slope, z + h) - bpt_exact_activation(activation, slope, z - h)) /
           (2.0L * h);
}

long double bpt_exact_element_loss(bp_loss loss, float huber_delta, long double z, long double target)
{
    long double distance = fabsl(z - target), limit = (long double)huber_delta;
    switch (loss) {
    case BP_LOSS_BCE_WITH_LOGITS: /* -t log s - (1 - t) log (1 - s) with log s = -log(1 + e^-z) */
        return target * logl(1.0L + expl(-z)) + (1.0L - target) * logl(1.0L + expl(z));
    case BP_LOSS_MSE:
        return distance * distance;
    case BP_LOSS_HALF_MSE:
        return distance * distance / 2.0L;
    case BP_LOSS_HUBER:
        return distance <= limit ? distance * distance / 2.0L : limit * distance - limit * limit / 2.0L;
    default:
        return (long double)NAN;
    }
}

long double bpt_exact_softmax_loss(const long double *z, const double *smoothed, int64_t outputs)
{
    long double total = 0.0L, value = 0.0L;
    for (int64_t o = 0; o < outputs; ++o)
        total += expl(z[o]);
    for (int64_t o = 0; o < outputs; ++o)
        value += (long double)smoothed[o] * logl(total / expl(z[o]));
    return value;
}
