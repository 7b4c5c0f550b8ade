/* update: one step of every optimiser; the backends against the reference, which test_optimizer_golden holds to
 * PyTorch. */
#include "support/judge.h"
#include "support/update.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(update, .fini = bpt_clean);

static const int64_t counts[] = {1, 7, 33, 1000, 4099, 40009};
enum { COUNTS = sizeof counts / sizeof counts[0] };

static bpi_step_state state_before(void)
{
    return (bpi_step_state){.step = 4, .loss_sum = 0.5, .correct = 2};
}

/* The gradient after both clippings, from the reference's step state. */
static double clipped(const bpi_hyper *hyper, const bpi_step_state *state, double gradient)
{
    if (hyper->clip_value > 0.0)
        gradient = fmin(fmax(gradient, -hyper->clip_value), hyper->clip_value);
    return gradient * state->clip_factor;
}

static void compare(bpt_device *device, const bpt_optimizer_case *what, const bpi_step_state *state,
                    const bpt_update_values *before, const bpt_update_values *got, const bpt_update_values *want)
{
    double *p = bpt_doubles(got->count), *first = bpt_doubles(got->count), *second = bpt_doubles(got->count);
    bpi_roundoff judge = bpi_roundoff_of(BP_PRECISION_F64);
    for (int64_t k = 0; k < got->count; ++k) {
        bpi_update_element e = {.parameter = before->parameters[k],
                                .gradient = clipped(&what->hyper, state, before->gradients[k])};
        if (want->state1)
            e.state1 = before->state1[k], e.next_state1 = want->state1[k];
        if (want->state2)
            e.state2 = before->state2[k], e.next_state2 = want->state2[k];
        bpi_update_bound own = bpi_update_bound_of(&device->roundoff, &what->hyper, state, &e);
        bpi_update_bound of_judge = bpi_update_bound_of(&judge, &what->hyper, state, &e);
        p[k] = own.parameter + of_judge.parameter;
        first[k] = own.state1 + of_judge.state1;
        second[k] = own.state2 + of_judge.state2;
    }
    const char *name = device->target->name;
    bpt_compare(got->parameters, want->parameters, p, got->count, "%s %s parameters", name, what->name);
    if (want->state1)
        bpt_compare(got->state1, want->state1, first, got->count, "%s %s state1", name, what->name);
    if (want->state2)
        bpt_compare(got->state2, want->state2, second, got->count, "%s %s state2", name, what->name);
}

Test(update, of_every_backend_is_within_the_bound_of_the_reference)
{
    bpt_device *judge = bpt_open(bpt_reference(), 1);
    for (int t = bpt_fast_index(); bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int n = 0; n < COUNTS; ++n)
            for (int c = 0; c < BPT_OPTIMIZER_CASES; ++c) {
                const bpt_optimizer_case *what = &bpt_optimizer_cases[c];
                bpt_update_values before =
                    bpt_update_random(device->backend->traits.parameter_type, &what->hyper, counts[n], 101);
                bpt_update_values got = before, want = before;
                bpi_step_state state = state_before(), of_judge = state_before();
                bpt_update_step(device, &what->hyper, &got, &state);
                bpt_update_step(judge, &what->hyper, &want, &of_judge);
                compare(device, what, &of_judge, &before, &got, &want);
                bpt_clean();
            }
        bpt_close(device);
    }
    bpt_close(judge);
}

/* The bits of an update that decays all before the border, and of one that decays nothing behind it. */
static void compare_at_border(bpt_device *device, const bpt_optimizer_case *what, const bpt_update_values *before)
{
    bpi_hyper without = what->hyper;
    without.weight_decay = 0.0;
    bpt_update_values got = *before, all = *before, none = *before;
    bpi_step_state state = state_before(), of_all = state_before(), of_none = state_before();
    all.decayed = before->count;
    bpt_update_step(device, &what->hyper, &got, &state);
    bpt_update_step(device, &what->hyper, &all, &of_all);
    bpt_update_step(device, &without, &none, &of_none);
    int64_t border = before->decayed, rest = before->count - border;
    double *arrays[3][3] = {{got.parameters, all.parameters, none.parameters},
                            {got.state1, all.state1, none.state1},
                            {got.state2, all.state2, none.state2}};
    for (int a = 0; a <= bpt_states_of(&what->hyper); ++a) {
        bpt_same_bits(arrays[a][0], arrays[a][1], border, "%s %s, array %d, decayed part", device->target->name,
                      what->name, a);
        bpt_same_bits(arrays[a][0] + border, arrays[a][2] + border, rest, "%s %s, array %d, rest", device->target->name,
                      what->name, a);
    }
    int64_t differ = 0;
    for (int64_t k = 0; k < before->count; ++k)
        differ += all.parameters[k] != none.parameters[k];
    cr_assert_gt(differ, before->count / 2, "%s %s: the decay is to be seen", device->target->name, what->name);
}

Test(update, decays_the_first_so_many_elements_alone)
{
    /* within a chunk of the cpu backend, at its end, and beyond it */
    static const int64_t borders[][2] = {{33, 8}, {33, 32}, {1000, 504}, {20001, 16384}, {40001, 20008}};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (size_t n = 0; n < sizeof borders / sizeof *borders; ++n)
            for (int c = 0; c < BPT_OPTIMIZER_CASES; ++c) {
                const bpt_optimizer_case *what = &bpt_optimizer_cases[c];
                if (what->hyper.weight_decay == 0.0)
                    continue;
                bpt_update_values before = bpt_update_random(device->backend->traits.parameter_type, &what->hyper,
                                                             borders[n][0], 104 + (uint64_t)n);
                before.decayed = borders[n][1];
                compare_at_border(device, what, &before);
                bpt_clean();
            }
        bpt_close(device);
    }
}

/* ---------------------------------------------------------------- moving averages */

static bpt_update_values with_average(bpi_type type, const bpi_hyper *hyper, int64_t count, int64_t behind)
{
    bpt_update_values values = bpt_update_random(type, hyper, count + behind, 105);
    bpt_random random = {106};
    values.count = values.decayed = count;
    values.behind = behind;
    values.average = bpt_uniform(&random, type, -1.0, 1.0, count + behind);
    return values;
}

static void compare_averages(bpt_device *device, bpt_device *judge, const bpt_optimizer_case *what, int64_t step,
                             int64_t count, int64_t behind)
{
    bpi_hyper hyper = what->hyper;
    hyper.average_decay = 0.97;
    /* of steps in the warm-up, and behind it: the largest of 0.03 and 9 / (10 + step) */
    double weight = step < 291 ? 9.0 / (10.0 + (double)step) : 0.03;
    bpt_update_values before = with_average(device->backend->traits.parameter_type, &hyper, count, behind);
    bpt_update_values got = before, want = before, without = before;
    without.average = NULL;
    bpi_step_state state = state_before();
    state.step = step - 1;
    bpi_step_state of_judge = state, of_without = state;
    bpt_update_step(device, &hyper, &got, &state);
    bpt_update_step(judge, &hyper, &want, &of_judge);
    bpt_update_step(device, &hyper, &without, &of_without);
    const char *name = device->target->name;
    bpt_same_bits(got.parameters, without.parameters, count + behind, "%s %s: the update itself", name, what->name);
    double *bound = bpt_doubles(count + behind);
    for (int64_t k = 0; k < count + behind; ++k) {
        double off = fabs(got.parameters[k] - want.parameters[k]); /* judged above, by the update's own test */
        bound[k] = bpi_average_bound(&device->roundoff, weight, before.average[k], want.parameters[k], off);
    }
    bpt_compare(got.average, want.average, bound, count + behind, "%s %s averages", name, what->name);
}

Test(update, averages_the_parameters_and_what_lies_behind_them_within_the_bound_of_the_reference)
{
    /* what lies behind: nothing, a part of a chunk, more than one chunk of the cpu backend */
    static const int64_t sizes[][2] = {{1, 0}, {33, 0}, {1000, 24}, {16384, 16}, {4099, 0}, {10000, 20003}};
    bpt_device *judge = bpt_open(bpt_reference(), 1);
    for (int t = bpt_fast_index(); bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (size_t n = 0; n < sizeof sizes / sizeof *sizes; ++n)
            for (int c = 0; c < BPT_OPTIMIZER_CASES; ++c) {
                compare_averages(device, judge, &bpt_optimizer_cases[c], c % 2 ? 5 : 1000, sizes[n][0], sizes[n][1]);
                bpt_clean();
            }
        bpt_close(device);
    }
    bpt_close(judge);
}

/* ---------------------------------------------------------------- running values */

/* Where the step is made, what lies behind the parameters becomes `running`, bit for bit, and the average follows it.
 */
static void compare_running(bpt_device *device, const bpt_optimizer_case *what, int64_t count, int64_t behind,
                            bool averages, bool nonfinite)
{
    bpi_type type = device->backend->traits.parameter_type;
    bpi_hyper hyper = what->hyper;
    bpt_random random = {107};
    hyper.average_decay = 0.25; /* of step 5: below 6/15 */
    bpt_update_values before = with_average(type, &hyper, count, behind);
    before.running = bpt_uniform(&random, type, -1.0, 1.0, behind);
    before.average = averages ? before.average : NULL;
    if (nonfinite) {
        before.gradients[count - 1] = (double)NAN;
        before.running[0] = (double)NAN;
    }
    bpt_update_values got = before;
    bpi_step_state state = state_before();
    state.passes = 3;
    state.batches = 40;
    bpt_update_step(device, &hyper, &got, &state);
    const char *name = device->target->name;
    cr_assert(state.batches == (nonfinite ? 40 : 43) && state.passes == 3, "%s", name);
    bpt_same_bits(got.parameters + count, nonfinite ? before.parameters + count : before.running, behind,
                  "%s %s: running values", name, what->name);
    double *bound = bpt_doubles(behind), *want = bpt_doubles(behind);
    for (int64_t k = 0; averages && k < behind; ++k) {
        double old = before.average[count + k];
        want[k] = nonfinite ? old : old + 0.75 * (before.running[k] - old);
        bound[k] = nonfinite ? 0.0 : bpi_average_bound(&device->roundoff, 0.75, old, before.running[k], 0.0);
    }
    if (averages)
        bpt_compare(got.average + count, want, bound, behind, "%s %s: their averages", name, what->name);
}

Test(update, takes_running_values_over_where_the_step_is_made)
{
    /* within a chunk of the cpu backend, from one into the next, and more than one */
    static const int64_t sizes[][2] = {{1000, 24}, {16376, 32}, {10000, 20003}};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (size_t n = 0; n < sizeof sizes / sizeof *sizes; ++n)
            for (int c = 0; c < BPT_OPTIMIZER_CASES; ++c)
                for (int k = 0; k < 4; ++k) {
                    compare_running(device, &bpt_optimizer_cases[c], sizes[n][0], sizes[n][1], k & 1, k & 2);
                    bpt_clean();
                }
        bpt_close(device);
    }
}

Test(update, step_begin_copies_running_values_and_counts_the_passes)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int64_t count = 8; count <= 40008; count += 20000) {
            bpt_random random = {108};
            double *values = bpt_uniform(&random, device->backend->traits.parameter_type, -1.0, 1.0, count);
            bpt_matrix kept = bpt_parameters(device, 1, count, 1, values),
                       moved = bpt_parameters(device, 1, count, 1, NULL);
            bpi_step_state state = state_before();
            bpi_step_state *memory = bpt_upload(device, &state, sizeof state);
            bpi_running running = {kept.view.data, moved.view.data, kept.view.ld, 3};
            BPT_RUN(device, step_begin, memory, &running);
            bpt_download(device, memory, sizeof state, &state);
            cr_assert(state.loss_sum == 0.0 && state.correct == 0 && state.passes == 3 && state.step == 4, "%s",
                      device->target->name);
            bpt_same_bits(values, bpt_get(&moved), count, "%s", device->target->name);
            BPT_RUN(device, step_begin, memory, NULL);
            bpt_download(device, memory, sizeof state, &state);
            cr_assert(state.passes == 0 && state.step == 4, "%s", device->target->name);
            device->ops->release(device->backend, memory, sizeof state);
            bpt_release(&kept);
            bpt_release(&moved);
            bpt_clean();
        }
        bpt_close(device);
    }
}

/* ---------------------------------------------------------------- first averages, and steps that are not made */

Test(update, copies_the_first_average_and_leaves_averages_where_a_gradient_is_not_finite)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int c = 0; c < BPT_OPTIMIZER_CASES; ++c) {
            bpi_hyper hyper = bpt_optimizer_cases[c].hyper;
            hyper.average_decay = 0.999;
            const char *name = bpt_optimizer_cases[c].name;
            bpt_update_values before = with_average(device->backend->traits.parameter_type, &hyper, 1000, 24);
            bpt_update_values first = before, bad = before;
            bpi_step_state state = {0}, of_bad = state_before();
            bpt_update_step(device, &hyper, &first, &state);
            bpt_same_bits(first.average, first.parameters, 1024, "%s %s, first step", device->target->name, name);
            bad.gradients[7] = (double)NAN;
            bpt_update_step(device, &hyper, &bad, &of_bad);
            bpt_same_bits(bad.average, before.average, 1024, "%s %s, not finite", device->target->name, name);
            bpt_clean();
        }
        bpt_close(device);
    }
}

Test(update, gives_the_same_bits_on_every_run_and_for_1_and_2_threads)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        for (int c = 0; c < BPT_OPTIMIZER_CASES; ++c) {
            const bpi_hyper *hyper = &bpt_optimizer_cases[c].hyper;
            bpt_update_values before = bpt_update_random(one->backend->traits.parameter_type, hyper, 40009, 102);
            bpt_update_values first = before, both = before;
            bpi_step_state state = state_before(), of_both = state_before();
            bpt_update_step(one, hyper, &first, &state);
            bpt_update_step(two, hyper, &both, &of_both);
            cr_assert_eq(memcmp(&state, &of_both, sizeof state), 0, "%s: the step's state differs", one->target->name);
            const char *name = bpt_optimizer_cases[c].name;
            bpt_same_bits(first.parameters, both.parameters, before.count, "%s %s, 1 and 2 threads", one->target->name,
                          name);
            for (int s = 0; s < bpt_states_of(hyper); ++s)
                bpt_same_bits(s ? first.state2 : first.state1, s ? both.state2 : both.state1, before.count,
                              "%s %s, 1 and 2 threads, state %d", one->target->name, name, s + 1);
            bpt_clean();
        }
        bpt_close(one);
        bpt_close(two);
    }
}

Test(update, changes_nothing_where_a_gradient_is_not_finite)
{
    const double bad[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int c = 0; c < BPT_OPTIMIZER_CASES; ++c)
            for (int k = 0; k < 3; ++k) {
                const bpt_optimizer_case *what = &bpt_optimizer_cases[c];
                bpt_update_values before =
                    bpt_update_random(device->backend->traits.parameter_type, &what->hyper, 1003, 103);
                before.gradients[1002] = bad[k];
                bpt_update_values after = before;
                bpi_step_state state = state_before();
                bpt_update_step(device, &what->hyper, &after, &state);
                cr_assert(state.nonfinite == 1 && state.step == 4, "%s %s: nonfinite %lld, step %lld",
                          device->target->name, what->name, (long long)state.nonfinite, (long long)state.step);
                bpt_same_bits(before.parameters, after.parameters, 1003, "%s %s", device->target->name, what->name);
                if (after.state1)
                    bpt_same_bits(before.state1, after.state1, 1003, "%s %s", device->target->name, what->name);
                if (after.state2)
                    bpt_same_bits(before.state2, after.state2, 1003, "%s %s", device->target->name, what->name);
            }
        bpt_close(device);
    }
}

Test(update, leaves_zeros_with_zero_gradient_at_zero)
{
    /* what padding is made of: no optimiser may move it, not by its epsilon and not by a NaN of 0 / 0 */
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        for (int c = 0; c < BPT_OPTIMIZER_CASES; ++c) {
            bpt_update_values values = {
                .count = 9, .decayed = 9, .parameters = bpt_doubles(9), .gradients = bpt_doubles(9)};
            values.state1 = bpt_states_of(&bpt_optimizer_cases[c].hyper) > 0 ? bpt_doubles(9) : NULL;
            values.state2 = bpt_states_of(&bpt_optimizer_cases[c].hyper) > 1 ? bpt_doubles(9) : NULL;
            bpi_step_state state = {0};
            bpt_update_step(device, &bpt_optimizer_cases[c].hyper, &values, &state);
            for (int k = 0; k < 9; ++k)
                cr_assert(values.parameters[k] == 0.0, "%s %s: %g", device->target->name, bpt_optimizer_cases[c].name,
                          values.parameters[k]);
            cr_assert(state.step == 1 && state.nonfinite == 0 && state.clip_factor == 1.0);
        }
        bpt_close(device);
    }
}
