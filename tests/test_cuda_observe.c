/* Steps on the CUDA backend, observed and not, of networks with and without blocks, in f32 and in bf16: each is one
 * launch of a graph, waits for nothing and allocates nothing, on the host or on the device; steps that are observed are
 * graphs of their own, and those in between run no operation more than without an observatory. Runs where BP_TEST_CUDA
 * names the plug-in; the counts, on cuemu alone. */
#include <criterion/criterion.h>

#include "host/observe.h"
#include "support/cuemu.h"
#include "support/hooks.h"
#include "support/run.h"

enum { ROWS = 48, INPUTS = 13, CLASSES = 5, EVERY = 4, RECORDED = 8, LAST = 12 };

typedef struct training {
    bpt_hooks hooks;
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

static void open_training(training *t, const char *layers, bp_precision precision, bool observed)
{
    *t = (training){.told = 0};
    bp_context_options where = {.struct_size = sizeof where,
                                .backend = "cuda",
                                .precision = precision,
                                .allocator = bpt_hooks_allocator(&t->hooks),
                                .plugin_dir = BP_BINARY_DIR};
    bp_status status = bp_context_create(&where, &t->context);
    bpt_ok(t->context, status, "context");
    bp_model_options model = {
        .struct_size = sizeof model, .inputs = INPUTS, .layers = layers, .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY};
    bpt_ok(t->context, bp_model_create(t->context, &model, &t->model), "model");
    t->data = bpt_classes(t->context, ROWS, INPUTS, CLASSES, 7);
    bp_trainer_options options = {.struct_size = sizeof options,
                                  .batch = ROWS,
                                  .optimizer = BP_OPTIMIZER_ADAMW,
                                  .weight_decay = 0.01,
                                  .clip_norm = 1.0,
                                  .ema_decay = 0.9,
                                  .schedule = BP_SCHEDULE_COSINE,
                                  .total_steps = 20};
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
    cr_assert_eq(t->hooks.live, 0);
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

/* A step from the call until the device is done with it: its kernels, those that the graph launched too. What a step
 * must never do is asked before anybody waits. */
static int64_t kernels_of_step(training *t, const char *what, int number)
{
    finish(t);
    bpt_reset_counts();
    int64_t before = t->hooks.calls;
    step(t);
    static const char *const never[] = {"synchronisations", "allocations", "frees", "pinned_allocations"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        cr_assert_eq(bpt_count("host", never[i]), 0, "%s, step %d: %lld %s", what, number,
                     (long long)bpt_count("host", never[i]), never[i]);
    cr_assert_eq(t->hooks.calls, before, "%s, step %d: %lld allocations of the host", what, number,
                 (long long)(t->hooks.calls - before));
    finish(t);
    cr_assert_eq(bpt_count("host", "graph_launches"), 1, "%s, step %d: %lld graphs", what, number,
                 (long long)bpt_count("host", "graph_launches"));
    return bpt_count("host", "kernel_launches");
}

static void check_steps(training *plain, training *observed, const char *what)
{
    for (int s = RECORDED + 1; s <= LAST; s++) {
        int64_t without = kernels_of_step(plain, what, s), with = kernels_of_step(observed, what, s);
        cr_assert(without > 0, "%s: nothing was counted", what);
        if (s % EVERY)
            cr_assert_eq(with, without, "%s, step %d: %lld launches, %lld without", what, s, (long long)with,
                         (long long)without);
        else
            cr_assert_gt(with, without, "%s: step %d is observed", what, s);
    }
    cr_assert_geq(observed->told, 3, "%s: told %d times without waiting, of 1, 4 and 8 at least", what, observed->told);
    bp_step_result result;
    bpt_ok(observed->context, bp_trainer_result(observed->trainer, &result), "result");
    cr_assert_eq(observed->told, 4, "%s: told %d times", what, observed->told);
}

static const char *const networks[] = {
    "33:relu,17:tanh,5",
    "33:relu:bn,33:gelu:ln:skip,17:sigmoid:dropout=0.2,17:relu:nobias:bn:dropout=0.1:skip=3,5",
    "20:silu:ln:dropout=0.3,20:tanh:skip,5:identity:bn",
};

static void train_and_count(const char *layers, bp_precision precision)
{
    training plain, observed;
    open_training(&plain, layers, precision, false);
    open_training(&observed, layers, precision, true);
    for (int s = 0; s < RECORDED; s++) { /* by then both kinds of step are recorded: 1, 4 and 8 were observed */
        step(&plain);
        step(&observed);
    }
    if (bpt_on_cuemu()) {
        char what[160];
        snprintf(what, sizeof what, "%s in %s", layers, bp_precision_name(precision));
        check_steps(&plain, &observed, what);
    }
    close_training(&plain);
    close_training(&observed);
}

Test(cuda_observe, never_waits_or_allocates_and_adds_nothing_to_steps_that_are_not_observed)
{
    bpt_skip_without_cuda("cuda_test_cuda_observe_lazy");
    for (size_t n = 0; n < sizeof networks / sizeof *networks; n++) {
        train_and_count(networks[n], BP_PRECISION_F32);
        train_and_count(networks[n], BP_PRECISION_BF16);
    }
}
