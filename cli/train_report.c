/* train_report.c: see train.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "message.h"
#include "net.h"
#include "source.h"
#include "stop.h"
#include "train.h"
#include "words.h"

enum { METRIC_DIGITS = 9 }; /* what a float32 needs */

static void report_data(const training *t)
{
    words rows, test;
    int64_t inputs = bp_data_inputs(t->data), classes = bp_data_class_count(t->data);
    int64_t targets = bp_data_target_cols(t->data);
    bp_loss loss = bp_model_loss(t->model);
    printf("data       %s: %s sample%s, %lld input%s, ", source_name(t->options),
           words_count(&rows, bp_data_rows(t->data)), words_plural(bp_data_rows(t->data)), (long long)inputs,
           words_plural(inputs));
    /* a table's whole numbers are classes and values, as the loss takes them */
    if (classes > 0 && (loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY || loss == BP_LOSS_BCE_WITH_LOGITS))
        printf("%lld class%s", (long long)classes, classes == 1 ? "" : "es");
    else
        printf("%lld target%s", (long long)targets, words_plural(targets));
    if (t->validation)
        printf("; validation: %s", words_count(&test, bp_data_rows(t->validation)));
    if (t->test)
        printf("; test: %s\n", words_count(&test, bp_data_rows(t->test)));
    else
        printf("; no test set\n");
}

/* What computes, and where `auto` chose cpu, why: what cuda lacks. */
static void report_backend(const training *t)
{
    static const char prefix[] = "backend cuda: ";
    const char *reason = bp_context_backend_reason(t->context);
    printf("backend    %s: %s, %s\n", bp_context_backend(t->context), bp_context_engine(t->context),
           bp_precision_name(bp_context_precision(t->context)));
    if (*reason && strcmp(bp_context_backend(t->context), "cuda") != 0)
        printf("           no cuda: %s\n",
               reason + (strncmp(reason, prefix, sizeof prefix - 1) ? 0 : sizeof prefix - 1));
}

void report_start(const training *t)
{
    const settings *v = &t->options->values;
    if (v->json)
        return;
    words count;
    report_data(t);
    printf("network    %s (%s parameters), loss %s\n", bp_model_layers(t->model),
           words_count(&count, bp_model_parameter_count(t->model)), bp_loss_name(bp_model_loss(t->model)));
    printf("optimiser  %s, lr %.10g %s, batch %lld", bp_optimizer_name((bp_optimizer)v->optimizer), v->lr,
           bp_schedule_name((bp_schedule)v->schedule), (long long)v->batch);
    if (v->accumulate > 1)
        printf(" x %lld", (long long)v->accumulate);
    if (v->ema > 0)
        printf(", averages %.10g", v->ema);
    printf(", %lld epoch%s of %lld step%s\n", (long long)v->epochs, words_plural(v->epochs),
           (long long)t->steps_per_epoch, words_plural(t->steps_per_epoch));
    if (t->plan.memory_limited)
        printf("memory     a batch of %lld does not fit: %lld samples at a time, %s bytes\n", (long long)v->batch,
               (long long)t->plan.part_rows, words_count(&count, (int64_t)t->plan.total_bytes));
    report_backend(t);
    if (t->run.has_checkpoint)
        printf("resume     %s after %lld epoch%s, %lld step%s\n", t->run.path,
               (long long)bp_trainer_epochs_done(t->trainer), words_plural(bp_trainer_epochs_done(t->trainer)),
               (long long)t->first_step, words_plural(t->first_step));
    else if (v->resume)
        printf("resume     no checkpoint in %s yet: starting from the beginning\n", t->run.path);
    fflush(stdout);
}

static void log_step(training *t, const bp_progress *progress)
{
    const bp_step_result *result = &progress->result;
    json_t *line =
        json_pack("{sI sI so so so so}", "step", (json_int_t)result->step, "epoch", (json_int_t)progress->epoch, "loss",
                  json_digits(result->loss, METRIC_DIGITS), "lr", json_digits(result->lr, METRIC_DIGITS), "grad_norm",
                  json_digits(result->grad_norm, METRIC_DIGITS), "samples_per_second",
                  json_digits(progress->samples_per_second, 6));
    if (result->nonfinite)
        json_object_set_new(line, "nonfinite", json_true());
    run_metrics(&t->run, line);
    if (result->nonfinite && !t->warned) {
        t->warned = true;
        warn("the gradient after step %lld is not finite and was not applied; lower --lr, or limit it by --clip-norm",
             (long long)result->step);
    }
}

static void log_epoch(training *t, const bp_progress *progress)
{
    json_t *line = json_pack("{sI sI}", "step", (json_int_t)bp_trainer_steps_done(t->trainer), "epoch",
                             (json_int_t)progress->epoch);
    if (progress->has_test) {
        json_object_set_new(line, "test_loss", json_digits(progress->test_loss, METRIC_DIGITS));
        json_object_set_new(line, "test_accuracy", json_digits(progress->test_accuracy, METRIC_DIGITS));
    }
    if (progress->has_validation) {
        json_object_set_new(line, "validation_loss", json_digits(progress->validation_loss, METRIC_DIGITS));
        json_object_set_new(line, "validation_accuracy", json_digits(progress->validation_accuracy, METRIC_DIGITS));
        json_object_set_new(line, "best", json_boolean(progress->is_best));
    }
    json_object_set_new(line, "samples_per_second", json_digits(progress_epoch_rate(&t->view, progress), 6));
    json_object_set_new(line, "epoch_seconds", json_digits(progress_epoch_seconds(&t->view, progress), 6));
    json_object_set_new(line, "seconds", json_digits(progress->seconds, 6));
    run_metrics(&t->run, line);
}

bool report_step(void *user, const bp_progress *progress)
{
    training *t = user;
    t->last = *progress;
    if (progress->fresh)
        log_step(t, progress);
    if (progress->epoch_end)
        log_epoch(t, progress);
    progress_show(&t->view, progress);
    bool done = progress->epoch_end && progress->epoch == progress->epochs;
    return done || (!stop_signal() && !t->run.failed); /* what is done need not be stopped */
}

/* The test set's loss and accuracy of model.safetensors; NaN where there is no test set. */
static int final_test(training *t, double *loss, double *accuracy)
{
    *loss = *accuracy = (double)NAN;
    if (!t->test)
        return STATUS_OK;
    /* the model may be that of an epoch before the last one */
    if (t->last.epoch_end && t->last.has_test && bp_trainer_best_epoch(t->trainer) == 0) {
        *loss = t->last.test_loss;
        *accuracy = t->last.test_accuracy;
        return STATUS_OK;
    }
    bp_evaluation evaluation;
    TRY(check_library(t->context, bp_evaluate(t->model, t->test, &evaluation)));
    *loss = evaluation.loss;
    *accuracy = evaluation.accuracy;
    return STATUS_OK;
}

static int end_as_json(const training *t, double test_loss, double test_accuracy, double data_share)
{
    double loss = t->last.epochs > 0 ? t->last.result.loss : (double)NAN;
    json_t *root = json_pack(
        "{sI sI so so so so so so ss ss}", "epochs", (json_int_t)bp_trainer_epochs_done(t->trainer), "steps",
        (json_int_t)bp_trainer_steps_done(t->trainer), "loss", json_digits(loss, METRIC_DIGITS), "test_loss",
        json_digits(test_loss, METRIC_DIGITS), "test_accuracy", json_digits(test_accuracy, METRIC_DIGITS), "seconds",
        json_digits(t->last.seconds, 6), "samples_per_second", json_digits(t->last.samples_per_second, 6), "data_share",
        json_digits(data_share, 6), "model", t->run.model, "run", t->run.path);
    if (bp_trainer_best_epoch(t->trainer) > 0) {
        json_object_set_new(root, "best_epoch", json_integer((json_int_t)bp_trainer_best_epoch(t->trainer)));
        json_object_set_new(root, "validation_loss", json_digits(bp_trainer_best_loss(t->trainer), METRIC_DIGITS));
    }
    return json_print(root);
}

/* Which epoch's model was kept, and whether patience ended the run. */
static void report_best(const training *t)
{
    words text;
    int64_t epochs = bp_trainer_epochs_done(t->trainer), best = bp_trainer_best_epoch(t->trainer);
    if (best > 0)
        printf("best       epoch %lld, validation loss %s: this is what model.safetensors holds\n", (long long)best,
               words_loss(&text, bp_trainer_best_loss(t->trainer)));
    if (epochs < t->options->values.epochs)
        printf("stopped    after epoch %lld: %lld without a lower validation loss\n", (long long)epochs,
               (long long)(epochs - best));
}

int report_end(training *t)
{
    words text, rate;
    double loss, accuracy;
    double share = t->last.seconds > 0 ? t->last.data_seconds / t->last.seconds : 0;
    TRY(final_test(t, &loss, &accuracy));
    if (t->options->values.json)
        return end_as_json(t, loss, accuracy, share);
    if (t->validation)
        report_best(t);
    if (t->test)
        printf("test       loss %s", words_loss(&text, loss));
    if (t->test && !isnan(accuracy))
        printf(", accuracy %.4f", accuracy);
    if (t->test)
        putchar('\n');
    if (t->last.seconds > 0)
        printf("training   %s, %s samples/s, %.1f %% of the time spent on data\n", words_time(&text, t->last.seconds),
               words_rate(&rate, t->last.samples_per_second), 100 * share);
    else
        printf("training   nothing left to do: %lld epochs are done; raise %s to go on\n",
               (long long)bp_trainer_epochs_done(t->trainer),
               bp_trainer_epochs_done(t->trainer) < t->options->values.epochs ? "--patience" : "--epochs");
    printf("results    in %s: model.safetensors, metrics.jsonl, config.json\n", t->run.path);
    return STATUS_OK;
}
