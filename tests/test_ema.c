/* test_ema.c: moving averages of a model as its user sees them: who sees the averages, and who the weights. That the
 * values are right: test_update, test_training_golden. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/judge.h"
#include "support/run.h"
#include "support/sandbox.h"

TestSuite(ema, .init = bpt_sandbox_enter, .fini = bpt_sandbox_leave);

enum { ROWS = 200, INPUTS = 6, CLASSES = 4, STEPS = 5 };

static const char *const backends[] = {"reference", "cpu"};

typedef struct run {
    bp_context *context;
    bp_model *model;
    bp_data *data;
    bp_trainer *trainer;
} run;

static run open_run(const char *backend, double ema_decay)
{
    run r = {.context = bpt_context(backend, 2)};
    bp_model_options network = {.struct_size = sizeof network, .inputs = INPUTS, .layers = "9:relu:bn,4", .seed = 3};
    bp_trainer_options options = {
        .struct_size = sizeof options, .batch = 40, .optimizer = BP_OPTIMIZER_ADAM, .lr = 0.05, .ema_decay = ema_decay};
    BPT_OK(r.context, bp_model_create(r.context, &network, &r.model));
    BPT_OK(r.context, bp_trainer_create(r.model, &options, &r.trainer));
    r.data = bpt_classes(r.context, ROWS, INPUTS, CLASSES, 1);
    return r;
}

static void steps(run *r, int64_t count)
{
    for (int64_t s = 0; s < count; s++)
        BPT_OK(r->context, bp_trainer_step_data(r->trainer, r->data, NULL, s * 40, 40));
}

static void close_run(run *r)
{
    bp_trainer_destroy(r->trainer);
    bp_data_destroy(r->data);
    bp_model_destroy(r->model);
    bp_context_destroy(r->context);
}

static double loss_of(run *r, bp_model *model)
{
    bp_evaluation evaluation;
    BPT_OK(r->context, bp_evaluate(model, r->data, &evaluation));
    return evaluation.loss;
}

Test(ema, evaluation_prediction_and_model_files_see_the_averages)
{
    for (size_t b = 0; b < sizeof backends / sizeof *backends; b++) {
        run plain = open_run(backends[b], 0.0), r = open_run(backends[b], 0.9);
        steps(&plain, STEPS);
        steps(&r, STEPS);
        bp_step_result weights, averaged;
        BPT_OK(r.context, bp_trainer_result(r.trainer, &averaged));
        BPT_OK(plain.context, bp_trainer_result(plain.trainer, &weights));
        bpt_same_bits(&weights.loss, &averaged.loss, 1, "%s: steps go on from the weights", backends[b]);
        double loss = loss_of(&r, r.model);
        cr_expect_neq(loss, loss_of(&plain, plain.model), "%s", backends[b]);

        bp_model *loaded;
        BPT_OK(r.context, bp_model_save(r.model, "averages.safetensors"));
        BPT_OK(r.context, bp_model_load(r.context, "averages.safetensors", &loaded));
        double of_file = loss_of(&r, loaded);
        bpt_same_bits(&loss, &of_file, 1, "%s: the file", backends[b]);
        float x[3 * INPUTS] = {0.5f, -0.25f, 1.0f}, y[3 * CLASSES], of_loaded[3 * CLASSES];
        BPT_OK(r.context, bp_model_predict(r.model, x, 3, y));
        BPT_OK(r.context, bp_model_predict(loaded, x, 3, of_loaded));
        cr_expect_arr_eq(y, of_loaded, sizeof y, "%s", backends[b]);
        bp_model_destroy(loaded);

        bp_trainer_destroy(r.trainer);
        r.trainer = NULL;
        double after = loss_of(&r, r.model);
        bpt_same_bits(&loss, &after, 1, "%s: the model keeps its averages", backends[b]);
        close_run(&r);
        close_run(&plain);
    }
}

Test(ema, what_is_written_into_the_model_goes_into_the_averages_too)
{
    run r = open_run("cpu", 0.9);
    BPT_OK(r.context, bp_model_save(r.model, "start.safetensors"));
    double before = loss_of(&r, r.model), values[9 * INPUTS] = {0}, read[9 * INPUTS];
    steps(&r, 2);
    BPT_OK(r.context, bp_model_load_weights(r.model, "start.safetensors"));
    double after = loss_of(&r, r.model);
    bpt_same_bits(&before, &after, 1, "loaded");
    values[5] = 2.5;
    BPT_OK(r.context, bp_model_set_tensor(r.model, "0.weight", values, 9 * INPUTS));
    BPT_OK(r.context, bp_model_get_tensor(r.model, "0.weight", read, 9 * INPUTS));
    bpt_same_bits(values, read, 9 * INPUTS, "set");
    close_run(&r);
}

Test(ema, a_checkpoint_holds_weights_and_averages)
{
    run whole = open_run("cpu", 0.9);
    steps(&whole, STEPS);
    BPT_OK(whole.context, bp_trainer_save(whole.trainer, "checkpoint.safetensors"));
    run resumed = open_run("cpu", 0.9);
    BPT_OK(resumed.context, bp_trainer_load(resumed.trainer, "checkpoint.safetensors"));
    double loss = loss_of(&whole, whole.model), of_resumed = loss_of(&resumed, resumed.model);
    bpt_same_bits(&loss, &of_resumed, 1, "right after it was read");
    steps(&whole, 3);
    steps(&resumed, 3);
    loss = loss_of(&whole, whole.model);
    of_resumed = loss_of(&resumed, resumed.model);
    bpt_same_bits(&loss, &of_resumed, 1, "three steps later");
    close_run(&resumed);

    run other = open_run("cpu", 0.5), none = open_run("cpu", 0.0);
    cr_expect_eq(bp_trainer_load(other.trainer, "checkpoint.safetensors"), BP_STATUS_BAD_DATA);
    cr_expect_not_null(strstr(bp_last_error(other.context), "training_ema_decay"), "%s", bp_last_error(other.context));
    cr_expect_eq(bp_trainer_load(none.trainer, "checkpoint.safetensors"), BP_STATUS_BAD_DATA);
    close_run(&none);
    close_run(&other);
    close_run(&whole);
}

Test(ema, bad_decays_and_a_second_trainer_are_refused)
{
    run r = open_run("reference", 0.9);
    const double bad[] = {-0.1, 1.0, 2.0, (double)NAN};
    bp_trainer *trainer;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        bp_trainer_options options = {.struct_size = sizeof options, .ema_decay = bad[k]};
        cr_expect_eq(bp_trainer_create(r.model, &options, &trainer), BP_STATUS_INVALID_ARGUMENT, "%g", bad[k]);
        cr_expect_not_null(strstr(bp_last_error(r.context), "ema_decay"), "%s", bp_last_error(r.context));
    }
    bp_trainer_options options = {.struct_size = sizeof options, .ema_decay = 0.5};
    cr_expect_eq(bp_trainer_create(r.model, &options, &trainer), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_not_null(strstr(bp_last_error(r.context), "another trainer"), "%s", bp_last_error(r.context));
    steps(&r, 1); /* the first trainer is as it was */
    close_run(&r);
}
