/* data_check.c: do these samples fit this model? All that the values tell was noted by data_inspect.c, so this costs
 * nothing, and is called before every step on a data set. */
#include <math.h>

#include "host/data.h"
#include "host/model.h"

/* How far the sum of a row of probabilities may be from 1: ten times what f32 rounds on rows of a thousand classes,
 * and far below what a wrong column would change. */
#define SUM_TOLERANCE 1e-3

#define MISFIT(model, ...) BPI_FAIL((model)->context, BP_STATUS_INVALID_ARGUMENT, __VA_ARGS__)

static bp_status check_width(const bp_data *data, const bp_model *model)
{
    int64_t outputs = bp_model_outputs(model);
    if (data->source.target_cols == outputs)
        return BP_STATUS_OK;
    const char *many = data->source.target_cols == 1 ? "" : "s";
    return MISFIT(model,
                  "%s has %lld target column%s, and the model has %lld output%s; give the last layer %lld unit%s",
                  data->name, (long long)data->source.target_cols, many, (long long)outputs, outputs == 1 ? "" : "s",
                  (long long)data->source.target_cols, many);
}

static bp_status check_unit_interval(const bp_data *data, const bp_model *model)
{
    const bpi_target_range *range = &data->range;
    bool below = !(range->smallest >= 0.0f);
    if (!below && range->largest <= 1.0f)
        return BP_STATUS_OK;
    return MISFIT(model, "%s: row %lld (from 0) has the target %g; %s takes targets from 0 to 1", data->name,
                  (long long)(below ? range->smallest_row : range->largest_row),
                  (double)(below ? range->smallest : range->largest), bp_loss_name(bp_model_loss(model)));
}

static bp_status check_classes(const bp_data *data, const bp_model *model)
{
    int64_t outputs = bp_model_outputs(model);
    if (data->class_count <= outputs)
        return BP_STATUS_OK;
    return MISFIT(
        model,
        "%s: row %lld (from 0) has the class %lld, and the model has %lld output%s, for the classes 0 to %lld; "
        "give the last layer %lld units, or, where your classes count from 1, take 1 off each",
        data->name, (long long)data->largest_class_row, (long long)(data->class_count - 1), (long long)outputs,
        outputs == 1 ? "" : "s", (long long)(outputs - 1), (long long)data->class_count);
}

static bp_status check_probabilities(const bp_data *data, const bp_model *model)
{
    bool one = fabs(data->range.worst_sum - 1.0) <= SUM_TOLERANCE; /* each row sums to */
    if (data->source.target_cols == 1 && !(one && bp_model_outputs(model) == 1))
        return MISFIT(model,
                      "%s has one column of values as target, and softmax_cross_entropy takes class indices, whole "
                      "numbers from 0 and below %lld, or probabilities of all classes; for values take a loss such as "
                      "mse",
                      data->name, (long long)bp_model_outputs(model));
    BPI_TRY(check_width(data, model));
    BPI_TRY(check_unit_interval(data, model));
    if (one)
        return BP_STATUS_OK;
    return MISFIT(model, "%s: the targets of row %lld (from 0) sum to %g; probabilities sum to 1 within %g", data->name,
                  (long long)data->range.worst_row, data->range.worst_sum, SUM_TOLERANCE);
}

/* Binary cross-entropy and the regression losses. */
static bp_status check_values(const bp_data *data, const bp_model *model)
{
    bp_loss loss = bp_model_loss(model);
    bool binary = loss == BP_LOSS_BCE_WITH_LOGITS;
    if (data->kind == BPI_TARGETS_CLASSES && !(binary && data->source.targets && bp_model_outputs(model) == 1))
        return MISFIT(model,
                      "%s has class indices as targets, and %s takes values [N,%lld]; give them as float32, or use "
                      "softmax_cross_entropy%s",
                      data->name, bp_loss_name(loss), (long long)bp_model_outputs(model),
                      binary ? " (classes 0 and 1 will do for one output)" : "");
    BPI_TRY(check_width(data, model));
    return binary ? check_unit_interval(data, model) : BP_STATUS_OK;
}

bp_status bp_data_check(const bp_data *data, const bp_model *model)
{
    bp_context *context = model ? model->context : data ? data->context : NULL;
    if (!data || !model)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_data_check: %s is NULL", data ? "model" : "data");
    if (data->source.inputs != bp_model_inputs(model))
        return MISFIT(model, "%s has %lld inputs, and the model takes %lld", data->name, (long long)data->source.inputs,
                      (long long)bp_model_inputs(model));
    if (data->kind == BPI_TARGETS_NONE)
        return MISFIT(model, "%s has no targets; training and evaluation want some", data->name);
    if (bp_model_loss(model) != BP_LOSS_SOFTMAX_CROSS_ENTROPY)
        return check_values(data, model);
    return data->source.classes ? check_classes(data, model) : check_probabilities(data, model);
}
