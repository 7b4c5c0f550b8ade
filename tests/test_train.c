/* test_train.c: whole training runs: they learn, they repeat to the bit, they go on where they stopped, and a step
 * allocates nothing. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/judge.h"
#include "support/run.h"

enum { ROWS = 1000, INPUTS = 13, CLASSES = 7 };

#define LAYERS "33:relu,17:tanh,7"

static const char *const backends[] = {"reference", "cpu"};

/* Every optimiser and option that changes the step; batch 96 leaves a smaller last batch. */
static const bp_trainer_options recipes[] = {
    {.batch = 96, .lr = 0.1},
    {.batch = 96, .lr = 0.1, .momentum = 0.9, .clip_norm = 1.0},
    {.batch = 32, .accumulate = 3, .lr = 0.1, .momentum = 0.9, .nesterov = true, .weight_decay = 1e-4},
    {.batch = 96, .optimizer = BP_OPTIMIZER_ADAM, .lr = 0.01, .schedule = BP_SCHEDULE_COSINE, .total_steps = 44},
    {.batch = 96,
     .optimizer = BP_OPTIMIZER_ADAMW,
     .lr = 0.01,
     .weight_decay = 0.01,
     .clip_value = 0.5,
     .warmup_steps = 5},
    {.batch = 96, .optimizer = BP_OPTIMIZER_ADAM, .lr = 0.01, .ema_decay = 0.9},
};

enum { RECIPES = sizeof recipes / sizeof recipes[0] };

typedef struct run {
    bp_context *context;
    bp_model *model;
    bp_trainer *trainer;
    bp_data *data;
} run;

static run open_run(const char *backend, int threads, const bp_trainer_options *recipe)
{
    run r = {.context = bpt_context(backend, threads)};
    bp_model_options model = {.struct_size = sizeof model, .inputs = INPUTS, .layers = LAYERS, .seed = 5};
    bp_trainer_options options = *recipe;
    options.struct_size = sizeof options;
    options.seed = 9;
    BPT_OK(r.context, bp_model_create(r.context, &model, &r.model));
    BPT_OK(r.context, bp_trainer_create(r.model, &options, &r.trainer));
    r.data = bpt_classes(r.context, ROWS, INPUTS, CLASSES, 1);
    return r;
}

static void close_run(run *r)
{
    bp_data_destroy(r->data);
    bp_trainer_destroy(r->trainer);
    bp_model_destroy(r->model);
    bp_context_destroy(r->context);
}

static void train(run *r, int64_t epochs)
{
    bp_train_options options = {.struct_size = sizeof options, .epochs = epochs};
    BPT_OK(r->context, bp_train(r->trainer, r->data, &options));
}

static double *trained_parameters(const char *backend, int threads, const bp_trainer_options *recipe, int64_t *count)
{
    run r = open_run(backend, threads, recipe);
    train(&r, 4);
    double *values = bpt_model_parameters(r.context, r.model, count);
    close_run(&r);
    return values;
}

Test(train, learns_with_every_optimiser_on_every_backend)
{
    for (size_t b = 0; b < sizeof backends / sizeof backends[0]; b++)
        for (int i = 0; i < RECIPES; i++) {
            run r = open_run(backends[b], 2, &recipes[i]);
            bp_evaluation before, after;
            BPT_OK(r.context, bp_evaluate(r.model, r.data, &before));
            train(&r, 4);
            BPT_OK(r.context, bp_evaluate(r.model, r.data, &after));
            cr_expect_lt(after.loss, 0.7 * before.loss, "%s recipe %d: loss %g to %g", backends[b], i, before.loss,
                         after.loss);
            cr_expect_gt(after.accuracy, before.accuracy + 0.2, "%s recipe %d", backends[b], i);
            cr_expect_eq(bp_trainer_epochs_done(r.trainer), 4);
            cr_expect_eq(bp_trainer_steps_done(r.trainer), 4 * 11, "%s recipe %d", backends[b], i);
            close_run(&r);
        }
}

Test(train, ends_in_the_same_bits_twice_and_for_1_and_2_threads)
{
    for (int i = 0; i < RECIPES; i++) {
        int64_t count;
        double *first = trained_parameters("cpu", 2, &recipes[i], &count);
        double *again = trained_parameters("cpu", 2, &recipes[i], &count);
        double *alone = trained_parameters("cpu", 1, &recipes[i], &count);
        bpt_same_bits(first, again, count, "recipe %d, the same run again", i);
        bpt_same_bits(first, alone, count, "recipe %d, with one thread", i);
        free(alone);
        free(again);
        free(first);
    }
}

/* ---------------------------------------------------------------- interrupted */

static bool stop_at_step_7_of_epoch_2(void *user, const bp_progress *progress)
{
    (void)user;
    return !(progress->epoch == 2 && progress->step_in_epoch == 7);
}

Test(train, goes_on_after_an_interruption_in_the_same_bits)
{
    char path[] = "/tmp/backprop-test-XXXXXX";
    int file = mkstemp(path);
    cr_assert_geq(file, 0);
    close(file);
    for (size_t b = 0; b < sizeof backends / sizeof backends[0]; b++)
        for (int i = 0; i < RECIPES; i++) {
            int64_t count;
            double *whole = trained_parameters(backends[b], 2, &recipes[i], &count);
            run r = open_run(backends[b], 2, &recipes[i]);
            BPT_OK(r.context, bp_data_standardize(r.data, r.model));
            BPT_OK(r.context, bp_model_set_standardization(r.model, NULL, NULL));
            bp_train_options options = {
                .struct_size = sizeof options, .epochs = 4, .progress = stop_at_step_7_of_epoch_2, .checkpoint = path};
            cr_assert_eq(bp_train(r.trainer, r.data, &options), BP_STATUS_CANCELLED);
            close_run(&r);
            r = open_run(backends[b], 2, &recipes[i]);
            BPT_OK(r.context, bp_trainer_load(r.trainer, path));
            cr_assert_eq(bp_trainer_epochs_done(r.trainer), 1);
            train(&r, 4);
            double *resumed = bpt_model_parameters(r.context, r.model, &count);
            bpt_same_bits(whole, resumed, count, "%s recipe %d", backends[b], i);
            free(resumed);
            close_run(&r);
            free(whole);
        }
    unlink(path);
}

Test(train, refuses_to_go_on_with_data_of_another_size)
{
    run r = open_run("cpu", 1, &recipes[0]);
    train(&r, 1);
    bp_data_destroy(r.data);
    r.data = bpt_classes(r.context, ROWS - 1, INPUTS, CLASSES, 1);
    bp_train_options options = {.struct_size = sizeof options, .epochs = 2};
    cr_expect_eq(bp_train(r.trainer, r.data, &options), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_not_null(strstr(bp_last_error(r.context), "1000 samples"), "%s", bp_last_error(r.context));
    close_run(&r);
}

/* ---------------------------------------------------------------- accumulation */

Test(train, accumulates_to_the_mean_over_all_samples_also_with_a_smaller_last_part)
{
    bp_trainer_options whole = {.batch = 100}, parts = {.batch = 32, .accumulate = 4};
    run one = open_run("reference", 1, &whole), many = open_run("reference", 1, &parts);
    BPT_OK(one.context, bp_trainer_gradients_data(one.trainer, one.data, 0, 100));
    BPT_OK(many.context, bp_trainer_gradients_data(many.trainer, many.data, 0, 100));
    bp_step_result a, b;
    BPT_OK(one.context, bp_trainer_result(one.trainer, &a));
    BPT_OK(many.context, bp_trainer_result(many.trainer, &b));
    cr_expect_float_eq(a.loss, b.loss, 1e-13);
    cr_expect_eq(a.accuracy, b.accuracy);
    double first[33 * INPUTS], second[33 * INPUTS], bound[33 * INPUTS];
    BPT_OK(one.context, bp_trainer_get_gradient(one.trainer, "0.weight", first, 33 * INPUTS));
    BPT_OK(many.context, bp_trainer_get_gradient(many.trainer, "0.weight", second, 33 * INPUTS));
    /* Two orders of a sum of 100 terms below 1 in double. */
    for (int i = 0; i < 33 * INPUTS; i++)
        bound[i] = 2.0 * 100.0 * 0x1p-53;
    bpt_compare(second, first, bound, 33 * INPUTS, "0.weight");
    close_run(&one);
    close_run(&many);
}

/* ---------------------------------------------------------------- memory */

typedef struct counter {
    int64_t allocations, live_bytes;
    int64_t fail_at; /* 0: never */
} counter;

static void *count_allocate(void *user, size_t bytes, size_t alignment)
{
    counter *c = user;
    if (++c->allocations == c->fail_at)
        return NULL;
    c->live_bytes += (int64_t)bytes;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void count_release(void *user, void *memory, size_t bytes)
{
    counter *c = user;
    c->live_bytes -= (int64_t)bytes;
    free(memory);
}

static bp_status create_counted(counter *c, const char *backend, bp_context **context)
{
    bp_context_options options = {.struct_size = sizeof options,
                                  .backend = backend,
                                  .threads = 2,
                                  .allocator = {count_allocate, count_release, c}};
    return bp_context_create(&options, context);
}

/* A run whose backend's memory is counted, so far as its model. */
static run open_counted(counter *c, const char *backend, int64_t inputs, const char *layers)
{
    run r = {0};
    bp_status status = create_counted(c, backend, &r.context);
    bpt_ok(r.context, status, backend);
    bp_model_options model = {.struct_size = sizeof model, .inputs = inputs, .layers = layers};
    BPT_OK(r.context, bp_model_create(r.context, &model, &r.model));
    return r;
}

Test(train, allocates_nothing_inside_a_step)
{
    for (size_t b = 0; b < sizeof backends / sizeof backends[0]; b++)
        for (int i = 0; i < RECIPES; i++) {
            counter c = {0};
            run r = open_counted(&c, backends[b], INPUTS, LAYERS);
            r.data = bpt_classes(r.context, ROWS, INPUTS, CLASSES, 1);
            bp_trainer_options options = recipes[i];
            BPT_OK(r.context, bp_trainer_create(r.model, &options, &r.trainer));
            int64_t rows = options.batch * (options.accumulate ? options.accumulate : 1);
            int64_t before = c.allocations;
            for (int step = 0; step < 5; step++)
                BPT_OK(r.context, bp_trainer_step_data(r.trainer, r.data, NULL, step * rows, rows));
            bp_step_result result;
            BPT_OK(r.context, bp_trainer_result(r.trainer, &result));
            cr_expect_eq(c.allocations, before, "%s recipe %d: %lld allocations in 5 steps", backends[b], i,
                         (long long)(c.allocations - before));
            close_run(&r);
            cr_expect_eq(c.live_bytes, 0, "%s recipe %d: everything is given back", backends[b], i);
        }
}

Test(train, plans_the_memory_that_it_takes)
{
    for (size_t b = 0; b < sizeof backends / sizeof backends[0]; b++) {
        counter c = {0};
        run r = open_counted(&c, backends[b], 100, "200:gelu,100:relu,7");
        bp_trainer_options options = {.batch = 1000, .momentum = 0.9};
        bp_memory_plan plan;
        BPT_OK(r.context, bp_trainer_plan(r.model, &options, &plan));
        int64_t before = c.live_bytes;
        BPT_OK(r.context, bp_trainer_create(r.model, &options, &r.trainer));
        double taken = (double)(c.live_bytes - before);
        /* The structs of the trainer and of its plans are not counted: a few KiB. */
        cr_expect_leq(taken, (double)plan.total_bytes + 65536.0, "%s: %.0f taken, %.0f planned", backends[b], taken,
                      (double)plan.total_bytes);
        cr_expect_geq(taken, 0.95 * (double)plan.total_bytes, "%s", backends[b]);
        cr_expect_eq(plan.observe_bytes, 0, "%s", backends[b]);
        close_run(&r);
    }
}

/* Of units and tensors by the thousand, so that the figures themselves are not lost in what is not counted. */
Test(train, plans_the_memory_of_an_observed_trainer)
{
    for (size_t b = 0; b < sizeof backends / sizeof backends[0]; b++) {
        counter c = {0};
        run r = open_counted(&c, backends[b], 100, "6000:relu,20:relu,7");
        bp_trainer_options options = {.struct_size = sizeof options, .batch = 8, .observed = true}, blind = options;
        blind.observed = false;
        bp_memory_plan plan, without;
        BPT_OK(r.context, bp_trainer_plan(r.model, &options, &plan));
        BPT_OK(r.context, bp_trainer_plan(r.model, &blind, &without));
        cr_expect_eq(plan.total_bytes, without.total_bytes + plan.observe_bytes, "%s", backends[b]);
        BPT_OK(r.context, bp_trainer_create(r.model, &options, &r.trainer));
        int64_t before = c.live_bytes;
        bp_observe_options observe = {.struct_size = sizeof observe, .every = 1};
        BPT_OK(r.context, bp_trainer_observe(r.trainer, &observe));
        double taken = (double)(c.live_bytes - before), planned = (double)plan.observe_bytes;
        double figures = 8.0 * 6027.0 + 8192.0; /* the counts once more as they come back, and words of warnings */
        cr_expect_leq(taken, planned + figures, "%s: %.0f taken, %.0f planned", backends[b], taken, planned);
        cr_expect_geq(taken, planned, "%s: %.0f taken, %.0f planned", backends[b], taken, planned);
        cr_expect_geq(planned, 8.0 * 6027.0, "%s: a count for each unit", backends[b]);
        close_run(&r);

        options.memory_limit = without.total_bytes; /* too little for the one, enough for the other */
        blind.memory_limit = without.total_bytes;
        r = open_counted(&c, backends[b], 100, "6000:relu,20:relu,7");
        BPT_OK(r.context, bp_trainer_plan(r.model, &blind, &plan));
        cr_expect_not(plan.memory_limited, "%s", backends[b]);
        bp_status refused = bp_trainer_plan(r.model, &options, &plan);
        cr_expect(refused == BP_STATUS_OUT_OF_MEMORY || plan.memory_limited, "%s", backends[b]);
        close_run(&r);
    }
}

/* Every allocation of a whole life made to fail once: a status, words, and nothing left behind. */
Test(train, survives_the_failure_of_any_allocation)
{
    for (size_t b = 0; b < sizeof backends / sizeof backends[0]; b++)
        for (int64_t fail_at = 1;; fail_at++) {
            counter c = {.fail_at = fail_at};
            bp_context *context = NULL;
            bp_model *model = NULL;
            bp_trainer *trainer = NULL;
            float x[4 * INPUTS] = {0}, y[4 * CLASSES];
            int64_t classes[4] = {0, 1, 2, 3};
            bp_model_options model_options = {.struct_size = sizeof model_options, .inputs = INPUTS, .layers = LAYERS};
            bp_trainer_options options = {.batch = 8, .optimizer = BP_OPTIMIZER_ADAM, .ema_decay = 0.9};
            bp_status status = create_counted(&c, backends[b], &context);
            if (status == BP_STATUS_OK)
                status = bp_model_create(context, &model_options, &model);
            if (status == BP_STATUS_OK)
                status = bp_trainer_create(model, &options, &trainer);
            if (status == BP_STATUS_OK)
                status = bp_trainer_step(trainer, x, classes, NULL, 4);
            if (status == BP_STATUS_OK)
                status = bp_model_predict(model, x, 4, y);
            bool reached = c.allocations >= fail_at;
            if (reached) {
                cr_expect_eq(status, BP_STATUS_OUT_OF_MEMORY, "%s allocation %lld: %s", backends[b], (long long)fail_at,
                             bp_last_error(context));
                cr_expect_neq(bp_last_error(context)[0], '\0');
            }
            bp_trainer_destroy(trainer);
            bp_model_destroy(model);
            bp_context_destroy(context);
            cr_expect_eq(c.live_bytes, 0, "%s allocation %lld", backends[b], (long long)fail_at);
            if (!reached) {
                cr_assert_eq(status, BP_STATUS_OK);
                cr_assert_gt(fail_at, 10, "the test reaches the allocations");
                break;
            }
        }
}

/* ---------------------------------------------------------------- bad numbers */

Test(train, skips_the_update_of_a_step_whose_gradient_is_not_finite)
{
    for (size_t b = 0; b < sizeof backends / sizeof backends[0]; b++) {
        run r = open_run(backends[b], 1, &recipes[1]);
        int64_t count;
        double *before = bpt_model_parameters(r.context, r.model, &count);
        float x[4 * INPUTS] = {0};
        int64_t classes[4] = {0, 1, 2, 3};
        x[17] = NAN;
        BPT_OK(r.context, bp_trainer_step(r.trainer, x, classes, NULL, 4));
        bp_step_result result;
        BPT_OK(r.context, bp_trainer_result(r.trainer, &result));
        cr_expect(result.nonfinite, "%s", backends[b]);
        cr_expect(isnan(result.loss), "%s: loss %g", backends[b], result.loss);
        double *after = bpt_model_parameters(r.context, r.model, &count);
        bpt_same_bits(before, after, count, "%s", backends[b]);
        free(after);
        free(before);
        close_run(&r);
    }
}
