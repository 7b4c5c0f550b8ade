/* trainer.c: makes and destroys trainers; the front door of a step. The step itself is step.c, the epochs are train.c.
 */
#include "host/observe.h"

#include <math.h>
#include <string.h>

enum { DEFAULT_BATCH = 128, MAX_BATCH = 1 << 30 };

/* ---------------------------------------------------------------- options */

static bp_status wrong(bp_context *context, const char *field, double value, const char *range)
{
    return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_trainer_create: %s is %g; it must be %s", field, value,
                    range);
}

static bool within(double value, double low, double below)
{
    return value >= low && value < below;
}

static bp_status check_numbers(bp_context *context, const bp_trainer_options *o)
{
    if (o->batch < 0 || o->batch > MAX_BATCH)
        return wrong(context, "batch", (double)o->batch, "1 to 2^30, or 0 for 128");
    if (o->accumulate < 0 || o->accumulate > MAX_BATCH)
        return wrong(context, "accumulate", (double)o->accumulate, "1 to 2^30, or 0 for 1");
    if (!isfinite(o->lr))
        return wrong(context, "lr", o->lr, "finite");
    if (!within(o->momentum, 0.0, 1.0))
        return wrong(context, "momentum", o->momentum, "at least 0 and below 1");
    if (!within(o->beta1, 0.0, 1.0))
        return wrong(context, "beta1", o->beta1, "at least 0 and below 1");
    if (!within(o->beta2, 0.0, 1.0))
        return wrong(context, "beta2", o->beta2, "at least 0 and below 1");
    if (!within(o->epsilon, 0.0, (double)INFINITY))
        return wrong(context, "epsilon", o->epsilon, "at least 0");
    if (!within(o->weight_decay, 0.0, (double)INFINITY))
        return wrong(context, "weight_decay", o->weight_decay, "at least 0");
    if (!within(o->clip_norm, 0.0, (double)INFINITY))
        return wrong(context, "clip_norm", o->clip_norm, "above 0, or 0 for none");
    if (!within(o->clip_value, 0.0, (double)INFINITY))
        return wrong(context, "clip_value", o->clip_value, "above 0, or 0 for none");
    if (!within(o->ema_decay, 0.0, 1.0))
        return wrong(context, "ema_decay", o->ema_decay, "at least 0 and below 1");
    if (o->steps_done < 0)
        return wrong(context, "steps_done", (double)o->steps_done, "at least 0");
    if (o->warmup_steps < 0)
        return wrong(context, "warmup_steps", (double)o->warmup_steps, "at least 0");
    if (!within(o->schedule_gamma, 0.0, (double)INFINITY))
        return wrong(context, "schedule_gamma", o->schedule_gamma, "above 0, or 0 for 0.1");
    return BP_STATUS_OK;
}

static bp_status check_choices(bp_context *context, const bp_trainer_options *o)
{
    if (!bp_optimizer_name(o->optimizer))
        return wrong(context, "optimizer", (double)o->optimizer, "one of bp_optimizer");
    if (!bp_schedule_name(o->schedule))
        return wrong(context, "schedule", (double)o->schedule, "one of bp_schedule");
    if (o->optimizer != BP_OPTIMIZER_SGD && (o->momentum > 0.0 || o->nesterov))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_trainer_create: momentum and nesterov are for sgd; %s has beta1 and beta2",
                        bp_optimizer_name(o->optimizer));
    if (o->nesterov && !(o->momentum > 0.0))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_trainer_create: nesterov wants momentum > 0");
    if (o->decay_all && !(o->weight_decay > 0.0))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_trainer_create: decay_all wants weight_decay > 0");
    if ((o->schedule == BP_SCHEDULE_COSINE || o->schedule == BP_SCHEDULE_LINEAR) && o->total_steps < 1)
        return wrong(context, "total_steps", (double)o->total_steps, "at least 1 for the schedules cosine and linear");
    if (o->schedule == BP_SCHEDULE_STEP && o->schedule_step < 1)
        return wrong(context, "schedule_step", (double)o->schedule_step, "at least 1 for the schedule step");
    return BP_STATUS_OK;
}

static double or_default(double value, double otherwise)
{
    return value > 0.0 ? value : otherwise;
}

bp_status bpi_trainer_options_resolve(bp_context *context, const bp_trainer_options *options,
                                      bp_trainer_options *resolved)
{
    BPI_TRY(bpi_options_copy(context, "bp_trainer_options", options, sizeof *resolved, sizeof *resolved, resolved));
    BPI_TRY(check_numbers(context, resolved));
    BPI_TRY(check_choices(context, resolved));
    bp_trainer_options *o = resolved;
    o->batch = o->batch ? o->batch : DEFAULT_BATCH;
    o->accumulate = o->accumulate ? o->accumulate : 1;
    double default_lr = o->optimizer == BP_OPTIMIZER_SGD ? 0.01 : 0.001;
    o->lr = o->lr < 0.0 ? 0.0 : or_default(o->lr, default_lr);
    o->beta1 = or_default(o->beta1, 0.9);
    o->beta2 = or_default(o->beta2, 0.999);
    o->epsilon = or_default(o->epsilon, 1e-8);
    o->schedule_gamma = or_default(o->schedule_gamma, 0.1);
    return BP_STATUS_OK;
}

static bpi_hyper hyper_of(const bp_trainer_options *o)
{
    return (bpi_hyper){.optimizer = o->optimizer,
                       .lr = o->lr,
                       .momentum = o->momentum,
                       .beta1 = o->beta1,
                       .beta2 = o->beta2,
                       .epsilon = o->epsilon,
                       .weight_decay = o->weight_decay,
                       .nesterov = o->nesterov,
                       .clip_norm = o->clip_norm,
                       .clip_value = o->clip_value,
                       .schedule = o->schedule,
                       .warmup_steps = o->warmup_steps,
                       .total_steps = o->total_steps,
                       .schedule_step = o->schedule_step,
                       .schedule_gamma = o->schedule_gamma,
                       .average_decay = o->ema_decay};
}

int bpi_optimizer_states(const bp_trainer_options *options)
{
    if (options->optimizer == BP_OPTIMIZER_SGD)
        return options->momentum > 0.0 ? 1 : 0;
    return 2;
}

const char *bpi_optimizer_state_name(bp_optimizer optimizer, int index)
{
    if (optimizer == BP_OPTIMIZER_SGD)
        return "momentum_buffer";
    return index == 0 ? "exp_avg" : "exp_avg_sq";
}

/* ---------------------------------------------------------------- life */

static bp_status build(bp_trainer *trainer, int64_t part_rows)
{
    bpi_backend *backend = trainer->context->backend;
    size_t bytes = bpi_parameters_bytes(trainer->model);
    int states = bpi_optimizer_states(&trainer->options);
    bpi_wish wish;
    BPI_TRY(bpi_wish_of(trainer->context, &trainer->options, &wish));
    BPI_TRY(backend->ops->allocate(backend, bytes, &trainer->gradients));
    if (states > 0)
        BPI_TRY(backend->ops->allocate(backend, bytes, &trainer->state1));
    if (states > 1)
        BPI_TRY(backend->ops->allocate(backend, bytes, &trainer->state2));
    BPI_TRY(bpi_pass_create(trainer->model, part_rows, true, &wish, &trainer->pass));
    if (trainer->options.plan)
        BPI_TRY(bpi_ways_plan(trainer->pass, trainer->options.plan));
    trainer->pass->dropout_seed = trainer->options.seed;
    trainer->attempts = trainer->options.steps_done;
    bpi_step_state state = {.step = trainer->options.steps_done};
    BPI_TRY(backend->ops->upload(backend, &state, sizeof state, trainer->pass->state));
    return trainer->options.ema_decay > 0.0 ? bpi_average_create(trainer) : BP_STATUS_OK;
}

/* The words of a failed allocation, with what the whole trainer wants. */
static bp_status explain_memory(bp_trainer *trainer, bp_status status)
{
    if (status != BP_STATUS_OUT_OF_MEMORY)
        return status;
    bp_memory_plan plan;
    bpi_error kept = trainer->context->error;
    if (bp_trainer_plan(trainer->model, &trainer->options, &plan) != BP_STATUS_OK) {
        trainer->context->error = kept;
        return status;
    }
    return BPI_FAIL(trainer->context, status,
                    "%.600s; the trainer wants %zu bytes at a batch of %lld (%zu of them for activations): use a "
                    "smaller batch, with accumulate for the same step",
                    kept.text, plan.total_bytes, (long long)trainer->options.batch, plan.activation_bytes);
}

bp_status bp_trainer_create(bp_model *model, const bp_trainer_options *options, bp_trainer **trainer)
{
    bp_context *context = model ? model->context : NULL;
    if (trainer)
        *trainer = NULL;
    if (!model || !trainer)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_trainer_create: %s is NULL",
                        model ? "trainer" : "model");
    bp_trainer_options resolved;
    BPI_TRY(bpi_trainer_options_resolve(context, options, &resolved));
    bp_memory_plan plan;
    BPI_TRY(bpi_trainer_plan(model, &resolved, &plan));
    if (plan.memory_limited)
        bpi_log(context, BP_LOG_INFO,
                "bp_trainer_create: a batch of %lld does not fit: %lld samples at a time, %zu bytes",
                (long long)resolved.batch, (long long)plan.part_rows, plan.total_bytes);
    bp_trainer *made;
    BPI_TRY(bpi_alloc(context, sizeof *made, "bp_trainer_create", (void **)&made));
    made->context = context;
    made->model = model;
    made->options = resolved;
    made->hyper = hyper_of(&resolved);
    made->best_loss = (double)INFINITY;
    bp_status status = build(made, plan.part_rows);
    if (status != BP_STATUS_OK) {
        status = explain_memory(made, status);
        bpi_error kept = context->error;
        bp_trainer_destroy(made);
        context->error = kept;
        return status;
    }
    made->options.ways = made->options.plan = NULL; /* the caller's words */
    *trainer = made;
    return BP_STATUS_OK;
}

void bp_trainer_destroy(bp_trainer *trainer)
{
    if (!trainer)
        return;
    bpi_backend *backend = trainer->context->backend;
    size_t bytes = bpi_parameters_bytes(trainer->model);
    bpi_observatory_destroy(trainer);
    bpi_step_graphs_release(trainer);
    bpi_pass_destroy(trainer->pass);
    bpi_average_destroy(trainer);
    backend->ops->release(backend, trainer->gradients, bytes);
    backend->ops->release(backend, trainer->state1, bytes);
    backend->ops->release(backend, trainer->state2, bytes);
    bpi_free(trainer->context, trainer, sizeof *trainer);
}

/* ---------------------------------------------------------------- steps */

static bp_status check_rows(bp_trainer *trainer, const char *call, int64_t rows)
{
    int64_t most = trainer->options.batch * trainer->options.accumulate;
    if (rows < 1 || rows > most)
        return BPI_FAIL(trainer->context, BP_STATUS_INVALID_ARGUMENT,
                        "%s: %lld rows; this trainer takes 1 to %lld (batch %lld, accumulate %lld)", call,
                        (long long)rows, (long long)most, (long long)trainer->options.batch,
                        (long long)trainer->options.accumulate);
    return BP_STATUS_OK;
}

bp_status bpi_borrow(bp_trainer *trainer, const char *call, const float *x, const int64_t *classes,
                     const float *targets, int64_t rows, bpi_source *source)
{
    bp_context *context = trainer ? trainer->context : NULL;
    if (!trainer || !x || !classes == !targets)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s: %s", call,
                        !trainer ? "trainer is NULL"
                        : !x     ? "x is NULL"
                                 : "give classes or targets, one of the two");
    BPI_TRY(check_rows(trainer, call, rows));
    int64_t outputs = bp_model_outputs(trainer->model);
    *source = (bpi_source){.x = x,
                           .x_type = BPI_TYPE_F32,
                           .divisor = 1.0f,
                           .rows = rows,
                           .inputs = trainer->model->inputs,
                           .classes = classes,
                           .targets = targets,
                           .target_cols = targets ? outputs : 0};
    if (classes && !bpi_uses_classes(trainer->model, source))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s: the loss %s takes targets, not classes", call,
                        bp_loss_name(trainer->model->loss));
    for (int64_t i = 0; classes && i < rows; i++)
        if (classes[i] < 0 || classes[i] >= outputs)
            return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s: row %lld has class %lld; the network has %lld",
                            call, (long long)i, (long long)classes[i], (long long)outputs);
    return BP_STATUS_OK;
}

bp_status bpi_choose(bp_trainer *trainer, const char *call, const bp_data *data, const int64_t *index, int64_t first,
                     int64_t rows)
{
    bp_context *context = trainer ? trainer->context : NULL;
    if (!trainer || !data)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s: %s is NULL", call, trainer ? "data" : "trainer");
    BPI_TRY(check_rows(trainer, call, rows));
    BPI_TRY(bp_data_check(data, trainer->model));
    if (!index && (first < 0 || first > data->source.rows - rows))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s: rows %lld to %lld; the data have %lld", call,
                        (long long)first, (long long)(first + rows - 1), (long long)data->source.rows);
    for (int64_t i = 0; index && i < rows; i++)
        if (index[i] < 0 || index[i] >= data->source.rows)
            return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s: index %lld is %lld; the data have %lld rows",
                            call, (long long)i, (long long)index[i], (long long)data->source.rows);
    return BP_STATUS_OK;
}

bp_status bp_trainer_step(bp_trainer *trainer, const float *x, const int64_t *classes, const float *targets,
                          int64_t rows)
{
    bpi_source source;
    BPI_TRY(bpi_borrow(trainer, "bp_trainer_step", x, classes, targets, rows, &source));
    return bpi_step(trainer, &source, NULL, 0, rows);
}

bp_status bp_trainer_step_data(bp_trainer *trainer, const bp_data *data, const int64_t *index, int64_t first,
                               int64_t rows)
{
    BPI_TRY(bpi_choose(trainer, "bp_trainer_step_data", data, index, first, rows));
    return bpi_step(trainer, &data->source, index, first, rows);
}

bp_status bp_trainer_gradients(bp_trainer *trainer, const float *x, const int64_t *classes, const float *targets,
                               int64_t rows)
{
    bpi_source source;
    BPI_TRY(bpi_borrow(trainer, "bp_trainer_gradients", x, classes, targets, rows, &source));
    return bpi_step_gradients(trainer, &source, NULL, 0, rows);
}

bp_status bp_trainer_gradients_data(bp_trainer *trainer, const bp_data *data, int64_t first, int64_t rows)
{
    BPI_TRY(bpi_choose(trainer, "bp_trainer_gradients_data", data, NULL, first, rows));
    return bpi_step_gradients(trainer, &data->source, NULL, first, rows);
}

bp_status bp_trainer_get_gradient(bp_trainer *trainer, const char *name, double *values, int64_t count)
{
    int64_t index;
    BPI_TRY(bpi_tensor_lookup(trainer ? trainer->model : NULL, "bp_trainer_get_gradient", name, values, count, &index));
    return bpi_tensor_read(trainer->model, trainer->gradients, index, values);
}

bp_status bp_trainer_result(bp_trainer *trainer, bp_step_result *result)
{
    bp_context *context = trainer ? trainer->context : NULL;
    if (!trainer || !result)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_trainer_result: %s is NULL",
                        trainer ? "result" : "trainer");
    bpi_step_state state;
    BPI_TRY(bpi_trainer_state(trainer, &state));
    bool knows = bpi_knows_accuracy(trainer->model) && trainer->last_rows > 0;
    *result = (bp_step_result){.step = state.step,
                               .loss = state.loss_sum,
                               .accuracy = knows ? (double)state.correct / (double)trainer->last_rows : (double)NAN,
                               .grad_norm = state.grad_norm,
                               .clip_factor = state.clip_factor,
                               .lr = state.lr,
                               .nonfinite = state.nonfinite != 0 || !isfinite(state.grad_norm)};
    return bpi_observe_deliver(trainer, true);
}

int64_t bp_trainer_steps_done(const bp_trainer *trainer)
{
    bpi_step_state state = {0};
    if (trainer)
        trainer->context->backend->ops->download(trainer->context->backend, trainer->pass->state, sizeof state, &state);
    return state.step;
}

int64_t bp_trainer_epochs_done(const bp_trainer *trainer)
{
    return trainer ? trainer->epoch : 0;
}

int64_t bp_trainer_best_epoch(const bp_trainer *trainer)
{
    return trainer ? trainer->best_epoch : 0;
}

double bp_trainer_best_loss(const bp_trainer *trainer)
{
    return trainer && trainer->best_epoch ? trainer->best_loss : (double)NAN;
}
