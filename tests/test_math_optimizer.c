/* Optimiser steps and clipping, element by element, against PyTorch's definitions in double, within the bounds of
 * kernels/bounds_update.h. */
#include <criterion/criterion.h>
#include <math.h>

#include "kernels/bounds_update.h"
#include "kernels/math/optimizer.h"
#include "kernels/math/philox.h"

static const bpi_roundoff F32 = {.sum = 0x1p-24, .quantum = 0x1p-149};

/* The step of an optimiser as torch.optim writes it, in double, from the state in *e; fills in what is after. */
static double exact_step(const bpi_hyper *h, int64_t step, bpi_update_element *e)
{
    double g = e->gradient;
    double p = e->parameter;
    if (h->optimizer == BP_OPTIMIZER_ADAMW) {
        p *= 1.0 - h->lr * h->weight_decay;
    } else {
        g += h->weight_decay * p;
    }
    if (h->optimizer == BP_OPTIMIZER_SGD) {
        e->next_state1 = h->momentum * e->state1 + g;
        e->next_state2 = 0.0;
        return p - h->lr * (h->nesterov ? g + h->momentum * e->next_state1 : e->next_state1);
    }
    e->next_state1 = h->beta1 * e->state1 + (1.0 - h->beta1) * g;
    e->next_state2 = h->beta2 * e->state2 + (1.0 - h->beta2) * g * g;
    double root = sqrt(e->next_state2) / sqrt(1.0 - pow(h->beta2, (double)step));
    return p - h->lr / (1.0 - pow(h->beta1, (double)step)) * e->next_state1 / (root + h->epsilon);
}

static bpi_update_scalars scalars_of(const bpi_hyper *h, int64_t step)
{
    bpi_update_settings settings = {
        .lr = h->lr,
        .momentum = h->momentum,
        .beta1 = h->beta1,
        .beta2 = h->beta2,
        .epsilon = h->epsilon,
        .bias_correction1 = bpi_bias_correction(h->beta1, step),
        .bias_correction2 = bpi_bias_correction(h->beta2, step),
        .weight_decay = h->weight_decay,
        .clip_factor = 1.0,
    };
    return bpi_update_scalars_of(&settings);
}

static bpi_updated step_in_f32(const bpi_hyper *h, float p, float g, float s1, float s2, const bpi_update_scalars *s)
{
    bpi_updated next = {0.0f, 0.0f, 0.0f};
    if (h->optimizer == BP_OPTIMIZER_ADAM) {
        return bpi_adam(p, g, s1, s2, s);
    }
    if (h->optimizer == BP_OPTIMIZER_ADAMW) {
        return bpi_adamw(p, g, s1, s2, s);
    }
    if (h->nesterov) {
        return bpi_sgd_nesterov(p, g, s1, s);
    }
    if (h->momentum > 0.0) {
        return bpi_sgd_momentum(p, g, s1, s);
    }
    next.parameter = bpi_sgd(p, g, s);
    return next;
}

static void expect_near(const char *what, float y, double exact, double bound, int64_t i)
{
    cr_assert(fabs((double)y - exact) <= bound, "%s of element %lld: %a, exactly %a, bound %g", what, (long long)i,
              (double)y, exact, bound);
}

/* One step of random elements: parameters and gradients of every size, moments that fit them. */
static void check(bpi_hyper h, int64_t step)
{
    bpi_update_scalars s = scalars_of(&h, step);
    bpi_step_state state = {.lr = h.lr,
                            .bias_correction1 = 1.0 - pow(h.beta1, (double)step),
                            .bias_correction2 = 1.0 - pow(h.beta2, (double)step)};
    double moved = 0.0;
    for (int64_t i = 0; i < 100000; i++) {
        bpi_philox_block r = bpi_philox(21, (uint64_t)step, (uint64_t)i);
        float size = exp2f((float)(r.word[3] % 24) - 20.0f);
        float p = 2.0f * bpi_uniform_from_0(r.word[0]) - 1.0f;
        float g = (2.0f * bpi_uniform_from_0(r.word[1]) - 1.0f) * size;
        float s1 = (2.0f * bpi_uniform_from_0(r.word[2]) - 1.0f) * size;
        float s2 = bpi_uniform_from_0(r.word[3]) * size * size;
        bool has_state2 = h.optimizer != BP_OPTIMIZER_SGD;
        bool has_state1 = has_state2 || h.momentum > 0.0;
        bpi_update_element e = {.parameter = (double)p,
                                .state1 = has_state1 ? (double)s1 : 0.0,
                                .state2 = has_state2 ? (double)s2 : 0.0,
                                .gradient = (double)g};
        double exact = exact_step(&h, step, &e);
        bpi_update_bound bound = bpi_update_bound_of(&F32, &h, &state, &e);
        bpi_updated next = step_in_f32(&h, p, g, s1, s2, &s);
        expect_near("parameter", next.parameter, exact, bound.parameter, i);
        if (has_state1) {
            expect_near("state 1", next.state1, e.next_state1, bound.state1, i);
            expect_near("state 2", next.state2, e.next_state2, bound.state2, i);
        }
        moved += fabs(exact - (double)p);
    }
    cr_expect(moved > 1.0, "nothing moves: %g", moved);
}

Test(math_optimizer, sgd_is_pytorchs)
{
    bpi_hyper h = {.optimizer = BP_OPTIMIZER_SGD, .lr = 0.03};
    check(h, 1);
    h.weight_decay = 0.01;
    check(h, 2);
    h.momentum = 0.9;
    check(h, 3);
    h.nesterov = true;
    check(h, 4);
}

Test(math_optimizer, adam_and_adamw_are_pytorchs)
{
    const bp_optimizer optimizers[] = {BP_OPTIMIZER_ADAM, BP_OPTIMIZER_ADAMW};
    for (size_t k = 0; k < 2; k++) {
        bpi_hyper h = {.optimizer = optimizers[k], .lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
        check(h, 1);
        check(h, 1000);
        h.weight_decay = 0.01;
        check(h, 10);
        check(h, 1000000);
        h.beta1 = 0.5;
        h.beta2 = 0.9;
        h.epsilon = 1e-3;
        check(h, 3);
    }
}

/* A thousand steps on one element. Rounding 0.999 itself would shift the second moment by 1.3e-8 a step, 8e-6 or 137
 * roundoffs in all (it forgets with 0.999: 632 steps count). The roundings of the results are not all on one side: 64
 * roundoffs are six times the root of the sum of their squares. */
Test(math_optimizer, second_moment_does_not_drift_over_a_thousand_steps)
{
    bpi_hyper h = {.optimizer = BP_OPTIMIZER_ADAM, .lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    float p = 0.5f, s1 = 0.0f, s2 = 0.0f;
    bpi_update_element e = {.parameter = 0.5};
    for (int64_t step = 1; step <= 1000; step++) {
        bpi_update_scalars s = scalars_of(&h, step);
        float g = 0.125f + (float)(step % 8) * 0.015625f;
        bpi_updated next = bpi_adam(p, g, s1, s2, &s);
        p = next.parameter;
        s1 = next.state1;
        s2 = next.state2;
        e.gradient = (double)g;
        e.parameter = exact_step(&h, step, &e);
        e.state1 = e.next_state1;
        e.state2 = e.next_state2;
    }
    cr_expect(fabs((double)s2 / e.state2 - 1.0) <= 64.0 * 0x1p-24, "%a, exactly %a", (double)s2, e.state2);
}

Test(math_optimizer, gradient_whose_square_overflows_does_not_freeze_the_parameter)
{
    bpi_hyper h = {.optimizer = BP_OPTIMIZER_ADAM, .lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    bpi_update_scalars s = scalars_of(&h, 1);
    bpi_updated next = bpi_adam(1.0f, 1e25f, 0.0f, 0.0f, &s);
    cr_expect(isfinite(next.parameter) && isfinite(next.state2));
    next = bpi_adam(next.parameter, 1.0f, next.state1, next.state2, &s);
    cr_expect(isfinite(next.parameter) && isfinite(next.state2));
}

Test(math_optimizer, gradient_of_zero_without_decay_leaves_the_parameter)
{
    bpi_hyper h = {.optimizer = BP_OPTIMIZER_ADAM, .lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    bpi_update_scalars s = scalars_of(&h, 5);
    cr_expect(bpi_adam(0.75f, 0.0f, 0.0f, 0.0f, &s).parameter == 0.75f);
    cr_expect(bpi_adamw(0.75f, 0.0f, 0.0f, 0.0f, &s).parameter == 0.75f);
    cr_expect(bpi_sgd(0.75f, 0.0f, &s) == 0.75f);
}

/* 0.9 times the smallest denormals rounds to themselves: left alone, the moment would stay among them. */
Test(math_optimizer, moment_without_gradient_decays_to_0_and_to_no_denormal)
{
    bpi_hyper hypers[4] = {{.optimizer = BP_OPTIMIZER_SGD, .lr = 0.1, .momentum = 0.9},
                           {.optimizer = BP_OPTIMIZER_SGD, .lr = 0.1, .momentum = 0.9, .nesterov = true},
                           {.optimizer = BP_OPTIMIZER_ADAM, .lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8},
                           {.optimizer = BP_OPTIMIZER_ADAMW, .lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8}};
    for (size_t k = 0; k < 4; k++) {
        bpi_update_scalars s = scalars_of(&hypers[k], 1000);
        bpi_updated now = {1.0f, -1.0f, 1.0f};
        int steps = 0;
        for (; now.state1 != 0.0f && steps < 2000; steps++) {
            now = step_in_f32(&hypers[k], now.parameter, 0.0f, now.state1, now.state2, &s);
            cr_assert(now.state1 == 0.0f || fabsf(now.state1) >= 0x1p-126f, "step %d leaves %a", steps,
                      (double)now.state1);
        }
        cr_assert(steps > 800 && steps < 850, "0 after %d steps", steps); /* 126 log 2 / -log 0.9 = 829 */
        cr_assert(isnan(step_in_f32(&hypers[k], 1.0f, 0.0f, NAN, 1.0f, &s).state1));
        cr_assert(isinf(step_in_f32(&hypers[k], 1.0f, 0.0f, INFINITY, 1.0f, &s).state1) || k >= 2);
    }
}

Test(math_optimizer, nan_gradient_reaches_everything)
{
    bpi_hyper h = {
        .optimizer = BP_OPTIMIZER_ADAM, .lr = 0.001, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    bpi_update_scalars s = scalars_of(&h, 5);
    bpi_updated adam = bpi_adam(1.0f, NAN, 0.1f, 0.1f, &s);
    bpi_updated sgd = bpi_sgd_nesterov(1.0f, NAN, 0.1f, &s);
    cr_expect(isnan(adam.parameter) && isnan(adam.state1) && isnan(adam.state2));
    cr_expect(isnan(sgd.parameter) && isnan(sgd.state1));
}

Test(math_optimizer, bias_correction_agrees_with_pow)
{
    const double betas[] = {0.0, 0.5, 0.9, 0.99, 0.999, 0.9999};
    for (size_t k = 0; k < sizeof betas / sizeof betas[0]; k++) {
        for (int64_t step = 1; step < 100000; step = step * 5 / 4 + 1) {
            double y = bpi_bias_correction(betas[k], step);
            double exact = -expm1((double)step * log(betas[k]));
            double bound = 0x1p-53 / (1.0 - betas[k]) * 2.0 + 0x1p-52;
            cr_assert(fabs(y - exact) <= bound, "1 - %g^%lld: %.17g, not %.17g", betas[k], (long long)step, y, exact);
        }
    }
    cr_expect(bpi_bias_correction(0.9, 0) == 0.0);
    cr_expect(bpi_bias_correction(0.9, INT64_MAX) == 1.0);
}

Test(math_optimizer, clipping_by_value_limits_and_keeps_nan)
{
    cr_expect(bpi_clip_by_value(3.0f, 1.0f) == 1.0f);
    cr_expect(bpi_clip_by_value(-3.0f, 1.0f) == -1.0f);
    cr_expect(bpi_clip_by_value(0.25f, 1.0f) == 0.25f);
    cr_expect(bpi_clip_by_value(-INFINITY, 1.0f) == -1.0f);
    cr_expect(bpi_clip_by_value(-1e38f, INFINITY) == -1e38f);
    cr_expect(isnan(bpi_clip_by_value(NAN, 1.0f)));
}

Test(math_optimizer, clip_factor_is_pytorchs)
{
    cr_expect(bpi_clip_factor(0.0, 1.0) == 1.0);
    cr_expect(bpi_clip_factor(0.5, 1.0) == 1.0);
    cr_expect(bpi_clip_factor(4.0, 1.0) == 1.0 / (4.0 + 1e-6));
    cr_expect(bpi_clip_factor(1.0, 1.0) == 1.0 / (1.0 + 1e-6), "slightly below 1 at the limit, as there");
    cr_expect(bpi_clip_factor((double)INFINITY, 1.0) == 0.0);
    cr_expect(isnan(bpi_clip_factor((double)NAN, 1.0)));
}

Test(math_optimizer, clipping_is_by_value_first_and_off_when_zero)
{
    bpi_update_settings settings = {.lr = 1.0, .bias_correction1 = 1.0, .bias_correction2 = 1.0, .clip_factor = 0.5};
    bpi_update_scalars s = bpi_update_scalars_of(&settings);
    cr_expect(bpi_clipped(8.0f, &s) == 4.0f);
    settings.clip_value = 2.0;
    s = bpi_update_scalars_of(&settings);
    cr_expect(bpi_clipped(8.0f, &s) == 1.0f);
    cr_expect(bpi_clipped(-8.0f, &s) == -1.0f);
    cr_expect(isnan(bpi_clipped(NAN, &s)));
}
