/* train.c: epochs around the step: shuffling, progress, evaluation, the best model, checkpoints. */
#include <math.h>

#include "backprop/checkpoint.h"
#include "host/locate.h"

enum { DEFAULT_LOG_EVERY = 50 };

/* All that one call of bp_train keeps. */
typedef struct run {
    bp_trainer *trainer;
    bp_data *data; /* const, but for the backend's own copy */
    bp_train_options options;
    int64_t *order; /* [rows] */
    size_t order_bytes;
    int64_t rows_per_step, steps_per_epoch;
    double begin;
    double data_seconds_before;
    bp_progress progress;
} run;

/* ---------------------------------------------------------------- telling */

/* CANCELLED where the callback says so. */
static bp_status tell(run *r)
{
    bp_trainer *trainer = r->trainer;
    r->progress.seconds = bpi_now_seconds() - r->begin;
    r->progress.samples_per_second =
        r->progress.seconds > 0.0 ? (double)r->progress.samples / r->progress.seconds : 0.0;
    r->progress.data_seconds = trainer->data_seconds - r->data_seconds_before;
    if (!r->options.progress || r->options.progress(r->options.progress_user, &r->progress))
        return BP_STATUS_OK;
    return BPI_FAIL(trainer->context, BP_STATUS_CANCELLED, "bp_train: the progress callback asked to stop");
}

static bp_status checkpoint(run *r)
{
    return r->options.checkpoint ? bp_trainer_save(r->trainer, r->options.checkpoint) : BP_STATUS_OK;
}

/* A cancelled run is saved where it stands; a failure to save is worth more than the cancellation. */
static bp_status after_tell(run *r, bp_status status)
{
    if (status != BP_STATUS_CANCELLED)
        return status;
    bpi_error kept = r->trainer->context->error;
    BPI_TRY(checkpoint(r));
    r->trainer->context->error = kept;
    return status;
}

/* ---------------------------------------------------------------- an epoch */

static int64_t rows_of_step(const run *r, int64_t step)
{
    int64_t rest = r->data->source.rows - step * r->rows_per_step;
    return rest < r->rows_per_step ? rest : r->rows_per_step;
}

/* A step held the trainer: the steps behind it changed nothing. Back to it, and on as the options say; the first such
 * step of a call is looked into, and those behind it are skipped, or made, without a word. */
static bp_status go_back(run *r)
{
    bp_trainer *trainer = r->trainer;
    bpi_step_state state;
    BPI_TRY(bpi_trainer_state(trainer, &state));
    for (int64_t back = 0; back <= state.held; back++) {
        trainer->step_in_epoch--;
        trainer->attempts--;
        r->progress.samples -= rows_of_step(r, trainer->step_in_epoch);
    }
    int64_t step = trainer->step_in_epoch;
    BPI_TRY(bpi_nonfinite_release(trainer));
    bool skips = r->options.on_nonfinite == BP_NONFINITE_SKIP;
    bp_status status = bpi_nonfinite_report(trainer, &r->data->source, r->order + step * r->rows_per_step,
                                            rows_of_step(r, step), &r->options);
    if (status != BP_STATUS_OK) {
        bpi_error kept = trainer->context->error;
        BPI_TRY(checkpoint(r));
        trainer->context->error = kept;
        return status;
    }
    bpi_nonfinite_rule_set(trainer, skips ? BPI_NONFINITE_SKIP : BPI_NONFINITE_APPLY);
    if (skips) {
        trainer->step_in_epoch++;
        trainer->attempts++;
        r->progress.samples += rows_of_step(r, step);
    }
    return BP_STATUS_OK;
}

static bp_status one_step(run *r)
{
    bp_trainer *trainer = r->trainer;
    const bpi_source *source = &r->data->source;
    int64_t first = trainer->step_in_epoch * r->rows_per_step, rows = rows_of_step(r, trainer->step_in_epoch);
    BPI_TRY(bpi_step(trainer, source, r->order + first, 0, rows));
    trainer->step_in_epoch++;
    r->progress.samples += rows;
    r->progress.step_in_epoch = trainer->step_in_epoch;
    bool last = trainer->step_in_epoch == r->steps_per_epoch;
    r->progress.fresh = last || trainer->step_in_epoch % r->options.log_every == 0;
    if (r->progress.fresh)
        BPI_TRY(bp_trainer_result(trainer, &r->progress.result));
    if (r->progress.fresh && r->progress.result.nonfinite && trainer->hyper.on_nonfinite == BPI_NONFINITE_HOLD)
        return go_back(r);
    return after_tell(r, tell(r));
}

/* The best model is written before the checkpoint that tells of it: a run that is killed in between does the epoch
 * again, and writes the same file again. */
static bp_status validate(run *r)
{
    bp_trainer *trainer = r->trainer;
    bp_evaluation evaluation;
    BPI_TRY(bp_evaluate(trainer->model, r->options.validation, &evaluation));
    r->progress.has_validation = true;
    r->progress.validation_loss = evaluation.loss;
    r->progress.validation_accuracy = evaluation.accuracy;
    r->progress.is_best = evaluation.loss < trainer->best_loss;
    if (!r->progress.is_best)
        return BP_STATUS_OK;
    trainer->best_epoch = trainer->epoch;
    trainer->best_loss = evaluation.loss;
    return r->options.best ? bp_model_save(trainer->model, r->options.best) : BP_STATUS_OK;
}

static bool out_of_patience(const run *r)
{
    const bp_trainer *trainer = r->trainer;
    return r->options.patience > 0 && trainer->epoch - trainer->best_epoch >= r->options.patience;
}

static bp_status end_epoch(run *r)
{
    bp_trainer *trainer = r->trainer;
    trainer->epoch++;
    trainer->step_in_epoch = 0;
    if (r->options.test) {
        bp_evaluation evaluation;
        BPI_TRY(bp_evaluate(trainer->model, r->options.test, &evaluation));
        r->progress.has_test = true;
        r->progress.test_loss = evaluation.loss;
        r->progress.test_accuracy = evaluation.accuracy;
    }
    if (r->options.validation)
        BPI_TRY(validate(r));
    r->progress.epoch_end = true;
    r->progress.fresh = false;
    /* The callback first: what it writes is cut back to the checkpoint by whoever resumes; the other way round a kill
     * in between would lose the epoch's line. */
    bp_status status = tell(r);
    r->progress.epoch_end = false;
    if (status == BP_STATUS_OK)
        return checkpoint(r);
    return after_tell(r, status);
}

static bp_status one_epoch(run *r)
{
    bp_trainer *trainer = r->trainer;
    r->progress.epoch = trainer->epoch + 1;
    bpi_shuffle(trainer->options.seed, trainer->epoch, r->data->source.rows, r->order);
    while (trainer->step_in_epoch < r->steps_per_epoch)
        BPI_TRY(one_step(r));
    return end_epoch(r);
}

/* ---------------------------------------------------------------- the call */

static bp_status check(bp_trainer *trainer, const bp_data *data, const bp_train_options *options)
{
    bp_context *context = trainer->context;
    BPI_TRY(bp_data_check(data, trainer->model));
    if (options->test)
        BPI_TRY(bp_data_check(options->test, trainer->model));
    if (trainer->data_rows && trainer->data_rows != data->source.rows)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_train: the run began on %lld samples, and these data have %lld: go on with the same data",
                        (long long)trainer->data_rows, (long long)data->source.rows);
    int64_t batch = trainer->options.batch;
    if (trainer->model->has_batch_norm && (batch == 1 || data->source.rows % batch == 1))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_train: batch norm wants at least 2 samples in each micro-batch, and of %lld samples in "
                        "batches of %lld one is left over: choose another batch",
                        (long long)data->source.rows, (long long)batch);
    if (options->validation)
        BPI_TRY(bp_data_check(options->validation, trainer->model));
    if (options->patience < 0)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_train: patience is %lld; it must be at least 0",
                        (long long)options->patience);
    if (!options->validation && (options->patience > 0 || options->best))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_train: %s wants validation data",
                        options->best ? "best" : "patience");
    if (options->epochs < 1)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_train: epochs is %lld; it must be at least 1",
                        (long long)options->epochs);
    if ((unsigned)options->on_nonfinite >= BP_NONFINITE_COUNT)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_train: on_nonfinite is %d; it must be one of "
                        "bp_nonfinite_action",
                        (int)options->on_nonfinite);
    if (options->log_every < 0)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_train: log_every is %lld; it must be at least 1",
                        (long long)options->log_every);
    return BP_STATUS_OK;
}

static bp_status prepare(run *r)
{
    bp_trainer *trainer = r->trainer;
    bpi_backend *backend = trainer->context->backend;
    int64_t rows = trainer->data_rows = r->data->source.rows;
    r->rows_per_step = trainer->options.batch * trainer->options.accumulate;
    r->steps_per_epoch = (rows + r->rows_per_step - 1) / r->rows_per_step;
    r->options.log_every = r->options.log_every ? r->options.log_every : DEFAULT_LOG_EVERY;
    r->begin = bpi_now_seconds();
    r->data_seconds_before = trainer->data_seconds;
    r->progress = (bp_progress){.epochs = r->options.epochs,
                                .steps_per_epoch = r->steps_per_epoch,
                                .test_loss = (double)NAN,
                                .test_accuracy = (double)NAN,
                                .validation_loss = (double)NAN,
                                .validation_accuracy = (double)NAN,
                                .result = {.loss = (double)NAN, .accuracy = (double)NAN, .grad_norm = (double)NAN}};
    BPI_TRY(bpi_array_bytes(trainer->context, rows, sizeof *r->order, "bp_train", &r->order_bytes));
    BPI_TRY(bpi_alloc(trainer->context, r->order_bytes, "bp_train", (void **)&r->order));
    return backend->ops->source_prepare ? backend->ops->source_prepare(backend, &r->data->source) : BP_STATUS_OK;
}

bp_status bp_train(bp_trainer *trainer, const bp_data *data, const bp_train_options *options)
{
    bp_context *context = trainer ? trainer->context : NULL;
    if (!trainer || !data || !options)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_train: %s is NULL",
                        !trainer ? "trainer"
                        : !data  ? "data"
                                 : "options");
    run r = {.trainer = trainer, .data = (bp_data *)data};
    BPI_TRY(bpi_options_copy(context, "bp_train_options", options, sizeof r.options, sizeof r.options, &r.options));
    BPI_TRY(check(trainer, data, &r.options));
    bp_status status = prepare(&r);
    bpi_nonfinite_rule_set(trainer, BPI_NONFINITE_HOLD);
    while (status == BP_STATUS_OK && trainer->epoch < r.options.epochs && !out_of_patience(&r))
        status = one_epoch(&r);
    bpi_nonfinite_rule_set(trainer, BPI_NONFINITE_SKIP);
    bpi_backend *backend = context->backend;
    if (backend->ops->source_release)
        backend->ops->source_release(backend, &r.data->source);
    bpi_free(context, r.order, r.order_bytes);
    return status;
}
