/* verify.c: loss and gradients of one batch on a model's own backend against the backend reference, element by element,
 * judged by the bounds of error_bound.c for the precision in use. The contract is include/backprop/diagnostics.h. */
#include <math.h>
#include <string.h>

#include "backprop/diagnostics.h"
#include "host/error_bound.h"

/* The same network with the same parameters on the reference, in a context of its own. */
typedef struct judge {
    bp_context *context;
    bp_model *model;
    bp_trainer *trainer;
    bpi_gradient_bounds bounds;
} judge;

/* What the judge's context says becomes the words of the model's. */
static bp_status of_judge(bp_context *context, const judge *j, bp_status status)
{
    if (status != BP_STATUS_OK)
        return BPI_FAIL(context, status, "bp_verify: on the reference: %.900s", bp_last_error(j->context));
    return status;
}

static bp_status copy_parameters(const bp_model *model, judge *j)
{
    bp_context *context = model->context;
    for (int64_t i = 0; i < model->tensor_count; i++) {
        const bpi_tensor *tensor = &model->tensors[i];
        int64_t count = bpi_tensor_elements(tensor);
        size_t bytes = (size_t)count * sizeof(double);
        double *values;
        BPI_TRY(bpi_alloc(context, bytes, "bp_verify", (void **)&values));
        bp_status status = bpi_tensor_read(model, model->parameters, i, values);
        if (status == BP_STATUS_OK)
            status = of_judge(context, j, bp_model_set_tensor(j->model, tensor->name, values, count));
        bpi_free(context, values, bytes);
        BPI_TRY(status);
    }
    return of_judge(context, j, bp_model_set_standardization(j->model, model->mean, model->std));
}

static bp_status make_judge(const bp_model *model, int64_t rows, judge *j)
{
    bp_context_options options = {
        .struct_size = sizeof options, .backend = "reference", .threads = 1, .allocator = model->context->allocator};
    bp_model_options network = {.struct_size = sizeof network,
                                .inputs = model->inputs,
                                .layers = model->layers_text,
                                .loss = model->loss,
                                .label_smoothing = model->label_smoothing,
                                .huber_delta = model->loss == BP_LOSS_HUBER ? model->huber_delta : 0.0f,
                                .init = BP_INIT_ZEROS};
    bp_trainer_options trainer = {.struct_size = sizeof trainer, .batch = rows};
    BPI_TRY(of_judge(model->context, j, bp_context_create(&options, &j->context)));
    BPI_TRY(of_judge(model->context, j, bp_model_create(j->context, &network, &j->model)));
    BPI_TRY(copy_parameters(model, j));
    return of_judge(model->context, j, bp_trainer_create(j->model, &trainer, &j->trainer));
}

static void destroy_judge(judge *j)
{
    if (j->model)
        bpi_gradient_bounds_free(j->model, &j->bounds);
    bp_trainer_destroy(j->trainer);
    bp_model_destroy(j->model);
    bp_context_destroy(j->context);
}

/* ---------------------------------------------------------------- comparison */

/* One element. NaN is the worst of all, and stays it. A bound of zero admits an error of zero. */
static void compare(bp_verify_tensor *report, int64_t index, double got, double want, double bound)
{
    double error = fabs(got - want);
    double share = error > 0.0 || isnan(error) ? error / bound : 0.0;
    if (index == 0 || (!isnan(report->worst_error) && !(share <= report->worst_error))) {
        report->worst_error = share;
        report->worst_index = index;
        report->worst_value = got;
        report->worst_reference = want;
        report->worst_bound = bound;
    }
}

static void finish(bp_verify_tensor *report, const bp_verify_options *options, bool *passed)
{
    report->passed = report->worst_error <= 1.0;
    *passed = *passed && report->passed;
    if (options->tensor)
        options->tensor(options->user, report);
}

static bp_status compare_tensor(bp_trainer *trainer, const judge *j, int64_t index, double *values[3],
                                bp_verify_tensor *report)
{
    const bp_model *model = trainer->model;
    const bpi_tensor *tensor = &model->tensors[index], *theirs = &j->model->tensors[index];
    int64_t count = bpi_tensor_elements(tensor);
    *report = (bp_verify_tensor){.name = tensor->name, .elements = count};
    BPI_TRY(bpi_tensor_read(model, trainer->gradients, index, values[0]));
    BPI_TRY(of_judge(model->context, j, bpi_tensor_read(j->model, j->trainer->gradients, index, values[1])));
    bpi_tensor_unpack(theirs, BPI_TYPE_F64, j->bounds.gradients + theirs->offset, values[2]);
    for (int64_t i = 0; i < count; i++)
        compare(report, i, values[0][i], values[1][i], values[2][i]);
    return BP_STATUS_OK;
}

static bp_status compare_all(bp_trainer *trainer, const judge *j, const bp_verify_options *options, bool *passed)
{
    const bp_model *model = trainer->model;
    bp_context *context = model->context;
    bp_step_result got, want;
    BPI_TRY(bp_trainer_result(trainer, &got));
    BPI_TRY(of_judge(context, j, bp_trainer_result(j->trainer, &want)));
    bp_verify_tensor report = {.name = "loss", .elements = 1};
    compare(&report, 0, got.loss, want.loss, j->bounds.loss);
    *passed = true;
    finish(&report, options, passed);
    int64_t most = 0;
    for (int64_t i = 0; i < model->tensor_count; i++)
        most = bpi_tensor_elements(&model->tensors[i]) > most ? bpi_tensor_elements(&model->tensors[i]) : most;
    size_t bytes = 3 * (size_t)most * sizeof(double);
    double *memory;
    BPI_TRY(bpi_alloc(context, bytes, "bp_verify", (void **)&memory));
    double *values[3] = {memory, memory + most, memory + 2 * most};
    bp_status status = BP_STATUS_OK;
    for (int64_t i = 0; i < model->tensor_count && status == BP_STATUS_OK; i++) {
        status = compare_tensor(trainer, j, bpi_tensor_in_file_order(model, i), values, &report);
        if (status == BP_STATUS_OK)
            finish(&report, options, passed);
    }
    bpi_free(context, memory, bytes);
    return status;
}

/* ---------------------------------------------------------------- the call */

static bp_status run(bp_trainer *trainer, const bpi_source *source, const bp_verify_options *options, bool *passed)
{
    bp_context *context = trainer->context;
    judge j = {.context = NULL};
    bp_status status = make_judge(trainer->model, source->rows, &j);
    if (status == BP_STATUS_OK)
        status = of_judge(context, &j,
                          bpi_gradient_bounds_of(j.trainer, context->precision, source, 0, source->rows, &j.bounds));
    if (status == BP_STATUS_OK)
        status = bpi_step_gradients(trainer, source, NULL, 0, source->rows);
    if (status == BP_STATUS_OK)
        status = compare_all(trainer, &j, options, passed);
    destroy_judge(&j);
    return status;
}

bp_status bp_verify(bp_model *model, const float *x, const int64_t *classes, const float *targets, int64_t rows,
                    const bp_verify_options *options, bool *passed)
{
    bp_context *context = model ? model->context : NULL;
    if (!model || !passed || rows < 1)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_verify: %s",
                        !model    ? "model is NULL"
                        : !passed ? "passed is NULL"
                                  : "rows must be at least 1");
    *passed = false;
    bp_verify_options mine;
    BPI_TRY(
        bpi_options_copy(context, "bp_verify_options", options, offsetof(bp_verify_options, ways), sizeof mine, &mine));
    bp_trainer_options trainer_options = {.struct_size = sizeof trainer_options, .batch = rows, .ways = mine.ways};
    bp_trainer *trainer;
    BPI_TRY(bp_trainer_create(model, &trainer_options, &trainer));
    bpi_source source;
    bp_status status = bpi_borrow(trainer, "bp_verify", x, classes, targets, rows, &source);
    bool all = false;
    if (status == BP_STATUS_OK)
        status = run(trainer, &source, &mine, &all);
    *passed = status == BP_STATUS_OK && all;
    bp_trainer_destroy(trainer);
    return status;
}
