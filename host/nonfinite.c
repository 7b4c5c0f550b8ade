/* nonfinite.c: a step of bp_train whose gradient is not finite: where that began, in words, and the batch. */
#include "host/locate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void bpi_nonfinite_rule_set(bp_trainer *trainer, bpi_nonfinite_rule rule)
{
    if (trainer->hyper.on_nonfinite == rule)
        return;
    bpi_step_graphs_release(trainer);
    trainer->hyper.on_nonfinite = rule;
}

bp_status bpi_nonfinite_release(bp_trainer *trainer)
{
    bpi_backend *backend = trainer->context->backend;
    bpi_step_state state;
    BPI_TRY(backend->ops->download(backend, trainer->pass->state, sizeof state, &state));
    state.nonfinite = state.held = 0;
    return backend->ops->upload(backend, &state, sizeof state, trainer->pass->state);
}

/* A value of the batch on its way, and not of a parameter or a gradient. */
static bool is_in_batch(const bp_nonfinite *place)
{
    return place->found && !*place->tensor;
}

void bp_nonfinite_text(const bp_nonfinite *place, int64_t sample, char *text, size_t size)
{
    if (!place || !text || !size)
        return;
    const char *value = isnan(place->value) ? "NaN" : place->value > 0.0 ? "infinity" : "-infinity";
    long long step = (long long)place->step, row = (long long)place->row, column = (long long)place->column;
    char block[32] = "", data[48] = "";
    if (place->block > 0)
        snprintf(block, sizeof block, "block %lld, ", (long long)place->block);
    if (sample >= 0)
        snprintf(data, sizeof data, " (sample %lld of the data)", (long long)sample);
    if (!place->found)
        snprintf(text, size, "step %lld: the gradient overflowed, and no value on its way is other than finite", step);
    else if (is_in_batch(place))
        snprintf(text, size,
                 "step %lld: the first value that is not finite is %s in %s%s, row %lld of the batch%s, column %lld",
                 step, value, block, place->what, row, data, column);
    else
        snprintf(text, size, "step %lld: the first value that is not finite is %s in %s%s %s, row %lld, column %lld",
                 step, value, block, place->what, place->tensor, row, column);
}

typedef struct batch {
    float *x, *targets;
    int64_t *classes;
    size_t x_bytes, targets_bytes, classes_bytes;
} batch;

static void copy_rows(const bpi_source *source, const int64_t *index, int64_t rows, batch *b)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < source->inputs; i++) {
            int64_t at = index[r] * source->inputs + i;
            b->x[r * source->inputs + i] = source->x_type == BPI_TYPE_U8
                                               ? (float)((const uint8_t *)source->x)[at] / source->divisor
                                               : ((const float *)source->x)[at];
        }
        if (b->classes)
            b->classes[r] = source->classes[index[r]];
        if (b->targets)
            memcpy(b->targets + r * source->target_cols, source->targets + index[r] * source->target_cols,
                   (size_t)source->target_cols * sizeof *b->targets);
    }
}

static bp_status tell(bp_trainer *trainer, const bpi_source *source, const int64_t *index, int64_t rows,
                      const bp_train_options *options, bp_nonfinite_report *report)
{
    bp_context *context = trainer->context;
    batch b = {.x_bytes = (size_t)(rows * source->inputs) * sizeof *b.x,
               .classes_bytes = source->classes ? (size_t)rows * sizeof *b.classes : 0,
               .targets_bytes = source->targets ? (size_t)(rows * source->target_cols) * sizeof *b.targets : 0};
    bp_status status = bpi_alloc(context, b.x_bytes, "bp_train", (void **)&b.x);
    if (status == BP_STATUS_OK && b.classes_bytes)
        status = bpi_alloc(context, b.classes_bytes, "bp_train", (void **)&b.classes);
    if (status == BP_STATUS_OK && b.targets_bytes)
        status = bpi_alloc(context, b.targets_bytes, "bp_train", (void **)&b.targets);
    if (status == BP_STATUS_OK) {
        bp_model *model = trainer->model;
        void *shown = model->shown;
        copy_rows(source, index, rows, &b);
        report->x = b.x;
        report->classes = b.classes;
        report->targets = b.targets;
        model->shown = model->parameters; /* what the step began with, and not averages of it */
        options->nonfinite(options->nonfinite_user, report);
        model->shown = shown;
    }
    bpi_free(context, b.x, b.x_bytes);
    bpi_free(context, b.classes, b.classes_bytes);
    bpi_free(context, b.targets, b.targets_bytes);
    return status;
}

bp_status bpi_nonfinite_report(bp_trainer *trainer, const bpi_source *source, const int64_t *index, int64_t rows,
                               const bp_train_options *options)
{
    char words[512];
    bp_nonfinite_report report = {
        .struct_size = sizeof report, .words = words, .epoch = trainer->epoch + 1, .sample = -1, .rows = rows};
    BPI_TRY(bpi_locate(trainer, source, index, 0, rows, &report.place));
    if (is_in_batch(&report.place))
        report.sample = index[report.place.row];
    bp_nonfinite_text(&report.place, report.sample, words, sizeof words);
    if (options->nonfinite)
        BPI_TRY(tell(trainer, source, index, rows, options, &report));
    if (options->on_nonfinite == BP_NONFINITE_STOP)
        return BPI_FAIL(trainer->context, BP_STATUS_BAD_DATA,
                        "bp_train: %s; lower the learning rate, clip by norm, or skip such steps", words);
    bpi_log(trainer->context, BP_LOG_WARNING, "%s; the step is %s", words,
            options->on_nonfinite == BP_NONFINITE_SKIP ? "skipped, and so is every one like it" : "made all the same");
    return BP_STATUS_OK;
}
