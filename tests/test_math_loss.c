/* Loss terms and their deltas against textbook formulas in double, within the bounds of kernels/bounds_loss.h. */
#include <criterion/criterion.h>
#include <math.h>

#include "kernels/bounds_loss.h"
#include "kernels/math/loss.h"
#include "kernels/math/philox.h"

static const bpi_roundoff F32 = {.sum = 0x1p-24, .quantum = 0x1p-149};

/* z of every size from 2^-20 to 100, and t near it, near 0, or in [0, 1]. */
static void draw(uint64_t i, float *z, float *t)
{
    bpi_philox_block r = bpi_philox(11, 0, i);
    float size = exp2f((float)(r.word[3] % 27) - 20.0f);
    *z = (2.0f * bpi_uniform_from_0(r.word[0]) - 1.0f) * size;
    float fraction = r.word[3] & 0x10000u ? bpi_uniform_from_0(r.word[1]) : (float)(r.word[1] & 1u);
    *t = r.word[3] & 0x20000u ? *z + 0.01f * fraction : fraction;
}

#define DRAWS 300000

static void expect_near(const char *what, float y, double exact, double bound, float z, float t)
{
    cr_assert(fabs((double)y - exact) <= bound, "%s at z %a, t %a: %a, exactly %a, bound %g", what, (double)z,
              (double)t, (double)y, exact, bound);
}

Test(math_loss, half_squared_error_and_its_delta_are_within_their_bounds)
{
    double sum = 0.0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        float z, t;
        draw(i, &z, &t);
        double d = (double)z - (double)t;
        bpi_loss_bound bound = bpi_squared_error_bound(&F32, 0.5 * d * d, d);
        expect_near("value", bpi_half_squared_error(z, t), 0.5 * d * d, bound.value, z, t);
        expect_near("delta", bpi_half_squared_error_delta(z, t), d, bound.error, z, t);
        sum += 0.5 * d * d;
    }
    cr_expect(sum > 1.0);
}

Test(math_loss, huber_and_its_delta_are_within_their_bounds_on_both_sides_of_the_limit)
{
    const float limits[] = {0.001f, 0.5f, 1.0f, 40.0f};
    for (size_t k = 0; k < sizeof limits / sizeof limits[0]; k++) {
        double limit = (double)limits[k];
        int64_t beyond = 0;
        for (uint64_t i = 0; i < DRAWS; i++) {
            float z, t;
            draw(i, &z, &t);
            double d = (double)z - (double)t;
            double value = fabs(d) <= limit ? 0.5 * d * d : limit * (fabs(d) - 0.5 * limit);
            double delta = fabs(d) <= limit ? d : copysign(limit, d);
            bpi_loss_bound bound = bpi_huber_bound(&F32, d, limit);
            expect_near("value", bpi_huber(z, t, limits[k]), value, bound.value, z, t);
            expect_near("delta", bpi_huber_delta(z, t, limits[k]), delta, bound.error, z, t);
            beyond += fabs(d) > limit;
        }
        cr_expect(beyond > 100 && beyond < DRAWS - 100, "limit %g divides nothing", limit);
    }
}

/* -t log s - (1 - t) log(1 - s), both logarithms taken of what does not cancel. */
Test(math_loss, bce_with_logits_and_its_delta_are_within_their_bounds)
{
    for (uint64_t i = 0; i < DRAWS; i++) {
        float z, t;
        draw(i, &z, &t);
        if (t < 0.0f || t > 1.0f) {
            continue;
        }
        double x = (double)z, target = (double)t;
        double value = target * log1p(exp(-x)) + (1.0 - target) * log1p(exp(x));
        double delta = 1.0 / (1.0 + exp(-x)) - target;
        bpi_loss_bound bound = bpi_bce_bound(&F32, x, target);
        expect_near("value", bpi_bce_with_logits(z, t), value, bound.value, z, t);
        expect_near("delta", bpi_bce_with_logits_delta(z, t), delta, bound.error, z, t);
    }
}

Test(math_loss, bce_with_logits_is_finite_and_right_at_large_logits)
{
    cr_expect(bpi_bce_with_logits(1e30f, 0.0f) == 1e30f);
    cr_expect(bpi_bce_with_logits(-1e30f, 1.0f) == 1e30f);
    cr_expect(bpi_bce_with_logits(1e30f, 1.0f) == 0.0f);
    cr_expect(bpi_bce_with_logits(-1e30f, 0.0f) == 0.0f);
    cr_expect(bpi_bce_with_logits_delta(1e30f, 0.0f) == 1.0f);
    cr_expect(bpi_bce_with_logits_delta(-1e30f, 1.0f) == -1.0f);
    float tiny = bpi_bce_with_logits(-100.0f, 0.0f);
    cr_expect(tiny > 0.0f && tiny < 1e-43f, "e^-100 is lost: %a", (double)tiny);
}

#define OUTPUTS 29

/* A row of logits whose largest is far up, and what softmax cross-entropy does with it in f32. */
typedef struct logit_row {
    float z[OUTPUTS], target[OUTPUTS], shifted[OUTPUTS], p[OUTPUTS];
    float log_sum, mean_shifted;
    int64_t class;
} logit_row;

static void fill_row(logit_row *row, uint64_t seed, float spread)
{
    float largest = -INFINITY, sum = 0.0f, total = 0.0f;
    for (uint64_t o = 0; o < OUTPUTS; o++) {
        bpi_philox_block r = bpi_philox(12, seed, o);
        row->z[o] = 100.0f + spread * (bpi_uniform_from_0(r.word[0]) - 0.5f);
        row->target[o] = bpi_uniform_from_0(r.word[1]);
        total += row->target[o];
        largest = row->z[o] > largest ? row->z[o] : largest;
    }
    row->class = (int64_t)(seed % OUTPUTS);
    row->mean_shifted = 0.0f;
    for (int o = 0; o < OUTPUTS; o++) {
        row->target[o] /= seed % 4 < 2 ? total : 4.0f; /* PyTorch doesn't ask for a sum of 1 */
        row->shifted[o] = row->z[o] - largest;
        row->mean_shifted += row->shifted[o];
        row->p[o] = bpi_softmax_exp(row->z[o], largest);
        sum += row->p[o];
    }
    row->mean_shifted /= (float)OUTPUTS;
    row->log_sum = bpi_log(sum);
    for (int o = 0; o < OUTPUTS; o++) {
        row->p[o] /= sum;
    }
}

/* The same row in double: -sum t' log p and p sum t' - t', for smoothed targets t'. Returns the loss. */
static double check_row(const logit_row *row, const double *target, float value, const float *delta)
{
    double z[OUTPUTS], total = 0.0, target_sum = 0.0, loss = 0.0;
    for (int o = 0; o < OUTPUTS; o++) {
        z[o] = (double)row->z[o];
        total += exp(z[o]);
        target_sum += target[o];
    }
    bpi_softmax_row bounds = bpi_softmax_row_of(z, target, OUTPUTS);
    for (int o = 0; o < OUTPUTS; o++) {
        double p = exp(z[o]) / total;
        loss -= target[o] * (z[o] - log(total));
        expect_near("delta", delta[o], p * target_sum - target[o],
                    bpi_softmax_error_bound(&F32, &bounds, OUTPUTS, z[o], target[o]), row->z[o], (float)target[o]);
    }
    expect_near("value", value, loss, bpi_softmax_value_bound(&F32, &bounds, OUTPUTS, z, target), row->z[0], 0.0f);
    return loss;
}

Test(math_loss, cross_entropy_of_a_class_is_within_its_bound_with_and_without_smoothing)
{
    double sum = 0.0;
    for (uint64_t i = 0; i < 6000; i++) {
        logit_row row;
        double eps = i % 3 == 0 ? 0.0 : i % 3 == 1 ? 0.1 : 0.9;
        double target[OUTPUTS];
        float delta[OUTPUTS];
        fill_row(&row, i, i % 2 == 0 ? 2.0f : 60.0f);
        bpi_smoothing smoothing = bpi_smoothing_of(eps, OUTPUTS);
        for (int o = 0; o < OUTPUTS; o++) {
            float t = o == row.class ? 1.0f : 0.0f;
            target[o] = (1.0 - eps) * (double)t + eps / OUTPUTS;
            delta[o] = bpi_cross_entropy_delta(row.p[o], bpi_smoothed_target(t, smoothing), 1.0f);
        }
        float value = bpi_cross_entropy_of_class(row.shifted[row.class], row.mean_shifted, row.log_sum, smoothing);
        sum += check_row(&row, target, value, delta);
    }
    cr_expect(sum > 1000.0);
}

Test(math_loss, cross_entropy_of_probabilities_is_within_its_bound)
{
    double sum = 0.0;
    for (uint64_t i = 0; i < 6000; i++) {
        logit_row row;
        double eps = i % 3 == 0 ? 0.0 : 0.2;
        double target[OUTPUTS];
        float smoothed[OUTPUTS], delta[OUTPUTS], target_sum = 0.0f, value = 0.0f;
        fill_row(&row, i, i % 2 == 0 ? 2.0f : 60.0f);
        bpi_smoothing smoothing = bpi_smoothing_of(eps, OUTPUTS);
        for (int o = 0; o < OUTPUTS; o++) {
            target[o] = (1.0 - eps) * (double)row.target[o] + eps / OUTPUTS;
            smoothed[o] = bpi_smoothed_target(row.target[o], smoothing);
            target_sum += smoothed[o];
            value += bpi_cross_entropy_term(smoothed[o], row.shifted[o], row.log_sum);
        }
        for (int o = 0; o < OUTPUTS; o++) {
            delta[o] = bpi_cross_entropy_delta(row.p[o], smoothed[o], target_sum);
        }
        sum += check_row(&row, target, value, delta);
    }
    cr_expect(sum > 1000.0);
}

Test(math_loss, a_logit_of_minus_infinity_costs_nothing_without_smoothing)
{
    bpi_smoothing none = bpi_smoothing_of(0.0, 2);
    cr_expect(bpi_cross_entropy_of_class(0.0f, -INFINITY, bpi_log(1.0f), none) == 0.0f);
    cr_expect(bpi_softmax_exp(-INFINITY, 3.0f) == 0.0f);
}

Test(math_loss, nan_in_gives_nan_out)
{
    bpi_smoothing smoothing = bpi_smoothing_of(0.1, 4);
    const float results[] = {
        bpi_half_squared_error(NAN, 1.0f),
        bpi_half_squared_error(1.0f, NAN),
        bpi_half_squared_error_delta(NAN, 1.0f),
        bpi_huber(NAN, 0.0f, 1.0f),
        bpi_huber(0.0f, NAN, 1.0f),
        bpi_huber_delta(NAN, 0.0f, 1.0f),
        bpi_bce_with_logits(NAN, 1.0f),
        bpi_bce_with_logits(1.0f, NAN),
        bpi_bce_with_logits_delta(NAN, 1.0f),
        bpi_softmax_exp(NAN, 1.0f),
        bpi_softmax_exp(1.0f, NAN),
        bpi_cross_entropy_of_class(NAN, -1.0f, 1.0f, smoothing),
        bpi_cross_entropy_term(0.5f, NAN, 1.0f),
        bpi_cross_entropy_delta(NAN, 0.5f, 1.0f),
    };
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        cr_expect(isnan(results[i]), "result %zu", i);
    }
}
