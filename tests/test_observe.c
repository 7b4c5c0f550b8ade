/* Observed training as a user sees it: it changes no bit, tells every step that it should, and each figure is that of a
 * plain computation over the gradients, the weights before and after, and the activations. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backprop/backprop.h"
#include "host/trainer.h"
#include "support/judge.h"
#include "support/run.h"

enum { ROWS = 96, INPUTS = 11, CLASSES = 5, MOST = 40 };

/* reference and cpu; with BP_TEST_CUDA, cuda: on a device, or on cuemu. */
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
} training;

static training open_training(const char *backend, const char *layers, int64_t batch)
{
    training t = {.context = bpt_context(backend, 2)};
    bp_model_options model = {.struct_size = sizeof model,
                              .inputs = INPUTS,
                              .layers = layers,
                              .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY,
                              .seed = 3};
    bpt_ok(t.context, bp_model_create(t.context, &model, &t.model), "model");
    t.data = bpt_classes(t.context, ROWS, INPUTS, CLASSES, 7);
    bp_trainer_options options = {.struct_size = sizeof options,
                                  .batch = batch,
                                  .accumulate = (ROWS + batch - 1) / batch,
                                  .optimizer = BP_OPTIMIZER_ADAMW,
                                  .lr = 0.01,
                                  .weight_decay = 0.01,
                                  .clip_norm = 0.5};
    bpt_ok(t.context, bp_trainer_create(t.model, &options, &t.trainer), "trainer");
    return t;
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

/* What the callback was told. */
typedef struct told {
    int count;
    bp_observation seen[MOST];
    bp_tensor_observation tensors[MOST]; /* of the last */
    bp_layer_observation layers[MOST];
} told;

static void take(void *user, const bp_observation *observation)
{
    told *t = user;
    cr_assert_eq(observation->struct_size, sizeof *observation);
    cr_assert_lt(t->count, MOST);
    t->seen[t->count++] = *observation;
    for (int64_t i = 0; i < observation->tensor_count; i++)
        t->tensors[i] = *bp_observation_tensor(observation, i);
    for (int64_t i = 0; i < observation->layer_count; i++)
        t->layers[i] = *bp_observation_layer(observation, i);
    cr_assert_null(bp_observation_tensor(observation, observation->tensor_count));
    cr_assert_null(bp_observation_tensor(observation, -1));
    cr_assert_null(bp_observation_layer(observation, observation->layer_count));
    cr_assert_null(bp_observation_warning(observation, observation->warning_count));
}

static void observe(training *t, int64_t every, told *to)
{
    bp_observe_options options = {.struct_size = sizeof options, .every = every, .callback = take, .user = to};
    bpt_ok(t->context, bp_trainer_observe(t->trainer, &options), "observe");
}

/* ---------------------------------------------------------------- the same bits, at the right steps */

Test(observe, changes_no_bit_of_a_training)
{
    for (int b = 0; backend_at(b); b++)
        for (int64_t batch = 32; batch <= ROWS; batch *= 3) { /* in parts, and whole */
            training plain = open_training(backend_at(b), "33:relu,17:tanh,9:sigmoid,5", batch);
            training observed = open_training(backend_at(b), "33:relu,17:tanh,9:sigmoid,5", batch);
            told t = {0};
            observe(&observed, 2, &t);
            for (int s = 0; s < 5; s++) {
                bp_step_result x, y;
                step(&plain);
                step(&observed);
                bpt_ok(plain.context, bp_trainer_result(plain.trainer, &x), "result");
                bpt_ok(observed.context, bp_trainer_result(observed.trainer, &y), "result");
                bpt_same_bits(&x.loss, &y.loss, 1, "loss of step %d", s);
                bpt_same_bits(&x.grad_norm, &y.grad_norm, 1, "norm of step %d", s);
            }
            int64_t count;
            double *first = bpt_model_parameters(plain.context, plain.model, &count);
            double *second = bpt_model_parameters(observed.context, observed.model, &count);
            bpt_same_bits(first, second, count, "%s, batch %lld", backend_at(b), (long long)batch);
            free(first);
            free(second);
            cr_assert_eq(t.count, 3, "%s: told %d times", backend_at(b), t.count);
            close_training(&plain);
            close_training(&observed);
        }
}

Test(observe, tells_of_step_1_and_of_every_multiple_until_it_is_ended)
{
    for (int b = 0; backend_at(b); b++) {
        training t = open_training(backend_at(b), "9:relu,5", ROWS);
        told to = {0};
        observe(&t, 3, &to);
        for (int s = 0; s < 10; s++)
            step(&t);
        bp_step_result result;
        bpt_ok(t.context, bp_trainer_result(t.trainer, &result), "result");
        cr_assert_eq(to.count, 4);
        const int64_t steps[4] = {1, 3, 6, 9};
        for (int i = 0; i < 4; i++)
            cr_assert(to.seen[i].step == steps[i] && to.seen[i].rows == ROWS && to.seen[i].epoch == 1);
        bpt_ok(t.context, bp_trainer_observe(t.trainer, NULL), "no more");
        for (int s = 0; s < 3; s++)
            step(&t);
        bpt_ok(t.context, bp_trainer_result(t.trainer, &result), "result");
        cr_assert_eq(to.count, 4);
        observe(&t, 1, &to);
        step(&t);
        bpt_ok(t.context, bp_trainer_result(t.trainer, &result), "result");
        cr_assert(to.count == 5 && to.seen[4].step == 14);
        cr_assert(to.seen[4].loss == result.loss && to.seen[4].grad_norm == result.grad_norm &&
                  to.seen[4].clip_factor == result.clip_factor && to.seen[4].lr == result.lr);
        close_training(&t);
    }
}

/* ---------------------------------------------------------------- every figure */

static double *read_tensor(training *t, const char *name, int64_t count, bool gradient)
{
    double *values = calloc((size_t)count, sizeof *values);
    bpt_ok(t->context,
           gradient ? bp_trainer_get_gradient(t->trainer, name, values, count)
                    : bp_model_get_tensor(t->model, name, values, count),
           name);
    return values;
}

/* unit: relative error of sums of this many elements in f64, see ops.h; roots halve it. */
static void compare_tensor(const char *backend, const bp_tensor_observation *got, const double *g, const double *before,
                           const double *after)
{
    long double squares = 0.0L, sum = 0.0L, sizes = 0.0L, weights = 0.0L, moves = 0.0L;
    double largest = 0.0, zeros = 0.0, n = (double)got->elements;
    for (int64_t k = 0; k < got->elements; k++) {
        long double move = (long double)after[k] - (long double)before[k];
        squares += (long double)g[k] * (long double)g[k];
        sum += (long double)g[k];
        sizes += fabsl((long double)g[k]);
        weights += (long double)before[k] * (long double)before[k];
        moves += move * move;
        largest = fmax(largest, fabs(g[k]));
        zeros += g[k] == 0.0;
    }
    double unit = (n + 64.0) * 0x1p-53, root = (double)sqrtl(squares), weight = (double)sqrtl(weights);
    double values[4] = {got->norm, got->mean, got->weight_norm, weight > 0.0 ? got->update_ratio : 0.0};
    double want[4] = {root, (double)sum / n, weight, weight > 0.0 ? (double)sqrtl(moves) / weight : 0.0};
    double bound[4] = {unit * root, unit * (double)sizes / n, unit * weight, 2.0 * unit * want[3]};
    bpt_compare(values, want, bound, 4, "%s %s", backend, got->name);
    cr_assert(got->largest == largest && got->zero_share == zeros / n && got->nonfinite == 0, "%s %s", backend,
              got->name);
    cr_assert(weight > 0.0 || isnan(got->update_ratio), "%s %s: the ratio to weights of 0", backend, got->name);
}

static void compare_step(training *t, const char *backend)
{
    told to = {0};
    const float *x = t->data->source.x;
    double *gradients[MOST], *before[MOST];
    bp_tensor_info info;
    int64_t tensors = bp_model_tensor_count(t->model);
    bpt_ok(t->context, bp_trainer_gradients(t->trainer, x, t->data->source.classes, NULL, ROWS), "gradients");
    for (int64_t i = 0; i < tensors; i++) {
        bpt_ok(t->context, bp_model_tensor_info(t->model, i, &info), "info");
        int64_t count = info.cols ? info.rows * info.cols : info.rows;
        gradients[i] = read_tensor(t, info.name, count, true);
        before[i] = read_tensor(t, info.name, count, false);
    }
    observe(t, 1, &to);
    step(t);
    bp_step_result result;
    bpt_ok(t->context, bp_trainer_result(t->trainer, &result), "result");
    cr_assert(to.count == 1 && to.seen[0].tensor_count == tensors);
    for (int64_t i = 0; i < tensors; i++) {
        bpt_ok(t->context, bp_model_tensor_info(t->model, i, &info), "info");
        cr_assert_str_eq(to.tensors[i].name, info.name);
        cr_assert_eq(to.tensors[i].elements, info.cols ? info.rows * info.cols : info.rows);
        double *after = read_tensor(t, info.name, to.tensors[i].elements, false);
        compare_tensor(backend, &to.tensors[i], gradients[i], before[i], after);
        free(after);
        free(gradients[i]);
        free(before[i]);
    }
    bpt_ok(t->context, bp_trainer_observe(t->trainer, NULL), "no more");
}

Test(observe, gives_the_figures_of_every_tensor)
{
    /* widths that leave padding behind each row, whose zeros are nobody's; a norm where there are block operations */
    for (int b = 0; backend_at(b); b++)
        for (int64_t batch = 32; batch <= ROWS; batch *= 3) {
            bool blocks = strcmp(backend_at(b), "cuda") != 0;
            training t = open_training(
                backend_at(b),
                blocks ? "33:relu:ln,17:tanh:nobias,17:sigmoid:skip,5" : "33:relu,17:tanh:nobias,9:sigmoid,5", batch);
            compare_step(&t, backend_at(b));
            compare_step(&t, backend_at(b)); /* biases that are not 0 any more */
            close_training(&t);
        }
}

/* ---------------------------------------------------------------- units */

/* A first layer of which unit 0 is on nowhere, unit 1 on one sample, unit 2 on all, and with tanh or sigmoid saturated
 * on all, on 10 of 96, and on 5 of 96. */
static void set_units(training *t, double scale, const double biases[3])
{
    double weights[3 * INPUTS] = {0.0};
    for (int u = 0; u < 3; u++)
        weights[u * INPUTS + u] = scale;
    bpt_ok(t->context, bp_model_set_tensor(t->model, "0.weight", weights, 3 * INPUTS), "weights");
    bpt_ok(t->context, bp_model_set_tensor(t->model, "0.bias", biases, 3), "biases");
}

static int64_t off_samples(const training *t, const char *activation, double scale, const double *biases, int unit)
{
    const float *x = t->data->source.x;
    int64_t count = 0;
    for (int64_t b = 0; b < ROWS; b++) {
        double z = scale * (double)x[b * INPUTS + unit] + biases[unit];
        if (strcmp(activation, "relu") == 0)
            count += z <= 0.0;
        else if (strcmp(activation, "tanh") == 0)
            count += fabs(tanh(z)) > 31.0 / 32.0;
        else
            count += fabs(1.0 / (1.0 + exp(-z)) - 0.5) > 0.5 - 1.0 / 64.0;
    }
    return count;
}

/* All samples lie far from the limits: scale and shifts are such that the nearest is off by more than 1e-4 in z, while
 * z itself is rounded to 2^-22. */
static void check_units(const char *backend, const char *activation, double scale, const double biases[3])
{
    char layers[64];
    snprintf(layers, sizeof layers, "3:%s,5", activation);
    training t = open_training(backend, layers, 32);
    told to = {0};
    set_units(&t, scale, biases);
    double all = 0.0, most = 0.0, pairs = 0.0;
    for (int u = 0; u < 3; u++) {
        int64_t off = off_samples(&t, activation, scale, biases, u);
        all += off == ROWS;
        most += (double)off >= 0.9 * ROWS;
        pairs += (double)off;
    }
    observe(&t, 1, &to);
    step(&t);
    bp_step_result result;
    bpt_ok(t.context, bp_trainer_result(t.trainer, &result), "result");
    bool relu = strcmp(activation, "relu") == 0;
    cr_assert(pairs > 0.0 && pairs < 3.0 * ROWS && all < 3.0);
    cr_assert(to.layers[0].off_share == pairs / (3.0 * ROWS), "%s %s: off %g, should be %g", backend, activation,
              to.layers[0].off_share, pairs / (3.0 * ROWS));
    cr_assert(relu ? to.layers[0].dead_share == all / 3.0 && isnan(to.layers[0].saturated_share)
                   : to.layers[0].saturated_share == most / 3.0 && isnan(to.layers[0].dead_share));
    cr_assert(to.layers[0].units == 3 && to.layers[0].block == 1 && to.layers[1].block == 2);
    cr_assert(isnan(to.layers[1].dead_share) && isnan(to.layers[1].saturated_share) && isnan(to.layers[1].off_share));
    close_training(&t);
}

Test(observe, counts_units_that_are_dead_or_saturated)
{
    for (int b = 0; backend_at(b); b++) {
        check_units(backend_at(b), "relu", 1.0, (const double[3]){-2.0, -0.93, 2.0});
        check_units(backend_at(b), "tanh", 4.0, (const double[3]){8.0, 4.9, 0.0});
        check_units(backend_at(b), "sigmoid", 8.0, (const double[3]){-20.0, 9.5, 0.0});
    }
}

/* ---------------------------------------------------------------- the front door */

Test(observe, refuses_what_makes_no_sense)
{
    training t = open_training("cpu", "9:relu,5", ROWS);
    bp_observe_options options = {.struct_size = sizeof options, .every = -1};
    cr_assert_eq(bp_trainer_observe(NULL, &options), BP_STATUS_INVALID_ARGUMENT);
    cr_assert_eq(bp_trainer_observe(t.trainer, &options), BP_STATUS_INVALID_ARGUMENT);
    cr_assert(strstr(bp_last_error(t.context), "every is -1"));
    close_training(&t);
}
