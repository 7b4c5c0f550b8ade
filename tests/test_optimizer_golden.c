/* The reference's optimisers, clipping and schedules against PyTorch's in double, tests/golden/optimizer.json. */
#include "support/golden.h"
#include "support/judge.h"
#include "support/update.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(optimizer_golden, .fini = bpt_clean);

enum { STEPS = 20, SIZE = 7, RATES = 24 };

static int index_of(const char *word, const char *(*name)(int))
{
    for (int k = 0; name(k); ++k)
        if (strcmp(word, name(k)) == 0)
            return k;
    cr_assert_fail("no such word: %s", word);
    return -1;
}

static const char *optimizer_word(int k)
{
    return bp_optimizer_name((bp_optimizer)k);
}

static const char *schedule_word(int k)
{
    return bp_schedule_name((bp_schedule)k);
}

static bpi_hyper hyper_of(const json_t *settings)
{
    bpi_hyper hyper = {
        .lr = bpt_golden_number(settings, "lr", 0.0),
        .momentum = bpt_golden_number(settings, "momentum", 0.0),
        .beta1 = bpt_golden_number(settings, "beta1", 0.9),
        .beta2 = bpt_golden_number(settings, "beta2", 0.999),
        .epsilon = bpt_golden_number(settings, "epsilon", 1e-8),
        .weight_decay = bpt_golden_number(settings, "weight_decay", 0.0),
        .nesterov = bpt_golden_number(settings, "nesterov", 0.0) > 0.0,
        .clip_norm = bpt_golden_number(settings, "clip_norm", 0.0),
        .clip_value = bpt_golden_number(settings, "clip_value", 0.0),
        .warmup_steps = (int64_t)bpt_golden_number(settings, "warmup_steps", 0.0),
        .total_steps = (int64_t)bpt_golden_number(settings, "total_steps", 0.0),
        .schedule_step = (int64_t)bpt_golden_number(settings, "schedule_step", 1.0),
        .schedule_gamma = bpt_golden_number(settings, "schedule_gamma", 0.1),
    };
    const char *optimizer = json_string_value(json_object_get(settings, "optimizer"));
    const char *schedule = json_string_value(json_object_get(settings, "schedule"));
    hyper.optimizer = optimizer ? (bp_optimizer)index_of(optimizer, optimizer_word) : BP_OPTIMIZER_SGD;
    hyper.schedule = schedule ? (bp_schedule)index_of(schedule, schedule_word) : BP_SCHEDULE_CONSTANT;
    return hyper;
}

/* 1e-12 of the array's largest element. */
static double *golden_bound(const double *want, int64_t count)
{
    double largest = 0.0, *bound = bpt_doubles(count);
    for (int64_t k = 0; k < count; ++k)
        largest = fmax(largest, fabs(want[k]));
    for (int64_t k = 0; k < count; ++k)
        bound[k] = 1e-12 * largest;
    return bound;
}

static void follow(bpt_device *device, const json_t *golden)
{
    const char *name = json_string_value(json_object_get(golden, "name"));
    bpi_hyper hyper = hyper_of(json_object_get(golden, "settings"));
    double *gradients = bpt_golden_doubles(json_object_get(golden, "gradients"), STEPS * SIZE);
    double *want = bpt_golden_doubles(json_object_get(golden, "parameters"), STEPS * SIZE);
    double *norms = bpt_golden_doubles(json_object_get(golden, "norms"), STEPS);
    bpt_update_values values = {.count = SIZE, .decayed = SIZE};
    values.parameters = bpt_golden_doubles(json_object_get(golden, "start"), SIZE);
    values.state1 = bpt_states_of(&hyper) > 0 ? bpt_doubles(SIZE) : NULL;
    values.state2 = bpt_states_of(&hyper) > 1 ? bpt_doubles(SIZE) : NULL;
    bpi_step_state state = {0};
    for (int64_t s = 0; s < STEPS; ++s) {
        values.gradients = gradients + s * SIZE;
        bpt_update_step(device, &hyper, &values, &state);
        bpt_compare(values.parameters, want + s * SIZE, golden_bound(want + s * SIZE, SIZE), SIZE, "%s, step %lld",
                    name, (long long)s + 1);
        bpt_compare(&state.grad_norm, &norms[s], golden_bound(&norms[s], 1), 1, "%s, norm of step %lld", name,
                    (long long)s + 1);
    }
}

Test(optimizer_golden, trajectories_are_those_of_pytorch)
{
    json_t *root = bpt_golden_load("optimizer.json");
    const json_t *optimizers = json_object_get(root, "optimizers");
    cr_assert_geq(json_array_size(optimizers), 15);
    bpt_device *device = bpt_open(bpt_reference(), 1);
    for (size_t k = 0; k < json_array_size(optimizers); ++k)
        follow(device, json_array_get(optimizers, k));
    bpt_close(device);
    json_decref(root);
}

Test(optimizer_golden, learning_rates_are_those_of_pytorch)
{
    json_t *root = bpt_golden_load("optimizer.json");
    const json_t *schedules = json_object_get(root, "schedules");
    cr_assert_geq(json_array_size(schedules), 6);
    bpt_device *device = bpt_open(bpt_reference(), 1);
    for (size_t k = 0; k < json_array_size(schedules); ++k) {
        const json_t *golden = json_array_get(schedules, k);
        bpi_hyper hyper = hyper_of(json_object_get(golden, "settings"));
        double *want = bpt_golden_doubles(json_object_get(golden, "rates"), RATES), *got = bpt_doubles(RATES);
        const double gradient = 1.0;
        for (int64_t s = 0; s < RATES; ++s) {
            bpi_step_state state = {.step = s};
            bpt_update_prepare(device, &hyper, &gradient, 1, &state);
            got[s] = state.lr;
        }
        bpt_compare(got, want, golden_bound(want, RATES), RATES, "%s",
                    json_string_value(json_object_get(golden, "name")));
    }
    bpt_close(device);
    json_decref(root);
}
