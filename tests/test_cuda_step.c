/* Whole steps on the CUDA backend: recorded or not, they give the same bits, and a recorded step is one launch of a
 * graph in which the host waits for nothing. Runs where BP_TEST_CUDA names the plug-in; the counts, on cuemu alone. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>

#include "cuemu/cuemu_api.h"
#include "host/trainer.h"
#include "support/judge.h"
#include "support/run.h"

/* parts of 32 and 16: two kinds of graph a step */
enum { PART = 32 };
#define PLAIN "33:relu,17:gelu,5"
enum { ROWS = 48, INPUTS = 13, CLASSES = 5, STEPS = 6 };

static void skip_without_cuda(void)
{
    if (!getenv("BP_TEST_CUDA"))
        cr_skip_test("BP_TEST_CUDA does not name the CUDA plug-in: cuda_test_cuda_step runs this on cuemu");
}

typedef struct training {
    bp_context *context;
    bp_model *model;
    bp_data *data;
    bp_trainer *trainer;
    bpi_ops ops; /* the backend's, without its captures where they are not wanted */
} training;

static void open_training(training *t, bool captures, int64_t batch, const char *layers)
{
    t->context = bpt_context("cuda", 1);
    t->ops = *t->context->backend->ops;
    if (!captures)
        t->ops.capture_begin = NULL;
    t->context->backend->ops = &t->ops;
    bp_model_options model = {
        .struct_size = sizeof model, .inputs = INPUTS, .layers = layers, .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY};
    bpt_ok(t->context, bp_model_create(t->context, &model, &t->model), "model");
    t->data = bpt_classes(t->context, ROWS, INPUTS, CLASSES, 7);
    bp_trainer_options options = {.struct_size = sizeof options,
                                  .batch = batch,
                                  .accumulate = (ROWS + batch - 1) / batch,
                                  .optimizer = BP_OPTIMIZER_ADAMW,
                                  .weight_decay = 0.01,
                                  .clip_norm = 1.0,
                                  .ema_decay = 0.9,
                                  .schedule = BP_SCHEDULE_COSINE,
                                  .warmup_steps = 2,
                                  .total_steps = STEPS};
    bpt_ok(t->context, bp_trainer_create(t->model, &options, &t->trainer), "trainer");
}

static void step(training *t)
{
    bpt_ok(t->context, bp_trainer_step_data(t->trainer, t->data, NULL, 0, ROWS), "step");
}

static void close_training(training *t)
{
    bp_trainer_destroy(t->trainer);
    bp_data_destroy(t->data);
    bp_model_destroy(t->model);
    bp_context_destroy(t->context);
}

/* Running means and variances, and how many batches they have followed. */
static void same_running_values(const training *a, const training *b)
{
    const bp_model *model = a->model;
    for (int64_t i = model->tensor_count; i < model->tensor_count + model->buffer_count; i++) {
        const bpi_tensor *tensor = &model->tensors[i];
        double *values[2] = {calloc((size_t)tensor->rows, sizeof(double)),
                             calloc((size_t)tensor->rows, sizeof(double))};
        bpt_ok(a->context, bp_model_get_tensor(a->model, tensor->name, values[0], tensor->rows), tensor->name);
        bpt_ok(b->context, bp_model_get_tensor(b->model, tensor->name, values[1], tensor->rows), tensor->name);
        bpt_same_bits(values[0], values[1], tensor->rows, "%s", tensor->name);
        free(values[0]);
        free(values[1]);
    }
    for (int64_t i = 0; i < model->layer_count; i++)
        if (model->layers[i].running_mean >= 0) {
            cr_assert_eq(a->model->layers[i].batches_tracked, 2 * STEPS);
            cr_assert_eq(b->model->layers[i].batches_tracked, 2 * STEPS);
        }
}

static void compare_recorded(const char *layers)
{
    training recorded, plain;
    open_training(&recorded, true, PART, layers);
    open_training(&plain, false, PART, layers);
    double losses[STEPS];
    for (int s = 0; s < STEPS; s++) {
        bp_step_result a, b;
        step(&recorded);
        step(&plain);
        bpt_ok(recorded.context, bp_trainer_result(recorded.trainer, &a), "result");
        bpt_ok(plain.context, bp_trainer_result(plain.trainer, &b), "result");
        bpt_same_bits(&a.loss, &b.loss, 1, "loss of step %d", s);
        bpt_same_bits(&a.grad_norm, &b.grad_norm, 1, "norm of step %d", s);
        cr_assert(a.lr == b.lr && a.step == s + 1 && b.step == s + 1);
        losses[s] = a.loss;
    }
    cr_assert_lt(losses[STEPS - 1], losses[0]);
    int64_t count;
    double *averages[2] = {bpt_model_parameters(recorded.context, recorded.model, &count),
                           bpt_model_parameters(plain.context, plain.model, &count)};
    bpt_same_bits(averages[0], averages[1], count, "averages");
    same_running_values(&recorded, &plain);
    free(averages[0]);
    free(averages[1]);
    cr_assert_not_null(recorded.trainer->graphs[1].graph, "two kinds of part were recorded");
    close_training(&recorded);
    close_training(&plain);
}

Test(cuda_step, recorded_gives_the_bits_of_one_that_is_not)
{
    skip_without_cuda();
    compare_recorded(PLAIN);
    compare_recorded("32:relu:bn:nobias:dropout=0.2,32:gelu:ln:skip,5");
}

Test(cuda_step, recorded_is_one_launch_a_part_without_waiting_or_allocating)
{
    skip_without_cuda();
    void *runtime = dlopen("libcudart.so.13", RTLD_NOW | RTLD_NOLOAD);
    training t;
    open_training(&t, true, PART, PLAIN);
    runtime = runtime ? runtime : dlopen("libcudart.so.13", RTLD_NOW | RTLD_NOLOAD);
    cr_assert_not_null(runtime, "%s", dlerror());
    cuemu_counter_fn *counter;
    cuemu_reset_counters_fn *reset;
    *(void **)&counter = dlsym(runtime, "cuemu_counter");
    *(void **)&reset = dlsym(runtime, "cuemu_reset_counters");
    for (int s = 0; s < 3; s++)
        step(&t);
    bpt_ok(t.context, t.ops.synchronize(t.context->backend), "synchronize");
    if (counter && reset) { /* on cuemu */
        reset();
        step(&t);
        cr_assert_eq(counter("host", "synchronisations"), 0);
        cr_assert_eq(counter("host", "allocations"), 0);
        bpt_ok(t.context, t.ops.synchronize(t.context->backend), "synchronize");
        cr_assert_eq(counter("host", "graph_launches"), 2);
    }
    close_training(&t);
}

Test(cuda_step, in_many_parts_needs_three_graphs)
{
    skip_without_cuda();
    training t;
    open_training(&t, true, 4, PLAIN); /* the first of 12 parts, those between, the last */
    for (int s = 0; s < 3; s++)
        step(&t);
    bp_step_result result;
    bpt_ok(t.context, bp_trainer_result(t.trainer, &result), "result");
    cr_expect_eq(result.step, 3);
    int recorded = 0;
    for (int i = 0; i < BPI_STEP_GRAPHS; i++)
        recorded += t.trainer->graphs[i].graph != NULL;
    cr_expect_eq(recorded, 3, "%d graphs", recorded);
    close_training(&t);
}
