/* test_validation.c: parting samples, the best model on a validation set, and stopping early. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/hooks.h"
#include "support/judge.h"
#include "support/run.h"
#include "support/sandbox.h"

TestSuite(validation, .init = bpt_sandbox_enter, .fini = bpt_sandbox_leave);

enum { ROWS = 100, INPUTS = 6, CLASSES = 3, EPOCHS = 30 };

/* ---------------------------------------------------------------- parting */

/* Samples whose first input is their number. */
static bp_data *numbered(bp_context *context, const int64_t *classes, const float *targets)
{
    float x[ROWS * 2] = {0};
    for (int i = 0; i < ROWS; i++)
        x[2 * i] = (float)i;
    bp_data *data;
    BPT_OK(context, bp_data_create(context, x, ROWS, 2, classes, targets, targets ? 2 : 0, &data));
    return data;
}

/* Which numbers are in the set, by a row of `seen` each; ascending, as the samples were. */
static void collect(bp_context *context, const bp_data *data, int *seen)
{
    float x[ROWS * 2];
    BPT_OK(context, bp_data_get_inputs(data, 0, bp_data_rows(data), x));
    for (int64_t i = 0; i < bp_data_rows(data); i++) {
        seen[(int)x[2 * i]]++;
        cr_expect(i == 0 || x[2 * i] > x[2 * i - 2], "the order stays");
    }
}

Test(validation, parts_samples_by_seed_alone_and_loses_none)
{
    bp_context *context = bpt_context("cpu", 1);
    int64_t classes[ROWS];
    for (int i = 0; i < ROWS; i++)
        classes[i] = i % CLASSES;
    bp_data *data = numbered(context, classes, NULL), *rest, *part, *rest_again, *part_again;
    int in_part[3][ROWS] = {{0}}, in_both[ROWS] = {0};
    for (uint64_t seed = 0; seed < 3; seed++) {
        BPT_OK(context, bp_data_split(data, 0.25, seed, &rest, &part));
        BPT_OK(context, bp_data_split(data, 0.25, seed, &rest_again, &part_again));
        cr_expect(bp_data_rows(part) == 25 && bp_data_rows(rest) == 75);
        cr_expect_eq(bp_data_class_count(rest), CLASSES);
        int again[ROWS] = {0};
        collect(context, part, in_part[seed]);
        collect(context, part_again, again);
        cr_expect_arr_eq(in_part[seed], again, sizeof again);
        memcpy(in_both, in_part[seed], sizeof in_both);
        collect(context, rest, in_both);
        for (int i = 0; i < ROWS; i++)
            cr_expect_eq(in_both[i], 1, "sample %d is there once", i);
        bp_data_destroy(part_again);
        bp_data_destroy(rest_again);
        bp_data_destroy(part);
        bp_data_destroy(rest);
    }
    cr_expect_arr_neq(in_part[0], in_part[1], sizeof in_part[0], "another seed, another part");
    bp_data_destroy(data);
    bp_context_destroy(context);
}

/* A model that puts out its two inputs tells which targets came along: the loss is 0 where they are the inputs. */
Test(validation, keeps_every_sample_with_its_target)
{
    bp_context *context = bpt_context("reference", 1);
    bp_model_options network = {.struct_size = sizeof network, .inputs = 2, .layers = "2:nobias", .loss = BP_LOSS_MSE};
    const double identity[4] = {1.0, 0.0, 0.0, 1.0};
    float targets[ROWS * 2] = {0};
    for (int i = 0; i < ROWS; i++)
        targets[2 * i] = (float)i;
    bp_model *model;
    bp_data *data = numbered(context, NULL, targets), *sets[2];
    BPT_OK(context, bp_model_create(context, &network, &model));
    BPT_OK(context, bp_model_set_tensor(model, "0.weight", identity, 4));
    BPT_OK(context, bp_data_split(data, 0.5, 7, &sets[0], &sets[1]));
    for (int s = 0; s < 2; s++) {
        bp_evaluation evaluation;
        BPT_OK(context, bp_evaluate(model, sets[s], &evaluation));
        cr_expect(evaluation.rows == 50 && evaluation.loss == 0.0, "loss %g", evaluation.loss);
        bp_data_destroy(sets[s]);
    }
    bp_data_destroy(data);
    bp_model_destroy(model);
    bp_context_destroy(context);
}

Test(validation, refuses_shares_that_leave_nothing)
{
    bp_context *context = bpt_context("cpu", 1);
    bp_data *data = numbered(context, NULL, NULL), *rest, *part;
    const double bad[] = {0.0, 1.0, -0.5, 2.0, 0.004, 0.996, (double)NAN};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        cr_expect_eq(bp_data_split(data, bad[k], 1, &rest, &part), BP_STATUS_INVALID_ARGUMENT, "%g", bad[k]);
        cr_expect(!rest && !part);
        cr_expect_not_null(strstr(bp_last_error(context), "bp_data_split"), "%s", bp_last_error(context));
    }
    bp_data_destroy(data);
    bp_context_destroy(context);
}

/* Every allocation made to fail once: a status, words, nothing left behind, and the samples as they were. */
Test(validation, parting_survives_the_failure_of_any_allocation)
{
    bpt_hooks hooks = {0};
    bp_context *context = bpt_hooks_context(&hooks);
    int64_t classes[ROWS] = {0, 1};
    bp_data *data = numbered(context, classes, NULL), *rest, *part;
    int64_t live = hooks.live, failures = 0;
    for (bp_status status = BP_STATUS_OUT_OF_MEMORY; status != BP_STATUS_OK; failures++) {
        hooks.fail_at = hooks.calls + 1 + failures;
        status = bp_data_split(data, 0.3, 1, &rest, &part);
        cr_assert(status == BP_STATUS_OK || status == BP_STATUS_OUT_OF_MEMORY, "%s", bp_last_error(context));
        cr_assert(status == BP_STATUS_OK || (!rest && !part && hooks.live == live), "failure %lld",
                  (long long)failures);
    }
    cr_expect_gt(failures, 8, "the test reaches the allocations");
    cr_expect(bp_data_rows(rest) == 70 && bp_data_rows(part) == 30);
    bp_data_destroy(part);
    bp_data_destroy(rest);
    bp_data_destroy(data);
    bp_context_destroy(context);
    cr_expect_eq(hooks.live, 0);
}

/* ---------------------------------------------------------------- training */

typedef struct run {
    bp_context *context;
    bp_model *model;
    bp_data *data, *validation;
    bp_trainer *trainer;
    double losses[EPOCHS + 1]; /* of validation, by epoch from 1 */
    int64_t best;              /* by what was told */
    int64_t stop_epoch, stop_step;
} run;

/* Few samples, a large network and a high learning rate: it soon learns by heart, and the validation loss rises. */
static run open_run(const char *backend, double lr)
{
    run r = {.context = bpt_context(backend, 2)};
    bp_model_options network = {.struct_size = sizeof network, .inputs = INPUTS, .layers = "40:relu,3", .seed = 1};
    bp_trainer_options options = {.struct_size = sizeof options,
                                  .batch = 8,
                                  .optimizer = BP_OPTIMIZER_ADAM,
                                  .lr = lr,
                                  .ema_decay = 0.5,
                                  .seed = 5};
    BPT_OK(r.context, bp_model_create(r.context, &network, &r.model));
    BPT_OK(r.context, bp_trainer_create(r.model, &options, &r.trainer));
    bp_data *all = bpt_classes(r.context, ROWS, INPUTS, CLASSES, 1);
    BPT_OK(r.context, bp_data_split(all, 0.4, 5, &r.data, &r.validation));
    bp_data_destroy(all);
    return r;
}

static void close_run(run *r)
{
    bp_trainer_destroy(r->trainer);
    bp_data_destroy(r->validation);
    bp_data_destroy(r->data);
    bp_model_destroy(r->model);
    bp_context_destroy(r->context);
}

static bool note(void *user, const bp_progress *progress)
{
    run *r = user;
    if (progress->epoch_end) {
        cr_expect(progress->has_validation);
        r->losses[progress->epoch] = progress->validation_loss;
        r->best = progress->is_best ? progress->epoch : r->best;
    }
    return !(progress->epoch == r->stop_epoch && progress->step_in_epoch == r->stop_step);
}

static bp_status train(run *r, int64_t patience, const char *best, const char *checkpoint)
{
    bp_train_options options = {.struct_size = sizeof options,
                                .epochs = EPOCHS,
                                .progress = note,
                                .progress_user = r,
                                .checkpoint = checkpoint,
                                .validation = r->validation,
                                .patience = patience,
                                .best = best};
    return bp_train(r->trainer, r->data, &options);
}

Test(validation, the_best_file_is_the_model_of_the_lowest_loss)
{
    const char *const backends[] = {"reference", "cpu"};
    for (size_t b = 0; b < sizeof backends / sizeof *backends; b++) {
        run r = open_run(backends[b], 0.05);
        BPT_OK(r.context, train(&r, 0, "best.safetensors", NULL));
        int64_t lowest = 1;
        for (int64_t e = 2; e <= EPOCHS; e++)
            lowest = r.losses[e] < r.losses[lowest] ? e : lowest;
        cr_assert(lowest > 1 && lowest < EPOCHS - 3, "%s: the loss falls and rises: %lld", backends[b],
                  (long long)lowest);
        cr_expect_eq(bp_trainer_epochs_done(r.trainer), EPOCHS);
        cr_expect_eq(bp_trainer_best_epoch(r.trainer), lowest);
        cr_expect_eq(r.best, lowest);
        double best = bp_trainer_best_loss(r.trainer);
        bpt_same_bits(&best, &r.losses[lowest], 1, "%s", backends[b]);
        bp_model *kept;
        bp_evaluation evaluation;
        BPT_OK(r.context, bp_model_load(r.context, "best.safetensors", &kept));
        BPT_OK(r.context, bp_evaluate(kept, r.validation, &evaluation));
        bpt_same_bits(&evaluation.loss, &best, 1, "%s: the file's loss", backends[b]);
        bp_model_destroy(kept);
        close_run(&r);
    }
}

Test(validation, patience_stops_so_many_epochs_after_the_best_and_more_of_it_goes_on)
{
    run r = open_run("cpu", 0.05);
    BPT_OK(r.context, train(&r, 3, NULL, NULL));
    int64_t best = bp_trainer_best_epoch(r.trainer);
    cr_assert(best > 1 && best + 3 < EPOCHS, "%lld", (long long)best);
    cr_expect_eq(bp_trainer_epochs_done(r.trainer), best + 3);
    BPT_OK(r.context, train(&r, 3, NULL, NULL));
    cr_expect_eq(bp_trainer_epochs_done(r.trainer), best + 3, "it is at its end");
    BPT_OK(r.context, train(&r, 4, NULL, NULL));
    cr_expect_geq(bp_trainer_epochs_done(r.trainer), best + 4);
    close_run(&r);
    /* a loss that never changes is no better than itself */
    r = open_run("cpu", -1.0);
    BPT_OK(r.context, train(&r, 2, NULL, NULL));
    cr_expect(bp_trainer_best_epoch(r.trainer) == 1 && bp_trainer_epochs_done(r.trainer) == 3);
    close_run(&r);
}

Test(validation, a_run_that_was_interrupted_ends_in_the_same_bits)
{
    run whole = open_run("cpu", 0.05);
    BPT_OK(whole.context, train(&whole, 4, "whole.safetensors", "whole.checkpoint"));
    int64_t epochs = bp_trainer_epochs_done(whole.trainer), best = bp_trainer_best_epoch(whole.trainer);
    /* before the best epoch, right after it, and while patience runs out */
    const int64_t stops[] = {best - 1, best + 1, best + 3};
    for (size_t k = 0; k < sizeof stops / sizeof *stops; k++) {
        run r = open_run("cpu", 0.05);
        r.stop_epoch = stops[k];
        r.stop_step = 2;
        cr_assert_eq(train(&r, 4, "parts.safetensors", "parts.checkpoint"), BP_STATUS_CANCELLED);
        close_run(&r);
        r = open_run("cpu", 0.05);
        BPT_OK(r.context, bp_trainer_load(r.trainer, "parts.checkpoint"));
        BPT_OK(r.context, train(&r, 4, "parts.safetensors", "parts.checkpoint"));
        cr_expect_eq(bp_trainer_epochs_done(r.trainer), epochs, "stopped in epoch %lld", (long long)stops[k]);
        bpt_file_same("parts.safetensors", "whole.safetensors");
        bpt_file_same("parts.checkpoint", "whole.checkpoint");
        close_run(&r);
    }
    close_run(&whole);
}

Test(validation, what_makes_no_sense_is_refused)
{
    run r = open_run("cpu", 0.05);
    bp_train_options options = {.struct_size = sizeof options, .epochs = 1, .patience = 2};
    cr_expect_eq(bp_train(r.trainer, r.data, &options), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_not_null(strstr(bp_last_error(r.context), "patience wants validation"), "%s", bp_last_error(r.context));
    options = (bp_train_options){.struct_size = sizeof options, .epochs = 1, .best = "best.safetensors"};
    cr_expect_eq(bp_train(r.trainer, r.data, &options), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_not_null(strstr(bp_last_error(r.context), "best wants validation"), "%s", bp_last_error(r.context));
    options =
        (bp_train_options){.struct_size = sizeof options, .epochs = 1, .validation = r.validation, .patience = -1};
    cr_expect_eq(bp_train(r.trainer, r.data, &options), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_not_null(strstr(bp_last_error(r.context), "patience is -1"), "%s", bp_last_error(r.context));
    close_run(&r);
}
