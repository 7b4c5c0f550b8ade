/* trainer_plan.c: the bytes that a trainer takes, and how many rows of a batch it walks at a time, from shapes alone,
 * before anything is allocated. */
#include "host/observe.h"

/* A sixteenth of the device is left for evaluation and for what libraries take for themselves. */
enum { DEVICE_RESERVE = 16 };

static bp_status plan_rows(bp_model *model, const bp_trainer_options *options, int64_t rows, bp_memory_plan *plan)
{
    bpi_pass_bytes pass;
    bpi_wish wish;
    BPI_TRY(bpi_wish_of(model->context, options, &wish));
    BPI_TRY(bpi_pass_plan(model, rows, true, &wish, &pass));
    size_t parameters = bpi_parameters_bytes(model);
    int states = bpi_optimizer_states(options) + (options->ema_decay > 0.0);
    *plan = (bp_memory_plan){.parameter_bytes = parameters + bpi_weights_bytes(model),
                             .gradient_bytes = parameters,
                             .optimizer_bytes = parameters * (size_t)states,
                             .activation_bytes = pass.memory,
                             .workspace_bytes = pass.workspace.bytes + pass.workspace.weight_bytes,
                             .observe_bytes = options->observed ? bpi_observatory_bytes(model) : 0,
                             .part_rows = rows};
    plan->total_bytes = plan->gradient_bytes + plan->optimizer_bytes + plan->activation_bytes + plan->workspace_bytes +
                        plan->observe_bytes;
    return BP_STATUS_OK;
}

/* The batch, or the part of it that the backend wants at a time. Batch norm needs the whole batch. */
static bp_status plan_preferred(bp_model *model, const bp_trainer_options *options, bp_memory_plan *plan)
{
    const bpi_backend *backend = model->context->backend;
    BPI_TRY(plan_rows(model, options, options->batch, plan));
    if (!backend->ops->part_rows || model->has_batch_norm)
        return BP_STATUS_OK;
    size_t row_bytes = plan->activation_bytes / (size_t)options->batch;
    int64_t rows = backend->ops->part_rows(backend, options->batch, row_bytes);
    return rows == options->batch ? BP_STATUS_OK : plan_rows(model, options, rows, plan);
}

/* SIZE_MAX: none. */
static bp_status limit_of(bp_model *model, const bp_trainer_options *options, size_t *limit)
{
    bpi_backend *backend = model->context->backend;
    *limit = options->memory_limit ? options->memory_limit : SIZE_MAX;
    if (options->memory_limit || !backend->ops->memory_free)
        return BP_STATUS_OK;
    BPI_TRY(backend->ops->memory_free(backend, limit));
    *limit -= *limit / DEVICE_RESERVE;
    return BP_STATUS_OK;
}

static const char *whose_limit(const bp_trainer_options *options)
{
    return options->memory_limit ? "memory_limit allows" : "the device has";
}

static bp_status too_little(bp_model *model, const bp_trainer_options *options, const bp_memory_plan *plan,
                            size_t limit)
{
    return BPI_FAIL(model->context, BP_STATUS_OUT_OF_MEMORY,
                    "bp_trainer_create: the trainer takes %zu bytes even for one sample at a time, %zu of them for "
                    "gradients and the optimiser; %s %zu",
                    plan->total_bytes, plan->gradient_bytes + plan->optimizer_bytes, whose_limit(options), limit);
}

/* The most rows that fit, between one row, which does, and `too_many`: by halves. */
static bp_status most_rows(bp_model *model, const bp_trainer_options *options, int64_t too_many, size_t limit,
                           int64_t *rows)
{
    *rows = 1;
    while (too_many - *rows > 1) {
        int64_t middle = *rows + (too_many - *rows) / 2;
        bp_memory_plan plan;
        BPI_TRY(plan_rows(model, options, middle, &plan));
        if (plan.total_bytes <= limit)
            *rows = middle;
        else
            too_many = middle;
    }
    return BP_STATUS_OK;
}

/* Batch norm wants its samples at once: says which batch would fit. */
static bp_status refuse_batch(bp_model *model, const bp_trainer_options *options, const bp_memory_plan *whole,
                              size_t limit)
{
    bp_memory_plan one;
    int64_t most;
    BPI_TRY(plan_rows(model, options, 1, &one));
    if (one.total_bytes > limit)
        return too_little(model, options, &one, limit);
    BPI_TRY(most_rows(model, options, options->batch, limit, &most));
    return BPI_FAIL(model->context, BP_STATUS_OUT_OF_MEMORY,
                    "bp_trainer_create: batch norm wants its %lld samples at once, for which the trainer takes %zu "
                    "bytes; %s %zu: a batch of %lld would fit",
                    (long long)options->batch, whole->total_bytes, whose_limit(options), limit, (long long)most);
}

/* As few parts as fit, and those of equal size. */
static bp_status plan_limited(bp_model *model, const bp_trainer_options *options, size_t limit, bp_memory_plan *plan)
{
    int64_t most, too_many = plan->part_rows;
    BPI_TRY(plan_rows(model, options, 1, plan));
    if (plan->total_bytes > limit)
        return too_little(model, options, plan, limit);
    BPI_TRY(most_rows(model, options, too_many, limit, &most));
    int64_t parts = (options->batch + most - 1) / most;
    BPI_TRY(plan_rows(model, options, (options->batch + parts - 1) / parts, plan));
    if (plan->total_bytes > limit) /* a workspace may shrink with more rows */
        BPI_TRY(plan_rows(model, options, most, plan));
    plan->memory_limited = true;
    return BP_STATUS_OK;
}

bp_status bpi_trainer_plan(bp_model *model, const bp_trainer_options *resolved, bp_memory_plan *plan)
{
    size_t limit;
    BPI_TRY(plan_preferred(model, resolved, plan));
    BPI_TRY(limit_of(model, resolved, &limit));
    if (plan->total_bytes <= limit)
        return BP_STATUS_OK;
    return model->has_batch_norm ? refuse_batch(model, resolved, plan, limit)
                                 : plan_limited(model, resolved, limit, plan);
}

bp_status bp_trainer_plan(const bp_model *model, const bp_trainer_options *options, bp_memory_plan *plan)
{
    bp_context *context = model ? model->context : NULL;
    if (!model || !plan)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_trainer_plan: %s is NULL", model ? "plan" : "model");
    bp_trainer_options resolved;
    BPI_TRY(bpi_trainer_options_resolve(context, options, &resolved));
    return bpi_trainer_plan((bp_model *)model, &resolved, plan);
}
