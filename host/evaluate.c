/* evaluate.c: the network in evaluation mode: predictions, and loss and accuracy over a data set, in parts of a fixed
 * number of rows. The pass is made at the first call and kept with the model. */
#include <math.h>
#include <string.h>

#include "host/data.h"
#include "host/pass.h"

enum { PART_ROWS = 1024 };

bool bpi_knows_accuracy(const bp_model *model)
{
    return model->loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY ||
           (model->loss == BP_LOSS_BCE_WITH_LOGITS && model->layers[model->layer_count - 1].outputs == 1);
}

static bp_status evaluation_pass(bp_model *model, int64_t rows, bpi_pass **pass)
{
    int64_t wanted = rows < PART_ROWS ? rows : PART_ROWS;
    if (model->evaluation && model->evaluation->rows < wanted) {
        bpi_pass_destroy(model->evaluation);
        model->evaluation = NULL;
    }
    if (!model->evaluation)
        BPI_TRY(bpi_pass_create(model, wanted, false, NULL, &model->evaluation));
    *pass = model->evaluation;
    return bpi_weights_show(model);
}

/* Loads and runs rows [first, first + rows) of a source. */
static bp_status run(bpi_pass *pass, const bpi_source *source, int64_t first, int64_t rows, bpi_plan_set **set)
{
    BPI_TRY(bpi_pass_plans(pass, rows, set));
    BPI_TRY(bpi_pass_load(pass, source, NULL, first, rows));
    return bpi_forward(pass, *set);
}

/* ---------------------------------------------------------------- predict */

/* The last activations, in the backend's type and padded, as dense f32. */
static bp_status fetch(bpi_pass *pass, int64_t rows, void *padded, float *y)
{
    const bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    const bpi_pass_layer *last = &pass->layers[model->layer_count - 1];
    bpi_type type = bpi_output_type(model, model->layer_count - 1);
    int64_t outputs = model->layers[model->layer_count - 1].outputs;
    BPI_TRY(backend->ops->download(backend, last->out, (size_t)(rows * last->ld) * bpi_type_bytes(type), padded));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < outputs; c++)
            y[r * outputs + c] = bpi_to_float(type, padded, r * last->ld + c);
    return BP_STATUS_OK;
}

bp_status bp_model_predict(bp_model *model, const float *x, int64_t rows, float *y)
{
    bp_context *context = model ? model->context : NULL;
    if (!model || rows < 0 || (rows > 0 && (!x || !y)))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_model_predict: %s",
                        !model     ? "model is NULL"
                        : rows < 0 ? "rows is negative"
                        : !x       ? "x is NULL"
                                   : "y is NULL");
    if (rows == 0)
        return BP_STATUS_OK;
    bpi_pass *pass;
    BPI_TRY(evaluation_pass(model, rows, &pass));
    bpi_source source = {.x = x, .x_type = BPI_TYPE_F32, .divisor = 1.0f, .rows = rows, .inputs = model->inputs};
    int64_t ld = pass->layers[model->layer_count - 1].ld, outputs = bp_model_outputs(model);
    size_t bytes = (size_t)(pass->rows * ld) * bpi_type_bytes(bpi_output_type(model, model->layer_count - 1));
    void *padded;
    BPI_TRY(bpi_alloc(context, bytes, "bp_model_predict", &padded));
    bp_status status = BP_STATUS_OK;
    for (int64_t done = 0; done < rows && status == BP_STATUS_OK; done += pass->rows) {
        int64_t part = rows - done < pass->rows ? rows - done : pass->rows;
        bpi_plan_set *set;
        status = run(pass, &source, done, part, &set);
        if (status == BP_STATUS_OK)
            status = fetch(pass, part, padded, y + done * outputs);
    }
    bpi_free(context, padded, bytes);
    return status;
}

/* ---------------------------------------------------------------- evaluate */

bp_status bp_evaluate(bp_model *model, const bp_data *data, bp_evaluation *evaluation)
{
    bp_context *context = model ? model->context : NULL;
    if (!model || !data || !evaluation)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_evaluate: %s is NULL",
                        !model  ? "model"
                        : !data ? "data"
                                : "evaluation");
    BPI_TRY(bp_data_check(data, model));
    const bpi_source *source = &data->source;
    bpi_backend *backend = context->backend;
    bpi_pass *pass;
    BPI_TRY(evaluation_pass(model, source->rows, &pass));
    bpi_targets targets = {bpi_uses_classes(model, source), source->rows};
    BPI_TRY(backend->ops->step_begin(backend, pass->state, NULL));
    for (int64_t done = 0; done < source->rows; done += pass->rows) {
        int64_t part = source->rows - done < pass->rows ? source->rows - done : pass->rows;
        bpi_plan_set *set;
        BPI_TRY(run(pass, source, done, part, &set));
        BPI_TRY(bpi_loss_value(pass, set, targets));
    }
    bpi_step_state state;
    BPI_TRY(backend->ops->download(backend, pass->state, sizeof state, &state));
    bool knows = bpi_knows_accuracy(model);
    *evaluation = (bp_evaluation){.rows = source->rows,
                                  .loss = state.loss_sum,
                                  .accuracy = knows ? (double)state.correct / (double)source->rows : (double)NAN};
    return BP_STATUS_OK;
}
