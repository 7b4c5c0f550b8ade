/* loss at the edges: huge logits, ties, NaN, the sum over micro-batches. */
#include "support/judge.h"
#include "support/loss.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(loss_edges, .fini = bpt_clean);

static const bpt_loss_case plain = {"cross-entropy", BP_LOSS_SOFTMAX_CROSS_ENTROPY, true, 0.0f, 1.0f};
static const bpt_loss_case smoothed = {"smoothed", BP_LOSS_SOFTMAX_CROSS_ENTROPY, true, 0.5f, 1.0f};
static const bpt_loss_case binary = {"bce", BP_LOSS_BCE_WITH_LOGITS, false, 0.0f, 1.0f};
static const bpt_loss_case huber = {"huber", BP_LOSS_HUBER, false, 0.0f, 1.0f};

typedef struct expectation {
    const bpt_loss_case *what;
    double z[3];
    int64_t class;
    double targets[3];
    double value, delta[3]; /* as no exponential were there: each is 0 or 1 to far below any roundoff */
} expectation;

Test(loss_edges, huge_logits_neither_overflow_nor_vanish)
{
    static const expectation cases[] = {
        {&plain, {1000.0, 0.0, -1000.0}, 0, {0}, 0.0, {0.0, 0.0, 0.0}},
        {&plain, {1000.0, 0.0, -1000.0}, 1, {0}, 1000.0, {1.0, -1.0, 0.0}},
        {&plain, {-1e6, 1e6, 0.0}, 0, {0}, 2e6, {-1.0, 1.0, 0.0}},
        {&plain, {1000.0, 0.0, -(double)INFINITY}, 1, {0}, 1000.0, {1.0, -1.0, 0.0}}, /* a class that cannot be */
        {&smoothed, {300.0, 0.0, -300.0}, 0, {0}, 150.0, {1.0 / 3.0, -1.0 / 6.0, -1.0 / 6.0}},
        {&binary, {1000.0, -1000.0, 1e6}, 0, {1.0, 0.0, 0.0}, 1e6, {0.0, 0.0, 1.0}},
        {&binary, {-1e6, 500.0, -500.0}, 0, {1.0, 0.5, 0.25}, 1e6 + 250.0 + 125.0, {-1.0, 0.5, -0.25}},
        {&huber, {1e6, -1e6, 0.25}, 0, {0.0, 0.0, 0.0}, 2e6 - 1.0 + 0.03125, {1.0, -1.0, 0.25}},
    };
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        double u = device->roundoff.sum + device->roundoff.store;
        for (size_t k = 0; k < sizeof cases / sizeof cases[0]; ++k) {
            const expectation *e = &cases[k];
            bpt_loss_inputs in = {.what = e->what, .shape = {1, 1, 3}, .scale = 1.0, .z = e->z, .error_wanted = true};
            in.classes = e->what->classes ? &e->class : NULL;
            in.targets = e->what->classes ? NULL : e->targets;
            bpt_loss_outputs got = bpt_loss_run(device, &in);
            cr_assert(bpt_within(got.state.loss_sum, e->value, 8.0 * u * e->value), "%s case %zu: value %.9g not %.9g",
                      device->target->name, k, got.state.loss_sum, e->value);
            for (int o = 0; o < 3; ++o)
                cr_assert(bpt_within(got.delta[o], e->delta[o], 4.0 * u), "%s case %zu: error %d is %.9g not %.9g",
                          device->target->name, k, o, got.delta[o], e->delta[o]);
        }
        bpt_close(device);
    }
}

Test(loss_edges, tiny_losses_keep_their_digits)
{
    const double z[2] = {9.0, -9.0}; /* log(1 + e^-18) = 1.52e-8: below the roundoff of 1 in f32 */
    const int64_t class = 0;
    bpt_device *device = bpt_open(bpt_reference(), 1);
    bpt_loss_inputs in = {.what = &plain, .shape = {1, 1, 2}, .scale = 1.0, .z = z, .classes = &class};
    bpt_loss_outputs got = bpt_loss_run(device, &in);
    double want = log1p(exp(-18.0));
    cr_assert(bpt_within(got.state.loss_sum, want, 1e-14 * want), "%.17g", got.state.loss_sum);
    bpt_close(device);
}

Test(loss_edges, right_answers_are_counted_with_the_first_of_equals)
{
    const double z[4 * 3] = {1.0, 2.0, 2.0, /**/ 3.0, 3.0, 3.0, /**/ -5.0, -7.0, -4.0, /**/ 0.0, -0.0, -1.0};
    const int64_t classes[4] = {1, 1, 2, 0};
    const double targets[4 * 3] = {0.0, 0.5, 0.5, /**/ 0.0, 0.75, 0.25, /**/ 0.0, 0.0, 1.0, /**/ 0.5, 0.5, 0.0};
    const double logit[5] = {0.5, 0.0, -0.5, 2.0, -0.5}, truth[5] = {1.0, 0.0, 1.0, 0.25, 0.5};
    static const bpt_loss_case chances = {"probabilities", BP_LOSS_SOFTMAX_CROSS_ENTROPY, false, 0.0f, 1.0f};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        bpt_loss_inputs in = {.what = &plain, .shape = {4, 1, 3}, .scale = 1.0, .z = z, .classes = classes};
        cr_assert_eq(bpt_loss_run(device, &in).state.correct, 3, "%s, classes", device->target->name);
        in.what = &chances, in.classes = NULL, in.targets = targets;
        cr_assert_eq(bpt_loss_run(device, &in).state.correct, 3, "%s, probabilities", device->target->name);
        bpt_loss_inputs one = {.what = &binary, .shape = {5, 1, 1}, .scale = 1.0, .z = logit, .targets = truth};
        cr_assert_eq(bpt_loss_run(device, &one).state.correct, 3, "%s, one logit", device->target->name);
        bpt_close(device);
    }
}

/* A scan for the largest never leaves a NaN at the front, and passes every other one over. */
Test(loss_edges, right_answers_are_counted_in_rows_of_quads_and_with_nan)
{
    static const bpt_loss_case chances = {"probabilities", BP_LOSS_SOFTMAX_CROSS_ENTROPY, false, 0.0f, 1.0f};
    const double nan = (double)NAN;
    const double z[3 * 4] = {nan, 1.0, 2.0, 3.0, /**/ 1.0, nan, 3.0, 2.0, /**/ 0.0, 1.0, 3.0, 2.0};
    const double targets[3 * 4] = {nan, 0.25, 0.25, 0.5, /**/ 0.125, nan, 0.5, 0.25, /**/ 0.0, 0.25, 0.75, 0.0};
    const int64_t classes[3] = {0, 2, 2};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        bpt_loss_inputs in = {.what = &plain, .shape = {3, 1, 4}, .scale = 1.0, .z = z, .classes = classes};
        cr_assert_eq(bpt_loss_run(device, &in).state.correct, 3, "%s, classes", device->target->name);
        in.classes = NULL, in.targets = targets;
        const bpt_loss_case *const others[] = {&chances, &binary, &huber};
        for (int k = 0; k < 3; ++k) {
            in.what = others[k];
            cr_assert_eq(bpt_loss_run(device, &in).state.correct, 3, "%s, %s", device->target->name, in.what->name);
        }
        bpt_close(device);
    }
}

Test(loss_edges, parts_of_a_batch_add_up_and_step_begin_starts_anew)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpt_loss_inputs in = bpt_loss_random(&device->backend->traits, &bpt_loss_cases[1], (bpt_shape){40, 1, 10}, 95);
        bpt_loss_outputs whole = bpt_loss_run(device, &in);
        bpt_loss_inputs part = in;
        part.shape.rows = 16;
        bpt_loss_outputs first = bpt_loss_run(device, &part);
        part.shape.rows = 24, part.z = in.z + 160, part.classes = in.classes + 16;
        part.before = first.state, part.old_d_b = first.d_b;
        bpt_loss_outputs second = bpt_loss_run(device, &part);
        bpt_same_bits(whole.delta, first.delta, 160, "%s, first part", device->target->name);
        bpt_same_bits(whole.delta + 160, second.delta, 240, "%s, second part", device->target->name);
        double bound = 64.0 * device->roundoff.sum * whole.state.loss_sum;
        cr_assert(bpt_within(second.state.loss_sum, whole.state.loss_sum, bound));
        cr_assert_eq(second.state.correct, whole.state.correct);
        for (int o = 0; o < 10; ++o)
            cr_assert(bpt_within(second.d_b[o], whole.d_b[o], 2.0 * bpi_gamma(device->roundoff.sum, 41)));

        bpi_step_state *state = bpt_upload(device, &second.state, sizeof second.state), after;
        BPT_RUN(device, step_begin, state, NULL);
        bpt_download(device, state, sizeof after, &after);
        device->ops->release(device->backend, state, sizeof after);
        cr_assert(after.loss_sum == 0.0 && after.correct == 0, "%s: step_begin", device->target->name);
        bpt_close(device);
    }
}

Test(loss_edges, nan_in_a_logit_or_target_reaches_its_row_and_the_value)
{
    bpt_shape shape = {9, 1, 21};
    int64_t count = shape.rows * shape.outputs, at = 4 * shape.outputs + 18;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int c = 0; c < BPT_LOSS_CASES; ++c)
            for (int which = 0; which < 2; ++which) {
                const bpt_loss_case *what = &bpt_loss_cases[c];
                bpt_loss_inputs in = bpt_loss_random(&device->backend->traits, what, shape, 96);
                if (which == 1 && !in.targets)
                    continue;
                double *values = bpt_doubles(count);
                for (int64_t k = 0; k < count; ++k)
                    values[k] = which ? in.targets[k] : in.z[k];
                values[at] = (double)NAN;
                *(which ? &in.targets : &in.z) = values;
                bpt_loss_outputs got = bpt_loss_run(device, &in);
                bool whole_row = what->loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY;
                cr_assert(isnan(got.state.loss_sum), "%s %s: value %g", device->target->name, what->name,
                          got.state.loss_sum);
                for (int64_t k = 0; k < count; ++k) {
                    bool hit = whole_row ? k / shape.outputs == at / shape.outputs : k == at;
                    cr_assert_eq(isnan(got.delta[k]) != 0, hit, "%s %s: error %lld is %g", device->target->name,
                                 what->name, (long long)k, got.delta[k]);
                }
                for (int64_t o = 0; o < shape.outputs; ++o)
                    cr_assert_eq(isnan(got.d_b[o]) != 0, whole_row || o == 18, "%s %s: d_b %lld is %g",
                                 device->target->name, what->name, (long long)o, got.d_b[o]);
            }
        bpt_close(device);
    }
}
