/* test_blocks.c: networks with norms, dropout and skips, as users see them: gradients, training, evaluation, files. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/judge.h"
#include "support/run.h"

enum { ROWS = 600, INPUTS = 8, CLASSES = 4 };

static const char *const networks[] = {
    "12:relu:bn:nobias,10:tanh:bn,4",
    "12:gelu:ln,10:sigmoid:ln,4",
    "12:tanh:dropout=0.3,10:silu:dropout=0.5,4",
    "8:tanh:skip,8:gelu:skip,4",
    "12:softplus,12:elu:skip,12:tanh:skip=1,4",
    "8:silu:bn:nobias:dropout=0.25:skip,8:gelu_tanh:ln:dropout=0.1:skip=1,8:sigmoid:skip=1,4:bn:nobias",
    "8:identity:skip,8:bn:nobias:skip=1,4:ln:dropout=0.2",
};

enum { NETWORKS = sizeof networks / sizeof networks[0] };

static const char *const backends[] = {"reference", "cpu"};

static bp_model *model_of(bp_context *context, const char *layers)
{
    bp_model *model;
    bp_model_options options = {.struct_size = sizeof options, .inputs = INPUTS, .layers = layers, .seed = 3};
    BPT_OK(context, bp_model_create(context, &options, &model));
    return model;
}

/* A batch as plain arrays, for the calls that want them. */
static void batch_of(bp_context *context, int64_t rows, float *x, int64_t *classes)
{
    bp_data *data = bpt_classes(context, rows, INPUTS, CLASSES, 4);
    BPT_OK(context, bp_data_get_inputs(data, 0, rows, x));
    for (int64_t i = 0; i < rows; i++)
        classes[i] = i % CLASSES;
    bp_data_destroy(data);
}

typedef struct tally {
    int64_t tensors, informative;
} tally;

static void count_checked(void *user, const bp_gradcheck_tensor *tensor)
{
    tally *c = user;
    c->tensors++;
    c->informative += tensor->checked - tensor->skipped;
    cr_expect(tensor->passed, "%s at %g of its bound: %.17g against %.17g", tensor->name, tensor->worst_error,
              tensor->worst_analytic, tensor->worst_numeric);
}

Test(blocks, gradients_agree_with_central_differences)
{
    bp_context *context = bpt_context("reference", 1);
    float x[7 * INPUTS];
    int64_t classes[7];
    batch_of(context, 7, x, classes);
    for (int n = 0; n < NETWORKS; n++) {
        bp_model *model = model_of(context, networks[n]);
        tally c = {0, 0};
        bool passed;
        bp_gradcheck_options options = {.struct_size = sizeof options, .tensor = count_checked, .user = &c};
        BPT_OK(context, bp_gradcheck(model, x, classes, NULL, 7, &options, &passed));
        cr_expect(passed, "%s", networks[n]);
        cr_expect_eq(c.tensors, bp_model_tensor_count(model));
        cr_expect_geq(c.informative, bp_model_parameter_count(model) / 2, "%s", networks[n]);
        bp_model_destroy(model);
    }
    bp_context_destroy(context);
}

static void expect_passed(void *user, const bp_verify_tensor *tensor)
{
    cr_expect(tensor->passed, "%s: %s[%lld] is %.9g, should be %.9g within %.3g", (const char *)user, tensor->name,
              (long long)tensor->worst_index, tensor->worst_value, tensor->worst_reference, tensor->worst_bound);
}

Test(blocks, cpu_is_within_its_bounds)
{
    bp_context *context = bpt_context("cpu", 2);
    float x[33 * INPUTS];
    int64_t classes[33];
    batch_of(context, 33, x, classes);
    for (int n = 0; n < NETWORKS; n++) {
        bp_model *model = model_of(context, networks[n]);
        bool passed;
        bp_verify_options options = {
            .struct_size = sizeof options, .tensor = expect_passed, .user = (void *)networks[n]};
        BPT_OK(context, bp_verify(model, x, classes, NULL, 33, &options, &passed));
        cr_expect(passed, "%s", networks[n]);
        bp_model_destroy(model);
    }
    bp_context_destroy(context);
}

/* ---------------------------------------------------------------- training */

typedef struct run {
    bp_context *context;
    bp_model *model;
    bp_trainer *trainer;
    bp_data *data;
} run;

static run open_run(const char *backend, int threads, const char *layers)
{
    run r = {.context = bpt_context(backend, threads)};
    bp_trainer_options options = {
        .struct_size = sizeof options, .batch = 50, .optimizer = BP_OPTIMIZER_ADAM, .lr = 0.01, .seed = 6};
    r.model = model_of(r.context, layers);
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

Test(blocks, learn_and_end_in_the_same_bits_for_1_and_2_threads)
{
    for (int b = 0; b < 2; b++)
        for (int n = 0; n < NETWORKS; n++) {
            bp_evaluation before, after;
            run r = open_run(backends[b], 2, networks[n]), alone = open_run(backends[b], 1, networks[n]);
            BPT_OK(r.context, bp_evaluate(r.model, r.data, &before));
            train(&r, 6);
            train(&alone, 6);
            BPT_OK(r.context, bp_evaluate(r.model, r.data, &after));
            cr_expect_lt(after.loss, 0.9 * before.loss, "%s %s: loss %g to %g", backends[b], networks[n], before.loss,
                         after.loss);
            int64_t count;
            double *first = bpt_model_parameters(r.context, r.model, &count);
            double *second = bpt_model_parameters(alone.context, alone.model, &count);
            bpt_same_bits(first, second, count, "%s %s", backends[b], networks[n]);
            free(second);
            free(first);
            close_run(&alone);
            close_run(&r);
        }
}

/* ---------------------------------------------------------------- files */

static void predict(run *r, float *y)
{
    float x[20 * INPUTS];
    BPT_OK(r->context, bp_data_get_inputs(r->data, 0, 20, x));
    BPT_OK(r->context, bp_model_predict(r->model, x, 20, y));
}

Test(blocks, predict_the_same_after_saving_and_loading_with_running_statistics)
{
    char path[] = "/tmp/backprop-test-XXXXXX";
    int file = mkstemp(path);
    cr_assert_geq(file, 0);
    close(file);
    for (int b = 0; b < 2; b++)
        for (int n = 0; n < NETWORKS; n++) {
            run r = open_run(backends[b], 1, networks[n]);
            train(&r, 2);
            float before[20 * CLASSES], after[20 * CLASSES];
            predict(&r, before);
            BPT_OK(r.context, bp_model_save(r.model, path));
            bp_trainer_destroy(r.trainer);
            bp_model_destroy(r.model);
            r.trainer = NULL;
            BPT_OK(r.context, bp_model_load(r.context, path, &r.model));
            predict(&r, after);
            cr_expect_arr_eq(before, after, sizeof before, "%s %s", backends[b], networks[n]);
            close_run(&r);
        }
    unlink(path);
}

static bool stop_in_epoch_2(void *user, const bp_progress *progress)
{
    (void)user;
    return !(progress->epoch == 2 && progress->step_in_epoch == 5);
}

Test(blocks, resume_in_the_same_bits)
{
    char path[] = "/tmp/backprop-test-XXXXXX";
    int file = mkstemp(path);
    cr_assert_geq(file, 0);
    close(file);
    for (int n = 0; n < NETWORKS; n++) {
        run whole = open_run("cpu", 2, networks[n]), r = open_run("cpu", 2, networks[n]);
        train(&whole, 3);
        bp_train_options options = {
            .struct_size = sizeof options, .epochs = 3, .progress = stop_in_epoch_2, .checkpoint = path};
        cr_assert_eq(bp_train(r.trainer, r.data, &options), BP_STATUS_CANCELLED);
        close_run(&r);
        r = open_run("cpu", 2, networks[n]);
        BPT_OK(r.context, bp_trainer_load(r.trainer, path));
        train(&r, 3);
        float first[20 * CLASSES], second[20 * CLASSES];
        predict(&whole, first);
        predict(&r, second);
        cr_expect_arr_eq(first, second, sizeof first, "%s", networks[n]);
        close_run(&r);
        close_run(&whole);
    }
    unlink(path);
}

/* ---------------------------------------------------------------- evaluation */

Test(blocks, evaluate_without_dropping_and_with_running_statistics)
{
    run r = open_run("reference", 1, "6:relu:bn:nobias,4");
    double mean[6], var[6], gamma[6];
    BPT_OK(r.context, bp_model_get_tensor(r.model, "1.running_mean", mean, 6));
    BPT_OK(r.context, bp_model_get_tensor(r.model, "1.running_var", var, 6));
    BPT_OK(r.context, bp_model_get_tensor(r.model, "1.weight", gamma, 6));
    for (int i = 0; i < 6; i++) {
        cr_expect_eq(mean[i], 0.0);
        cr_expect_eq(var[i], 1.0);
        cr_expect_eq(gamma[i], 1.0);
    }
    float first[20 * CLASSES], again[20 * CLASSES];
    predict(&r, first);
    predict(&r, again);
    cr_expect_arr_eq(first, again, sizeof first, "evaluation moves nothing");
    train(&r, 1);
    BPT_OK(r.context, bp_model_get_tensor(r.model, "1.running_mean", mean, 6));
    BPT_OK(r.context, bp_model_get_tensor(r.model, "1.running_var", var, 6));
    for (int i = 0; i < 6; i++) {
        cr_expect(fabs(mean[i]) > 0.0 && fabs(var[i] - 1.0) > 0.0, "training moves them");
        cr_expect_gt(var[i], 0.0);
    }
    close_run(&r);
}

/* ---------------------------------------------------------------- refusals */

Test(blocks, say_what_does_not_fit)
{
    static const struct {
        const char *layers, *word;
    } cases[] = {
        {"8:tanh,5:tanh:skip,4", "block 2: a skip adds 8 values to 5 units"},
        {"5:tanh:skip,4", "block 1: a skip adds 8 values to 5 units"},
        {"8:tanh,8:tanh:skip=2,4", "block 2: skip=2"},
        {"8:tanh:skip=1,4", "block 1: skip=1"},
    };
    bp_context *context = bpt_context("reference", 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bp_model *model;
        bp_model_options options = {.struct_size = sizeof options, .inputs = INPUTS, .layers = cases[i].layers};
        cr_expect_eq(bp_model_create(context, &options, &model), BP_STATUS_INVALID_ARGUMENT, "%s", cases[i].layers);
        cr_expect_not_null(strstr(bp_last_error(context), cases[i].word), "%s: %s", cases[i].layers,
                           bp_last_error(context));
    }
    bp_context_destroy(context);
}

Test(blocks, refuse_a_batch_of_one_under_batch_norm_before_training_begins)
{
    run r = open_run("reference", 1, "6:relu:bn,4");
    bp_data_destroy(r.data);
    r.data = bpt_classes(r.context, 101, INPUTS, CLASSES, 1);
    bp_train_options options = {.struct_size = sizeof options, .epochs = 1};
    cr_expect_eq(bp_train(r.trainer, r.data, &options), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_not_null(strstr(bp_last_error(r.context), "101 samples in batches of 50"), "%s",
                       bp_last_error(r.context));
    cr_expect_eq(bp_trainer_steps_done(r.trainer), 0);
    close_run(&r);
}
