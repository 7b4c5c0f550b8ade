/* update_prepare: the norm of all gradients, the clip factor, the learning rate and the bias corrections of a step. */
#include "support/judge.h"
#include "support/update.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(update_prepare, .fini = bpt_clean);

static bpi_step_state prepare(bpt_device *device, const bpi_hyper *hyper, const double *gradients, int64_t count,
                              int64_t step)
{
    bpi_step_state state = {.step = step, .loss_sum = 0.75, .correct = 11};
    bpt_update_prepare(device, hyper, gradients, count, &state);
    cr_assert(state.loss_sum == 0.75 && state.correct == 11, "%s: changed the loss", device->target->name);
    return state;
}

static double exact_norm(const double *gradients, int64_t count, double limit)
{
    long double sum = 0.0L;
    for (int64_t k = 0; k < count; ++k) {
        double g = limit > 0.0 ? fmin(fmax(gradients[k], -limit), limit) : gradients[k];
        sum += (long double)g * (long double)g;
    }
    return (double)sqrtl(sum);
}

Test(update_prepare, takes_the_norm_after_clipping_by_value_within_its_bound)
{
    static const int64_t counts[] = {1, 2, 31, 33, 1000, 4099, 100003};
    static const double sizes[] = {1.0, 1e-30, 1e30}; /* whose squares leave the range of f32 */
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (size_t n = 0; n < sizeof counts / sizeof counts[0]; ++n)
            for (int c = 0; c < 6; ++c) {
                bpt_random random = {111};
                double size = sizes[c / 2];
                bpi_hyper hyper = {
                    .lr = 0.1, .clip_value = c % 2 ? (double)(float)(0.5 * size) : 0.0, .clip_norm = 0.25 * size};
                double *g = bpt_uniform(&random, device->backend->traits.parameter_type, -size, size, counts[n]);
                bpi_step_state state = prepare(device, &hyper, g, counts[n], 0);
                double want = exact_norm(g, counts[n], hyper.clip_value);
                double bound = bpi_grad_norm_bound(counts[n], want);
                bpt_compare(&state.grad_norm, &want, &bound, 1, "%s norm of %lld", device->target->name,
                            (long long)counts[n]);
                double factor = fmin(1.0, hyper.clip_norm / (state.grad_norm + 1e-6)), rounding = 4.0 * 0x1p-53;
                bpt_compare(&state.clip_factor, &factor, &rounding, 1, "%s clip factor", device->target->name);
                cr_assert(state.step == 1 && state.nonfinite == 0);
            }
        bpt_close(device);
    }
}

/* On cuda such an array is taken by single elements, in several rounds. */
Test(update_prepare, takes_gradients_that_start_anywhere)
{
    enum { COUNT = 9001 };
    bpi_hyper hyper = {.lr = 0.1};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpi_type type = device->backend->traits.parameter_type;
        bpt_random random = {114};
        double *g = bpt_uniform(&random, type, -1.0, 1.0, COUNT + 1);
        bpt_matrix array = bpt_parameters(device, 1, COUNT + 1, 0, g);
        bpi_step_state state = {.step = 3}, *memory = bpt_upload(device, &state, sizeof state);
        bpt_reserve(device, 1, 1, COUNT);
        BPT_RUN(device, update_prepare, &hyper, (char *)array.view.data + bpi_type_bytes(type), COUNT, memory);
        bpt_download(device, memory, sizeof state, &state);
        double want = exact_norm(g + 1, COUNT, 0.0), bound = bpi_grad_norm_bound(COUNT, want);
        bpt_compare(&state.grad_norm, &want, &bound, 1, "%s norm", device->target->name);
        device->ops->release(device->backend, memory, sizeof state);
        bpt_release(&array);
        bpt_close(device);
    }
}

/* So many that cuda has more partial sums than threads to add them: a thread adds two. */
Test(update_prepare, takes_each_of_a_million_gradients_once)
{
    enum { COUNT = 1100003 };
    static const int64_t bad[] = {5000, 266241, COUNT - 1}; /* of a thread's first partial sum, its second, the last */
    bpi_hyper hyper = {.lr = 0.1};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpt_random random = {115};
        double *g = bpt_uniform(&random, device->backend->traits.parameter_type, -1.0, 1.0, COUNT);
        bpi_step_state state = prepare(device, &hyper, g, COUNT, 0);
        double want = exact_norm(g, COUNT, 0.0), bound = bpi_grad_norm_bound(COUNT, want);
        bpt_compare(&state.grad_norm, &want, &bound, 1, "%s norm", device->target->name);
        cr_assert_eq(state.nonfinite, 0, "%s", device->target->name);
        for (size_t k = 0; k < sizeof bad / sizeof bad[0]; ++k) {
            double kept = g[bad[k]];
            g[bad[k]] = (double)NAN;
            cr_assert_eq(prepare(device, &hyper, g, COUNT, 0).nonfinite, 1, "%s: NaN at %lld", device->target->name,
                         (long long)bad[k]);
            g[bad[k]] = kept;
        }
        bpt_close(device);
    }
}

Test(update_prepare, never_scales_up_and_keeps_a_factor_of_1_where_clipping_is_off)
{
    const double g[3] = {3.0, -4.0, 0.0};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        bpi_hyper hyper = {.lr = 0.1, .clip_norm = 100.0};
        cr_assert(prepare(device, &hyper, g, 3, 0).clip_factor == 1.0);
        hyper.clip_norm = 0.0;
        bpi_step_state state = prepare(device, &hyper, g, 3, 0);
        cr_assert(state.clip_factor == 1.0 && state.grad_norm == 5.0);
        hyper.clip_norm = 1.0;
        cr_assert(bpt_within(prepare(device, &hyper, g, 3, 0).clip_factor, 1.0 / (5.0 + 1e-6), 0x1p-52));
        bpt_close(device);
    }
}

Test(update_prepare, finds_nan_and_infinity_anywhere_also_where_values_are_clamped)
{
    const double bad[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    const int64_t at[] = {0, 1, 500, 20000};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpt_random random = {112};
        double *g = bpt_uniform(&random, BPI_TYPE_F32, -1.0, 1.0, 20001);
        for (int k = 0; k < 24; ++k) {
            bpi_hyper hyper = {.lr = 0.1, .clip_value = k % 2 ? 0.5 : 0.0, .clip_norm = k % 3 ? 1.0 : 0.0};
            double kept = g[at[k / 6]];
            g[at[k / 6]] = bad[k % 3];
            bpi_step_state state = prepare(device, &hyper, g, 20001, 7);
            g[at[k / 6]] = kept;
            cr_assert(state.nonfinite == 1 && state.step == 7, "%s: %g at %lld, clip_value %g: nonfinite %lld",
                      device->target->name, bad[k % 3], (long long)at[k / 6], hyper.clip_value,
                      (long long)state.nonfinite);
            if (k % 6 == 0)
                cr_assert(prepare(device, &hyper, g, 20001, 7).nonfinite == 0, "%s", device->target->name);
        }
        bpt_close(device);
    }
}

/* The state as a step left it whose gradients were not finite, and what is made of it by one with gradients g. */
static bpi_step_state after_a_bad_step(bpt_device *device, bpi_nonfinite_rule rule, int64_t nonfinite, double g)
{
    bpi_hyper hyper = {.lr = 0.25, .clip_norm = 1.0, .on_nonfinite = rule};
    bpi_step_state state = {.step = 7, .grad_norm = 3.0, .clip_factor = 0.5, .lr = 0.125, .held = 2};
    state.nonfinite = nonfinite;
    bpt_update_prepare(device, &hyper, &g, 1, &state);
    return state;
}

Test(update_prepare, holds_all_steps_behind_a_bad_one_where_it_is_told_to_and_only_there)
{
    const double nan = (double)NAN;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        const char *name = device->target->name;
        bpi_step_state s = after_a_bad_step(device, BPI_NONFINITE_HOLD, 1, 4.0);
        cr_assert(s.held == 3 && s.nonfinite == 1 && s.step == 7, "%s: held, %lld", name, (long long)s.held);
        cr_assert(s.grad_norm == 3.0 && s.clip_factor == 0.5 && s.lr == 0.125, "%s: changed what it holds", name);
        s = after_a_bad_step(device, BPI_NONFINITE_HOLD, 0, 4.0);
        cr_assert(s.held == 2 && s.nonfinite == 0 && s.step == 8 && s.grad_norm == 4.0, "%s: taken back", name);
        s = after_a_bad_step(device, BPI_NONFINITE_HOLD, 0, nan);
        cr_assert(s.held == 2 && s.nonfinite == 1 && s.step == 7 && isnan(s.grad_norm), "%s: the bad one", name);
        s = after_a_bad_step(device, BPI_NONFINITE_SKIP, 1, 4.0);
        cr_assert(s.held == 2 && s.nonfinite == 0 && s.step == 8 && s.grad_norm == 4.0, "%s: skipped", name);
        s = after_a_bad_step(device, BPI_NONFINITE_APPLY, 0, nan);
        cr_assert(s.held == 2 && s.nonfinite == 0 && s.step == 8 && isnan(s.grad_norm), "%s: applied", name);
        bpt_close(device);
    }
}

/* lr 1, 10 steps of which 4 are warm-up, gamma 1/2 every 3 steps; worked out by hand. */
Test(update_prepare, follows_every_schedule)
{
    const double root = sqrt(0.75); /* cos(pi / 6) */
    const double lr[BP_SCHEDULE_COUNT][14] = {
        [BP_SCHEDULE_CONSTANT] = {0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
        [BP_SCHEDULE_COSINE] = {0.25, 0.5, 0.75, 1, 1, 0.5 * (1 + root), 0.75, 0.5, 0.25, 0.5 * (1 - root), 0, 0, 0, 0},
        [BP_SCHEDULE_LINEAR] = {0.25, 0.5, 0.75, 1, 1, 5.0 / 6, 4.0 / 6, 0.5, 2.0 / 6, 1.0 / 6, 0, 0, 0, 0},
        [BP_SCHEDULE_STEP] = {0.25, 0.5, 0.75, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125, 0.125, 0.0625, 0.0625},
    };
    const double g = 1.0;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        for (int schedule = 0; schedule < BP_SCHEDULE_COUNT; ++schedule) {
            bpi_hyper hyper = {.lr = 1.0,
                               .schedule = (bp_schedule)schedule,
                               .warmup_steps = 4,
                               .total_steps = 10,
                               .schedule_step = 3,
                               .schedule_gamma = 0.5};
            for (int64_t s = 0; s < 14; ++s) {
                bpi_step_state state = prepare(device, &hyper, &g, 1, s);
                cr_assert(bpt_within(state.lr, lr[schedule][s], 8.0 * 0x1p-53), "%s %s: step %lld has %.17g, not %.17g",
                          device->target->name, bp_schedule_name((bp_schedule)schedule), (long long)s, state.lr,
                          lr[schedule][s]);
                cr_assert_eq(state.step, s + 1);
            }
            hyper.warmup_steps = 0;
            cr_assert(bpt_within(prepare(device, &hyper, &g, 1, 0).lr, 1.0, 0.0), "%s %s: without warm-up",
                      device->target->name, bp_schedule_name((bp_schedule)schedule));
            hyper.warmup_steps = 10; /* the whole training: nothing is left to come down in */
            cr_assert(bpt_within(prepare(device, &hyper, &g, 1, 10).lr, lr[schedule][10], 8.0 * 0x1p-53), "%s %s",
                      device->target->name, bp_schedule_name((bp_schedule)schedule));
            hyper.warmup_steps = 20; /* longer than the whole training */
            cr_assert(bpt_within(prepare(device, &hyper, &g, 1, 11).lr, 0.6, 0x1p-53));
            cr_assert(prepare(device, &hyper, &g, 1, 25).lr >= 0.0);
        }
        bpt_close(device);
    }
}

Test(update_prepare, gives_the_bias_corrections_of_the_step_that_begins)
{
    const double g = 1.0;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        bpi_hyper hyper = {.optimizer = BP_OPTIMIZER_ADAMW, .lr = 0.1, .beta1 = 0.9, .beta2 = 0.999};
        long double power1 = 1.0L, power2 = 1.0L;
        for (int64_t s = 0; s < 3000; ++s) {
            power1 *= 0.9L, power2 *= (long double)0.999;
            if (s > 40 && s % 331)
                continue;
            bpi_step_state state = prepare(device, &hyper, &g, 1, s);
            /* 0.9 as a double is off by 2^-54, its power by s times that; the rest is rounding */
            double bound = 0x1p-52 * (double)(s + 3);
            cr_assert(bpt_within(state.bias_correction1, (double)(1.0L - power1), bound), "%s: step %lld",
                      device->target->name, (long long)s);
            cr_assert(bpt_within(state.bias_correction2, (double)(1.0L - power2), bound), "%s: step %lld",
                      device->target->name, (long long)s);
        }
        hyper.optimizer = BP_OPTIMIZER_SGD;
        bpi_step_state state = prepare(device, &hyper, &g, 1, 2);
        cr_assert(state.bias_correction1 == 1.0 && state.bias_correction2 == 1.0);
        bpt_close(device);
    }
}

Test(update_prepare, gives_the_same_bits_on_every_run_and_for_1_and_2_threads)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        for (int64_t count = 1; count < 300000; count = count * 3 + 1) {
            bpt_random random = {113};
            bpi_hyper hyper = {
                .optimizer = BP_OPTIMIZER_ADAM, .lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .clip_norm = 1.0};
            double *g = bpt_uniform(&random, one->backend->traits.parameter_type, -1.0, 1.0, count);
            bpi_step_state first = prepare(one, &hyper, g, count, 9), both = prepare(two, &hyper, g, count, 9);
            cr_assert_eq(memcmp(&first, &both, sizeof first), 0, "%s, 1 and 2 threads, %lld: %.17g %.17g",
                         one->target->name, (long long)count, first.grad_norm, both.grad_norm);
            bpt_clean();
        }
        bpt_close(one);
        bpt_close(two);
    }
}
