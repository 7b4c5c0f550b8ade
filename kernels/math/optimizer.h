/* SGD, Adam and AdamW for one element, f32, as PyTorch defines them (torch.optim, dampening 0, no amsgrad, no
 * maximize).
 *
 * What is the same for all elements of a step is computed once in double and rounded once: bpi_update_scalars. Moving
 * averages are taken as m + (1 - beta)(g - m) and not as beta m + (1 - beta) g: rounding 0.999 to f32 alone would shift
 * the second moment by 1.3e-5, rounding 0.001 does not. Bounds and tests: docs/numerics.md. */
#ifndef BPI_MATH_OPTIMIZER_H
#define BPI_MATH_OPTIMIZER_H

#include "kernels/math/clip.h"
#include "kernels/math/power.h"

/* What a step is made of, in double. Fields that the optimiser doesn't know are ignored by its function. */
typedef struct bpi_update_settings {
    double lr;                                 /* of this step */
    double momentum;                           /* sgd */
    double beta1, beta2, epsilon;              /* adam, adamw */
    double bias_correction1, bias_correction2; /* 1 - beta^step, see bpi_bias_correction; 1 for sgd */
    double weight_decay;
    double clip_value;     /* 0: off */
    double clip_factor;    /* 1: off */
    double average_weight; /* of a new value in the moving average: bpi_average_weight */
} bpi_update_settings;

/* The same in f32, in the form that the update needs. */
typedef struct bpi_update_scalars {
    float clip_value; /* +inf: off */
    float clip_factor;
    float lr;
    float momentum;
    float weight_decay;    /* L2, into the gradient: sgd, adam */
    float lr_weight_decay; /* decoupled: adamw */
    float one_minus_beta1, one_minus_beta2;
    float lr_over_correction1;      /* lr / (1 - beta1^step) */
    float inverse_root_correction2; /* 1 / sqrt(1 - beta2^step) */
    float epsilon;
    float average_weight;
} bpi_update_scalars;

BPI_MATH_FN bpi_update_scalars bpi_update_scalars_of(const bpi_update_settings *settings)
{
    bpi_update_scalars s;
    s.clip_value = settings->clip_value > 0.0 ? (float)settings->clip_value : BPI_MATH_INF;
    s.clip_factor = (float)settings->clip_factor;
    s.lr = (float)settings->lr;
    s.momentum = (float)settings->momentum;
    s.weight_decay = (float)settings->weight_decay;
    s.lr_weight_decay = (float)(settings->lr * settings->weight_decay);
    s.one_minus_beta1 = (float)(1.0 - settings->beta1);
    s.one_minus_beta2 = (float)(1.0 - settings->beta2);
    s.lr_over_correction1 = (float)(settings->lr / settings->bias_correction1);
    s.inverse_root_correction2 = (float)(1.0 / __builtin_sqrt(settings->bias_correction2));
    s.epsilon = (float)settings->epsilon;
    s.average_weight = (float)settings->average_weight;
    return s;
}

/* 1 - beta^step for step >= 0. The power is off by at most 2 step * 2^-53 relative, and is below
 * 1 / (e step (1 - beta)) in size, so the result is off by less than 2^-53 / (1 - beta) + 2^-53. */
BPI_MATH_FN double bpi_bias_correction(double beta, int64_t step)
{
    return 1.0 - bpi_whole_power(beta, step);
}

/* The gradient after both clippings, by value first. */
BPI_MATH_FN float bpi_clipped(float g, const bpi_update_scalars *s)
{
    return bpi_clip_by_value(g, s->clip_value) * s->clip_factor;
}

/* What lies below 2^-126 is taken as 0. Where a unit gets no gradient any more, its moment would decay to the denormals
 * and, as 0.9 times the smallest of them rounds to itself, stay there; and a processor takes some 150 cycles for each
 * step of such an element: with 2 % of them the update of 370,000 parameters took twice as long (docs/cpu-backend.md).
 */
BPI_MATH_FN float bpi_normal_or_zero(float x)
{
    return bpi_bits_from_float(x) & 0x7f800000u ? x : 0.0f;
}

/* An element after its update. state1: momentum buffer or first moment; state2: second moment. */
typedef struct bpi_updated {
    float parameter, state1, state2;
} bpi_updated;

/* p - lr (g + wd p). g is clipped already, here and below. */
BPI_MATH_FN float bpi_sgd(float p, float g, const bpi_update_scalars *s)
{
    return bpi_fmaf(-s->lr, bpi_fmaf(s->weight_decay, p, g), p);
}

/* buffer' = momentum buffer + g + wd p; p - lr buffer'. A buffer of zeros makes the first step as PyTorch's. */
BPI_MATH_FN bpi_updated bpi_sgd_momentum(float p, float g, float buffer, const bpi_update_scalars *s)
{
    bpi_updated next;
    next.state1 = bpi_normal_or_zero(bpi_fmaf(s->momentum, buffer, bpi_fmaf(s->weight_decay, p, g)));
    next.state2 = 0.0f;
    next.parameter = bpi_fmaf(-s->lr, next.state1, p);
    return next;
}

/* buffer' as above; p - lr (g + wd p + momentum buffer'). */
BPI_MATH_FN bpi_updated bpi_sgd_nesterov(float p, float g, float buffer, const bpi_update_scalars *s)
{
    float decayed = bpi_fmaf(s->weight_decay, p, g);
    bpi_updated next;
    next.state1 = bpi_normal_or_zero(bpi_fmaf(s->momentum, buffer, decayed));
    next.state2 = 0.0f;
    next.parameter = bpi_fmaf(-s->lr, bpi_fmaf(s->momentum, next.state1, decayed), p);
    return next;
}

/* m' = m + (1 - beta1)(g - m), v' = v + (1 - beta2)(g^2 - v),
 * p - lr / correction1 * m' / (sqrt(v') / sqrt(correction2) + epsilon), for a gradient that has its decay already.
 * A g whose square overflows leaves v at the largest float, from where it decays: infinity would stay, and freeze p. */
BPI_MATH_FN bpi_updated bpi_adam_move(float p, float g, float m, float v, const bpi_update_scalars *s)
{
    bpi_updated next;
    next.state1 = bpi_normal_or_zero(bpi_fmaf(s->one_minus_beta1, g - m, m));
    next.state2 = bpi_at_most(bpi_fmaf(s->one_minus_beta2, bpi_fmaf(g, g, -v), v), 0x1.fffffep+127f);
    float denominator = bpi_fmaf(bpi_sqrt(next.state2), s->inverse_root_correction2, s->epsilon);
    next.parameter = bpi_fmaf(-s->lr_over_correction1, next.state1 / denominator, p);
    return next;
}

/* 1 in step 1: the first average is the first value. Then 9 / (10 + step), until 1 - average_decay is more: as
 * tf.train.ExponentialMovingAverage with num_updates, so that early values are not kept for 1 / (1 - average_decay)
 * steps. */
BPI_MATH_FN double bpi_average_weight(double average_decay, int64_t step)
{
    double weight = 1.0 - average_decay, warm_up = 9.0 / (10.0 + (double)step);
    return step <= 1 ? 1.0 : weight > warm_up ? weight : warm_up;
}

/* average + weight (value - average), which rounds a weight of 0.001 and not 0.999; exactly the value where that is 1.
 */
BPI_MATH_FN float bpi_averaged(float average, float value, const bpi_update_scalars *s)
{
    return s->average_weight < 1.0f ? bpi_fmaf(s->average_weight, value - average, average) : value;
}

/* Adam: the decay goes into the gradient. */
BPI_MATH_FN bpi_updated bpi_adam(float p, float g, float m, float v, const bpi_update_scalars *s)
{
    return bpi_adam_move(p, bpi_fmaf(s->weight_decay, p, g), m, v, s);
}

/* AdamW: p (1 - lr wd) first, without rounding the factor. */
BPI_MATH_FN bpi_updated bpi_adamw(float p, float g, float m, float v, const bpi_update_scalars *s)
{
    return bpi_adam_move(bpi_fmaf(-s->lr_weight_decay, p, p), g, m, v, s);
}

#endif
