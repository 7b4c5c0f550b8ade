/* A NaN planted in one sample of one batch is found exactly: step, block, row and column, on every backend; and the
 * training stops before the step, goes on behind it, or makes it, as it was told. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backprop/backprop.h"
#include "host/trainer.h"
#include "support/judge.h"
#include "support/run.h"

enum { ROWS = 200, INPUTS = 7, CLASSES = 5, BATCH = 16, BAD_SAMPLE = 133, BAD_COLUMN = 4 };

static const char *backend_at(int index)
{
    static const char *const here[] = {"reference", "cpu", NULL}, *const there[] = {"cuda", NULL};
    return (getenv("BP_TEST_CUDA") ? there : here)[index];
}

typedef struct training {
    bp_context *context;
    bp_model *model;
    bp_data *data;
    bp_trainer *trainer;
    int reports;
    bp_nonfinite place;
    int64_t sample, epoch;
    float planted; /* what stands in the batch of the report, at the place */
    char words[512];
    double weights[9 * INPUTS]; /* of the first block, as the model shows them to the callback */
} training;

static training open_network(const char *backend, const char *layers, double ema_decay)
{
    training t = {.context = bpt_context(backend, 2)};
    bp_model_options model = {.struct_size = sizeof model,
                              .inputs = INPUTS,
                              .layers = layers,
                              .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY,
                              .seed = 3};
    bpt_ok(t.context, bp_model_create(t.context, &model, &t.model), "model");
    t.data = bpt_classes(t.context, ROWS, INPUTS, CLASSES, 7);
    bp_trainer_options options = {
        .struct_size = sizeof options, .batch = BATCH, .lr = 0.1, .momentum = 0.9, .seed = 5, .ema_decay = ema_decay};
    bpt_ok(t.context, bp_trainer_create(t.model, &options, &t.trainer), "trainer");
    return t;
}

static training open_training(const char *backend)
{
    return open_network(backend, "9:relu,8:tanh,5", 0.0);
}

static void close_training(training *t)
{
    bp_trainer_destroy(t->trainer);
    bp_data_destroy(t->data);
    bp_model_destroy(t->model);
    bp_context_destroy(t->context);
}

static float *samples(training *t)
{
    return (float *)(uintptr_t)t->data->source.x;
}

static void plant(training *t, float value)
{
    samples(t)[BAD_SAMPLE * INPUTS + BAD_COLUMN] = value;
}

static void on_nonfinite(void *user, const bp_nonfinite_report *report)
{
    training *t = user;
    t->reports++;
    t->place = report->place;
    t->sample = report->sample;
    t->epoch = report->epoch;
    BPT_OK(t->context, bp_model_get_tensor(t->model, "0.weight", t->weights, 9 * INPUTS));
    if (report->place.block == 0)
        t->planted = report->x[report->place.row * INPUTS + report->place.column];
    snprintf(t->words, sizeof t->words, "%s", report->words);
}

static bp_status train(training *t, bp_nonfinite_action action, int64_t epochs, int64_t log_every)
{
    bp_train_options options = {.struct_size = sizeof options,
                                .epochs = epochs,
                                .log_every = log_every,
                                .on_nonfinite = action,
                                .nonfinite = on_nonfinite,
                                .nonfinite_user = t};
    return bp_train(t->trainer, t->data, &options);
}

/* Where the sample stands in the order of the first epoch. */
static int64_t position_of_sample(void)
{
    int64_t order[ROWS], at = 0;
    bpi_shuffle(5, 0, ROWS, order);
    while (order[at] != BAD_SAMPLE)
        at++;
    return at;
}

/* Running values too, and how many batches they have followed. */
static void same_running(training *a, training *b, int64_t batches, const char *words)
{
    int64_t first = a->model->tensor_count, compared = 0;
    for (int64_t i = first; i < first + a->model->buffer_count; i++, compared++) {
        const bpi_tensor *tensor = &a->model->tensors[i];
        double values[2][16], fresh = strstr(tensor->name, "mean") ? 0.0 : 1.0;
        BPT_OK(a->context, bp_model_get_tensor(a->model, tensor->name, values[0], tensor->rows));
        BPT_OK(b->context, bp_model_get_tensor(b->model, tensor->name, values[1], tensor->rows));
        bpt_same_bits(values[0], values[1], tensor->rows, "%s: %s", words, tensor->name);
        for (int64_t k = 0; k < tensor->rows; k++)
            cr_assert(isfinite(values[0][k]) && values[0][k] != fresh, "%s: %s is %g", words, tensor->name,
                      values[0][k]);
    }
    cr_assert_geq(compared, 2);
    for (int64_t i = 0; i < a->model->layer_count; i++)
        if (a->model->layers[i].running_mean >= 0)
            cr_assert(a->model->layers[i].batches_tracked == batches && b->model->layers[i].batches_tracked == batches,
                      "%s: %lld and %lld batches, not %lld", words, (long long)a->model->layers[i].batches_tracked,
                      (long long)b->model->layers[i].batches_tracked, (long long)batches);
}

static void same_parameters(training *a, training *b, const char *words)
{
    int64_t count;
    double *first = bpt_model_parameters(a->context, a->model, &count);
    double *second = bpt_model_parameters(b->context, b->model, &count);
    bpt_same_bits(first, second, count, "%s", words);
    free(first);
    free(second);
}

static void check_place(const training *t, const char *backend)
{
    int64_t at = position_of_sample();
    cr_assert_eq(t->reports, 1);
    cr_assert(t->place.found && t->place.step == at / BATCH + 1 && t->place.block == 0 && t->place.row == at % BATCH &&
                  t->place.column == BAD_COLUMN && isnan(t->place.value),
              "%s: step %lld, block %lld, row %lld, column %lld", backend, (long long)t->place.step,
              (long long)t->place.block, (long long)t->place.row, (long long)t->place.column);
    cr_assert_str_eq(t->place.what, "input");
    cr_assert(t->sample == BAD_SAMPLE && t->epoch == 1 && isnan(t->planted));
    cr_assert(strstr(t->words, "sample 133") && strstr(t->words, "column 4"), "%s", t->words);
}

Test(nonfinite, stops_before_the_step_however_late_it_is_heard_of)
{
    for (int b = 0; backend_at(b); b++) {
        training late = open_training(backend_at(b)), soon = open_training(backend_at(b));
        plant(&late, NAN);
        plant(&soon, NAN);
        cr_assert_eq(train(&late, BP_NONFINITE_STOP, 2, 50), BP_STATUS_BAD_DATA);
        cr_assert_eq(train(&soon, BP_NONFINITE_STOP, 2, 1), BP_STATUS_BAD_DATA);
        check_place(&late, backend_at(b));
        check_place(&soon, backend_at(b));
        cr_assert(strstr(bp_last_error(late.context), "the first value that is not finite is NaN"));
        cr_assert_eq(bp_trainer_steps_done(late.trainer), position_of_sample() / BATCH);
        same_parameters(&late, &soon, backend_at(b));
        close_training(&late);
        close_training(&soon);
    }
}

Test(nonfinite, skips_the_step_alone_however_late_it_is_heard_of)
{
    for (int b = 0; backend_at(b); b++) {
        training late = open_training(backend_at(b)), soon = open_training(backend_at(b));
        plant(&late, NAN);
        plant(&soon, NAN);
        BPT_OK(late.context, train(&late, BP_NONFINITE_SKIP, 2, 50));
        BPT_OK(soon.context, train(&soon, BP_NONFINITE_SKIP, 2, 1));
        check_place(&late, backend_at(b));
        check_place(&soon, backend_at(b));
        cr_assert_eq(bp_trainer_steps_done(late.trainer), 2 * 13 - 2, "the sample comes up once in each epoch");
        same_parameters(&late, &soon, backend_at(b));
        int64_t count;
        double *values = bpt_model_parameters(late.context, late.model, &count);
        for (int64_t k = 0; k < count; k++)
            cr_assert(isfinite(values[k]));
        free(values);
        close_training(&late);
        close_training(&soon);
    }
}

/* Batch norm's running values are those of the steps that were made, each followed once. */
Test(nonfinite, leaves_running_values_out_of_the_batch_and_follows_no_other_twice)
{
    static const char *const layers = "9:relu:bn,8:tanh:dropout=0.2,5";
    for (int b = 0; backend_at(b); b++) {
        training late = open_network(backend_at(b), layers, 0.0), soon = open_network(backend_at(b), layers, 0.0);
        plant(&late, NAN);
        plant(&soon, NAN);
        BPT_OK(late.context, train(&late, BP_NONFINITE_SKIP, 2, 50));
        BPT_OK(soon.context, train(&soon, BP_NONFINITE_SKIP, 2, 1));
        check_place(&late, backend_at(b));
        same_parameters(&late, &soon, backend_at(b));
        same_running(&late, &soon, 2 * 13 - 2, backend_at(b));
        bp_evaluation evaluation;
        samples(&late)[BAD_SAMPLE * INPUTS + BAD_COLUMN] = 0.0f;
        BPT_OK(late.context, bp_evaluate(late.model, late.data, &evaluation));
        cr_assert(isfinite(evaluation.loss), "%s: the model that comes of it can be used", backend_at(b));
        close_training(&late);
        close_training(&soon);
    }
}

Test(nonfinite, stops_with_the_running_values_of_before_the_step)
{
    for (int b = 0; backend_at(b); b++) {
        training late = open_network(backend_at(b), "9:relu:bn,5:bn", 0.0),
                 soon = open_network(backend_at(b), "9:relu:bn,5:bn", 0.0);
        plant(&late, NAN);
        plant(&soon, NAN);
        cr_assert_eq(train(&late, BP_NONFINITE_STOP, 2, 50), BP_STATUS_BAD_DATA);
        cr_assert_eq(train(&soon, BP_NONFINITE_STOP, 2, 1), BP_STATUS_BAD_DATA);
        same_running(&late, &soon, position_of_sample() / BATCH, backend_at(b));
        close_training(&late);
        close_training(&soon);
    }
}

/* bp_trainer_step skips by itself, without a word: running values, their count and averages stay. */
Test(nonfinite, a_step_that_is_skipped_on_the_way_moves_no_running_value)
{
    for (int b = 0; backend_at(b); b++) {
        training with = open_network(backend_at(b), "9:relu:bn,5", 0.0),
                 without = open_network(backend_at(b), "9:relu:bn,5", 0.0);
        plant(&with, NAN);
        for (int64_t s = 0; s < 6; s++) { /* rows 128 to 143 hold the sample */
            int64_t first = 16 * (s + 5);
            BPT_OK(with.context, bp_trainer_step_data(with.trainer, with.data, NULL, first, BATCH));
            if (s != 3)
                BPT_OK(without.context, bp_trainer_step_data(without.trainer, without.data, NULL, first, BATCH));
        }
        bp_step_result result;
        BPT_OK(with.context, bp_trainer_result(with.trainer, &result));
        cr_assert_eq(result.step, 5);
        same_parameters(&with, &without, backend_at(b));
        same_running(&with, &without, 5, backend_at(b));
        close_training(&with);
        close_training(&without);
    }
}

/* The parameters that the step began with, also of a model that shows averages of them. */
Test(nonfinite, shows_the_weights_and_not_their_averages_to_the_callback)
{
    for (int b = 0; backend_at(b); b++) {
        training t = open_network(backend_at(b), "9:relu,5", 0.9);
        double averages[9 * INPUTS], weights[9 * INPUTS];
        plant(&t, NAN);
        cr_assert_eq(train(&t, BP_NONFINITE_STOP, 1, 50), BP_STATUS_BAD_DATA);
        BPT_OK(t.context, bp_model_get_tensor(t.model, "0.weight", averages, 9 * INPUTS));
        BPT_OK(t.context, bpi_tensor_read(t.model, t.model->parameters, 0, weights));
        bpt_same_bits(weights, t.weights, 9 * INPUTS, "%s", backend_at(b));
        cr_assert_neq(memcmp(weights, averages, sizeof weights), 0, "%s: the averages lag behind", backend_at(b));
        close_training(&t);
    }
}

Test(nonfinite, goes_on_and_spreads_where_it_is_told_to)
{
    for (int b = 0; backend_at(b); b++) {
        training t = open_training(backend_at(b));
        plant(&t, NAN);
        BPT_OK(t.context, train(&t, BP_NONFINITE_CONTINUE, 1, 50));
        check_place(&t, backend_at(b));
        cr_assert_eq(bp_trainer_steps_done(t.trainer), 13);
        bp_step_result result;
        BPT_OK(t.context, bp_trainer_result(t.trainer, &result));
        cr_assert(result.nonfinite && isnan(result.loss));
        close_training(&t);
    }
}

static bp_nonfinite locate(training *t)
{
    bp_nonfinite place = {.struct_size = sizeof place};
    BPT_OK(t->context, bp_trainer_locate(t->trainer, samples(t), t->data->source.classes, NULL, BATCH, &place));
    return place;
}

Test(nonfinite, names_the_parameter_the_product_or_nothing)
{
    for (int b = 0; backend_at(b); b++) {
        training t = open_training(backend_at(b));
        double weights[8 * 9];
        cr_assert_not(locate(&t).found);
        BPT_OK(t.context, bp_model_get_tensor(t.model, "2.weight", weights, 72));
        double kept = weights[3 * 9 + 5];
        weights[3 * 9 + 5] = (double)INFINITY;
        BPT_OK(t.context, bp_model_set_tensor(t.model, "2.weight", weights, 72));
        bp_nonfinite place = locate(&t);
        cr_assert(place.found && place.block == 2 && place.row == 3 && place.column == 5 && place.value > 0.0);
        cr_assert_str_eq(place.what, "parameter");
        cr_assert_str_eq(place.tensor, "2.weight");
        weights[3 * 9 + 5] = kept;
        BPT_OK(t.context, bp_model_set_tensor(t.model, "2.weight", weights, 72));
        cr_assert_not(locate(&t).found);
        /* finite weights and inputs whose product is beyond every type that trains here */
        double first[9 * INPUTS];
        BPT_OK(t.context, bp_model_get_tensor(t.model, "0.weight", first, 9 * INPUTS));
        bool f64 = strcmp(backend_at(b), "reference") == 0;
        for (int i = 0; i < INPUTS; i++)
            first[6 * INPUTS + i] = (samples(&t)[2 * INPUTS + i] > 0.0f ? 1.0 : -1.0) * (f64 ? 1.7e308 : 3.4e38);
        for (int i = 0; i < INPUTS; i++)
            samples(&t)[2 * INPUTS + i] *= 4.0f; /* the others sum to less than 1.5 of the limit, by chance of signs */
        for (int64_t r = 0; r < BATCH; r++)
            for (int i = 0; r != 2 && i < INPUTS; i++)
                samples(&t)[r * INPUTS + i] *= 0.125f;
        BPT_OK(t.context, bp_model_set_tensor(t.model, "0.weight", first, 9 * INPUTS));
        place = locate(&t);
        cr_assert(place.found && place.block == 1 && place.row == 2 && place.column == 6,
                  "%s: %s block %lld row %lld "
                  "column %lld",
                  backend_at(b), place.what, (long long)place.block, (long long)place.row, (long long)place.column);
        cr_assert_str_eq(place.what, "activation");
        close_training(&t);
    }
}

Test(nonfinite, refuses_a_place_of_another_size)
{
    training t = open_training("cpu");
    bp_nonfinite place = {.struct_size = sizeof place + 8};
    cr_assert_eq(bp_trainer_locate(t.trainer, samples(&t), t.data->source.classes, NULL, BATCH, &place),
                 BP_STATUS_INVALID_ARGUMENT);
    cr_assert_eq(bp_trainer_locate(t.trainer, samples(&t), t.data->source.classes, NULL, BATCH, NULL),
                 BP_STATUS_INVALID_ARGUMENT);
    close_training(&t);
}
