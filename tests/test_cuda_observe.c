/* Observed steps on the CUDA backend: recorded as graphs of their own, without a wait on any step and without an
 * operation more on the steps in between. Runs where BP_TEST_CUDA names the plug-in; the counts, on cuemu alone. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>

#include "cuemu/cuemu_api.h"
#include "host/observe.h"
#include "support/run.h"

enum { ROWS = 48, INPUTS = 13, CLASSES = 5, EVERY = 4 };

typedef struct training {
    bp_context *context;
    bp_model *model;
    bp_data *data;
    bp_trainer *trainer;
    int told;
} training;

static void take(void *user, const bp_observation *observation)
{
    training *t = user;
    int64_t step = t->told == 0 ? 1 : (int64_t)t->told * EVERY;
    cr_assert_eq(observation->step, step);
    t->told++;
}

static void open_training(training *t, bool observed)
{
    *t = (training){.context = bpt_context("cuda", 1)};
    bp_model_options model = {.struct_size = sizeof model,
                              .inputs = INPUTS,
                              .layers = "33:relu,17:tanh,5",
                              .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY};
    bpt_ok(t->context, bp_model_create(t->context, &model, &t->model), "model");
    t->data = bpt_classes(t->context, ROWS, INPUTS, CLASSES, 7);
    bp_trainer_options options = {.struct_size = sizeof options, .batch = ROWS, .lr = 0.1};
    bpt_ok(t->context, bp_trainer_create(t->model, &options, &t->trainer), "trainer");
    bp_observe_options observe = {.struct_size = sizeof observe, .every = EVERY, .callback = take, .user = t};
    if (observed)
        bpt_ok(t->context, bp_trainer_observe(t->trainer, &observe), "observe");
}

static void close_training(training *t)
{
    bp_trainer_destroy(t->trainer);
    bp_data_destroy(t->data);
    bp_model_destroy(t->model);
    bp_context_destroy(t->context);
}

static void step(training *t)
{
    bpt_ok(t->context, bp_trainer_step_data(t->trainer, t->data, NULL, 0, ROWS), "step");
}

static void finish(training *t)
{
    bpi_backend *backend = t->context->backend;
    bpt_ok(t->context, backend->ops->synchronize(backend), "synchronize");
}

static cuemu_counter_fn *counter;
static cuemu_reset_counters_fn *reset;

static bool counts(void)
{
    void *runtime = dlopen("libcudart.so.13", RTLD_NOW | RTLD_NOLOAD);
    cr_assert_not_null(runtime, "%s", dlerror());
    *(void **)&counter = dlsym(runtime, "cuemu_counter");
    *(void **)&reset = dlsym(runtime, "cuemu_reset_counters");
    return counter && reset;
}

/* A step from the call until the device is done with it, and what it counted before anybody waited. */
typedef struct cost {
    long long synchronisations, allocations, graph_launches, kernels;
} cost;

static cost cost_of_step(training *t)
{
    reset();
    step(t);
    cost c = {(long long)counter("host", "synchronisations"), (long long)counter("host", "allocations"), 0, 0};
    finish(t);
    c.graph_launches = (long long)counter("host", "graph_launches");
    c.kernels = (long long)counter("host", "kernel_launches");
    return c;
}

Test(cuda_observe, never_waits_and_adds_nothing_to_steps_that_are_not_observed)
{
    if (!getenv("BP_TEST_CUDA"))
        cr_skip_test("BP_TEST_CUDA does not name the CUDA plug-in: cuda_test_cuda_observe runs this on cuemu");
    training plain, observed;
    open_training(&plain, false);
    open_training(&observed, true);
    for (int s = 0; s < 8; s++) { /* by then both kinds of step are recorded: 1, 4 and 8 were observed */
        step(&plain);
        step(&observed);
    }
    finish(&observed);
    finish(&plain);
    if (counts()) {
        for (int s = 9; s <= 12; s++) {
            cost without = cost_of_step(&plain), with = cost_of_step(&observed);
            cr_assert(with.synchronisations == 0 && with.allocations == 0, "step %d waits %lld times", s,
                      with.synchronisations);
            cr_assert(with.graph_launches == 1 && without.graph_launches == 1, "step %d: one graph", s);
            cr_assert(without.kernels > 0, "nothing was counted");
            if (s < 12)
                cr_assert_eq(with.kernels, without.kernels, "step %d: %lld launches, %lld without", s, with.kernels,
                             without.kernels);
            else
                cr_assert_gt(with.kernels, without.kernels, "step 12 is observed");
        }
        cr_assert_geq(observed.told, 3, "told %d times without waiting, of 1, 4 and 8 at least", observed.told);
        bp_step_result result;
        bpt_ok(observed.context, bp_trainer_result(observed.trainer, &result), "result");
        cr_assert_eq(observed.told, 4, "told %d times", observed.told);
    }
    close_training(&plain);
    close_training(&observed);
}
