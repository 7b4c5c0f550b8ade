/* observe_gradients and observe_update: what a step that nobody looks at does, to the bit, and sums by tensor within
 * the bounds of ops.h of those in long double. */
#include "support/judge.h"
#include "support/observe.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(observe_update, .fini = bpt_clean);

static bpt_update_values values_of(const bpt_device *device, const bpi_hyper *hyper, int64_t more, uint64_t seed)
{
    bpi_observed_range ranges[BPT_TENSORS];
    int64_t count = bpt_tensors_of(device, more, ranges);
    bpt_update_values values = bpt_update_random(device->backend->traits.parameter_type, hyper, count, seed);
    for (int64_t k = 0; k < count; k += 1 + k % 7) /* zeros of both signs, everywhere */
        values.gradients[k] = k % 2 ? 0.0 : -0.0;
    return values;
}

typedef struct exact {
    long double squares, sum, sizes, weights, moves, move_bound;
    double largest;
    int64_t zeros, nonfinite;
} exact;

static exact exact_of(bpi_observed_range range, const bpt_update_values *before, const double *after)
{
    exact e = {0};
    for (int64_t k = range.offset; k < range.offset + range.count; ++k) {
        long double weight = (long double)before->parameters[k], move = (long double)after[k] - weight;
        double g = before->gradients[k];
        e.weights += weight * weight;
        e.moves += move * move;
        if (!isfinite(g)) {
            e.nonfinite += 1;
            continue;
        }
        e.squares += (long double)g * (long double)g;
        e.sum += (long double)g;
        e.sizes += fabsl((long double)g);
        e.largest = fmax(e.largest, fabs(g));
        e.zeros += g == 0.0;
    }
    return e;
}

static void compare(const char *words, int64_t count, const bpi_tensor_sums *got, const exact *want)
{
    /* squares are exact or rounded once, each addition once; the difference of two parameters once more, squared */
    double unit = (double)(count + 8) * 0x1p-53;
    double sums[4] = {got->square_sum, got->sum, got->weight_square_sum, got->move_square_sum};
    double exact_sums[4] = {(double)want->squares, (double)want->sum, (double)want->weights, (double)want->moves};
    double bounds[4] = {unit * (double)want->squares, unit * (double)want->sizes, unit * (double)want->weights,
                        unit * (double)want->moves};
    bpt_compare(sums, exact_sums, bounds, 4, "%s: sums", words);
    cr_assert(got->largest == want->largest, "%s: largest %g, should be %g", words, got->largest, want->largest);
    cr_assert_eq(got->zeros, want->zeros, "%s: %lld zeros, should be %lld", words, (long long)got->zeros,
                 (long long)want->zeros);
    cr_assert_eq(got->nonfinite, want->nonfinite, "%s: %lld not finite, should be %lld", words,
                 (long long)got->nonfinite, (long long)want->nonfinite);
}

static void check(bpt_device *device, const char *name, const bpt_update_values *before, const bpt_observed *after)
{
    bpi_observed_range ranges[BPT_TENSORS];
    bpt_tensors_of(device, before->count - bpt_tensors_of(device, 0, ranges), ranges);
    for (int t = 0; t < BPT_TENSORS; ++t) {
        char words[128];
        exact want = exact_of(ranges[t], before, after->values.parameters);
        snprintf(words, sizeof words, "%s %s tensor %d", device->target->name, name, t);
        compare(words, ranges[t].count, &after->sums[t], &want);
    }
}

/* What update_prepare and update make of the same values. */
static void same_as_unobserved(bpt_device *device, const bpt_optimizer_case *what, const bpt_update_values *before,
                               const bpi_step_state *state, const bpt_observed *after)
{
    const char *device_name = device->target->name;
    bpt_update_values plain = *before;
    bpi_step_state of_plain = *state;
    bpt_update_step(device, &what->hyper, &plain, &of_plain);
    cr_assert_eq(memcmp(&of_plain, &after->state, sizeof of_plain), 0, "%s %s: the step's state", device_name,
                 what->name);
    bpt_same_bits(plain.parameters, after->values.parameters, before->count, "%s %s", device_name, what->name);
    if (plain.state1)
        bpt_same_bits(plain.state1, after->values.state1, before->count, "%s %s state1", device_name, what->name);
    if (plain.state2)
        bpt_same_bits(plain.state2, after->values.state2, before->count, "%s %s state2", device_name, what->name);
}

Test(observe_update, gives_the_bits_of_update_and_sums_within_their_bounds_for_every_optimizer)
{
    const bpi_step_state state = {.step = 4, .loss_sum = 0.5, .correct = 2};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int c = 0; c < BPT_OPTIMIZER_CASES; ++c) {
            const bpt_optimizer_case *what = &bpt_optimizer_cases[c];
            bpt_update_values before = values_of(device, &what->hyper, 0, 301);
            bpt_observed after = bpt_observe_step(device, &what->hyper, &before, &state);
            check(device, what->name, &before, &after);
            same_as_unobserved(device, what, &before, &state, &after);
            bpt_clean();
        }
        bpt_close(device);
    }
}

Test(observe_update, sums_what_is_finite_and_counts_the_rest)
{
    const double bad[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    const bpt_optimizer_case *what = &bpt_optimizer_cases[6];
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpt_update_values before = values_of(device, &what->hyper, 0, 302);
        for (int k = 0; k < 24; ++k)
            before.gradients[(before.count / 24) * k + k % 5] = bad[k % 3];
        bpt_observed after = bpt_observe_step(device, &what->hyper, &before, &(bpi_step_state){.step = 4});
        bpi_observed_range ranges[BPT_TENSORS];
        int64_t found = 0;
        bpt_tensors_of(device, 0, ranges);
        for (int i = 0; i < BPT_TENSORS; ++i) {
            exact want = exact_of(ranges[i], &before, before.parameters);
            double got[2] = {after.sums[i].square_sum, after.sums[i].weight_square_sum};
            double sums[2] = {(double)want.squares, (double)want.weights};
            double unit = (double)(ranges[i].count + 8) * 0x1p-53, bounds[2] = {unit * sums[0], unit * sums[1]};
            bpt_compare(got, sums, bounds, 2, "%s tensor %d", device->target->name, i);
            cr_assert_eq(after.sums[i].nonfinite, want.nonfinite);
            cr_assert(after.sums[i].largest == want.largest && after.sums[i].zeros == want.zeros);
            cr_assert(after.sums[i].move_square_sum == 0.0, "%s: moved, and the step is skipped", device->target->name);
            found += after.sums[i].nonfinite;
        }
        cr_assert_eq(found, 24);
        cr_assert(after.state.nonfinite == 1 && after.state.step == 4);
        bpt_close(device);
    }
}

/* So many that cuda has more partial sums of a tensor than threads to add them: a thread adds two. */
Test(observe_update, sums_each_of_a_million_elements_once)
{
    enum { MORE = 950000 };
    const bpt_optimizer_case *what = &bpt_optimizer_cases[0];
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpt_update_values before = values_of(device, &what->hyper, MORE, 305);
        bpt_observed after = bpt_observe_step(device, &what->hyper, &before, &(bpi_step_state){.step = 4});
        check(device, what->name, &before, &after);
        bpt_close(device);
        bpt_clean();
    }
}

/* Those that follow it in the same thread must not make up for it. */
Test(observe_update, finds_a_single_nan_before_all_others)
{
    const bpt_optimizer_case *what = &bpt_optimizer_cases[6];
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpt_update_values before = values_of(device, &what->hyper, 0, 304);
        before.gradients[0] = (double)NAN;
        bpt_observed after = bpt_observe_step(device, &what->hyper, &before, &(bpi_step_state){.step = 4});
        cr_assert(after.sums[0].nonfinite == 1 && after.state.nonfinite == 1, "%s", device->target->name);
        bpt_close(device);
    }
}

Test(observe_update, gives_the_same_bits_on_every_run_and_for_1_and_2_threads)
{
    const bpt_optimizer_case *what = &bpt_optimizer_cases[11];
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        bpt_update_values before = values_of(one, &what->hyper, 0, 303);
        const bpi_step_state state = {.step = 9};
        bpt_observed first = bpt_observe_step(one, &what->hyper, &before, &state);
        bpt_observed again = bpt_observe_step(one, &what->hyper, &before, &state);
        bpt_observed both = bpt_observe_step(two, &what->hyper, &before, &state);
        cr_assert_eq(memcmp(first.sums, again.sums, sizeof first.sums), 0, "%s, two runs", one->target->name);
        cr_assert_eq(memcmp(first.sums, both.sums, sizeof first.sums), 0, "%s, 1 and 2 threads", one->target->name);
        bpt_close(one);
        bpt_close(two);
        bpt_clean();
    }
}
