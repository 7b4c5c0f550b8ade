/* locate.c: where the first value of a batch that is not finite stands. The batch is computed once more, and every
 * array is looked at on the host, in the order in which it is made: no operation of its own, so the same on every
 * backend. */
#include "host/locate.h"

#include <math.h>
#include <string.h>

typedef struct search {
    bp_trainer *trainer;
    bp_nonfinite *place;
    int64_t first_row; /* of the part at hand in the batch */
} search;

static double element(bpi_type type, const void *array, int64_t index)
{
    return type == BPI_TYPE_F64 ? ((const double *)array)[index] : (double)bpi_to_float(type, array, index);
}

/* Looks through a matrix in the backend's memory, unless something was found before. */
static bp_status look(search *s, const char *what, int64_t block, const char *tensor, bpi_matrix m, bpi_type type,
                      int64_t first_row)
{
    bp_context *context = s->trainer->context;
    bpi_backend *backend = context->backend;
    size_t bytes = (size_t)((m.rows - 1) * m.ld + m.cols) * bpi_type_bytes(type);
    void *values;
    if (s->place->found || !m.data)
        return BP_STATUS_OK;
    BPI_TRY(bpi_alloc(context, bytes, "bp_trainer_locate", &values));
    bp_status status = backend->ops->download(backend, m.data, bytes, values);
    for (int64_t k = 0; status == BP_STATUS_OK && !s->place->found && k < m.rows * m.cols; k++) {
        double value = element(type, values, k / m.cols * m.ld + k % m.cols);
        if (isfinite(value))
            continue;
        s->place->found = true;
        s->place->block = block;
        s->place->what = what;
        s->place->tensor = tensor;
        s->place->row = first_row + k / m.cols;
        s->place->column = k % m.cols;
        s->place->value = value;
    }
    bpi_free(context, values, bytes);
    return status;
}

static bp_status look_at_rows(search *s, const char *what, int64_t block, void *data, int64_t rows, int64_t cols,
                              int64_t ld)
{
    const bp_model *model = s->trainer->model;
    bool output = strcmp(what, "product") == 0 || strcmp(what, "activation") == 0 || strcmp(what, "output") == 0;
    bpi_type type = output ? bpi_output_type(model, block - 1) : model->context->backend->traits.activation_type;
    return look(s, what, block, "", bpi_view(data, rows, cols, ld), type, s->first_row);
}

/* A parameter tensor, or its gradient; index -1: none. */
static bp_status look_at_tensor(search *s, const char *what, void *array, int64_t index)
{
    const bp_model *model = s->trainer->model;
    if (index < 0)
        return BP_STATUS_OK;
    const bpi_tensor *tensor = &model->tensors[index];
    bpi_matrix m = bpi_view(bpi_tensor_at(model, array, index), tensor->cols ? tensor->rows : 1,
                            tensor->cols ? tensor->cols : tensor->rows, tensor->ld);
    return look(s, what, tensor->block + 1, tensor->name, m, model->context->backend->traits.parameter_type, 0);
}

static bp_status look_at_tensors_of(search *s, const char *what, void *array, const bpi_layer *layer)
{
    const int64_t tensors[4] = {layer->weight, layer->bias, layer->gamma, layer->beta};
    for (int i = 0; i < 4; i++)
        BPI_TRY(look_at_tensor(s, what, array, tensors[i]));
    return BP_STATUS_OK;
}

static bp_status search_forward(search *s, const bpi_plan_set *set)
{
    const bp_model *model = s->trainer->model;
    bpi_pass *pass = s->trainer->pass;
    BPI_TRY(look_at_rows(s, "input", 0, (void *)(uintptr_t)pass->input, set->rows, model->inputs, pass->ld_x));
    BPI_TRY(bpi_forward(pass, set));
    for (int64_t i = 0; i < model->layer_count && !s->place->found; i++) {
        const bpi_layer *layer = &model->layers[i];
        const bpi_pass_layer *kept = &pass->layers[i];
        BPI_TRY(look_at_tensors_of(s, "parameter", model->parameters, layer));
        BPI_TRY(look_at_rows(s, "product", i + 1, kept->z, set->rows, layer->outputs, kept->ld));
        if (kept->u != kept->a)
            BPI_TRY(look_at_rows(s, "product", i + 1, kept->u, set->rows, layer->outputs, kept->ld));
        BPI_TRY(look_at_rows(s, "activation", i + 1, kept->a, set->rows, layer->outputs, kept->ld));
        if (kept->out != kept->a)
            BPI_TRY(look_at_rows(s, "output", i + 1, kept->out, set->rows, layer->outputs, kept->ld));
    }
    return BP_STATUS_OK;
}

/* Error terms one by one. */
static bp_status search_backward(search *s, const bpi_plan_set *set, bpi_targets targets, bpi_gradient_sink sink)
{
    const bp_model *model = s->trainer->model;
    bpi_pass *pass = s->trainer->pass;
    BPI_TRY(bpi_output_delta(pass, set, targets, sink));
    for (int64_t i = model->layer_count - 1; i >= 0 && !s->place->found; i--) {
        if (i < model->layer_count - 1) {
            BPI_TRY(bpi_input_gradient(pass, set, i + 1));
            BPI_TRY(bpi_hidden_delta(pass, set, i, sink));
        }
        BPI_TRY(look_at_rows(s, "error term", i + 1, pass->delta[i & 1], set->rows, model->layers[i].outputs,
                             pass->layers[i].error_ld));
    }
    return BP_STATUS_OK;
}

/* The gradients of each part on its own: what adds up of them is finite, or overflows. */
static bp_status search_part(search *s, const bpi_plan_set *set, bpi_targets targets)
{
    bp_trainer *trainer = s->trainer;
    bpi_pass *pass = trainer->pass;
    BPI_TRY(search_forward(s, set));
    if (s->place->found)
        return BP_STATUS_OK;
    BPI_TRY(search_backward(s, set, targets, (bpi_gradient_sink){trainer->gradients, false}));
    if (s->place->found)
        return BP_STATUS_OK;
    BPI_TRY(bpi_backward(pass, set, targets, (bpi_gradient_sink){trainer->gradients, false}));
    for (int64_t i = trainer->model->layer_count - 1; i >= 0; i--)
        BPI_TRY(look_at_tensors_of(s, "gradient", trainer->gradients, &trainer->model->layers[i]));
    return BP_STATUS_OK;
}

static bp_status search_batch(search *s, const bpi_source *source, const int64_t *index, int64_t first, int64_t rows)
{
    bp_trainer *trainer = s->trainer;
    bpi_pass *pass = trainer->pass;
    bpi_targets targets = {bpi_uses_classes(trainer->model, source), rows};
    for (int64_t done = 0; done < rows && !s->place->found; done += pass->rows) {
        int64_t here = rows - done < pass->rows ? rows - done : pass->rows;
        bpi_plan_set *set;
        BPI_TRY(bpi_pass_plans(pass, here, &set));
        BPI_TRY(bpi_pass_load(pass, source, index ? index + done : NULL, first + done, here));
        s->first_row = pass->first_row = done;
        BPI_TRY(search_part(s, set, targets));
    }
    return BP_STATUS_OK;
}

bp_status bpi_locate(bp_trainer *trainer, const bpi_source *source, const int64_t *index, int64_t first, int64_t rows,
                     bp_nonfinite *place)
{
    bpi_backend *backend = trainer->context->backend;
    bpi_step_state state;
    search s = {.trainer = trainer, .place = place};
    *place = (bp_nonfinite){.struct_size = sizeof *place, .what = "", .tensor = ""};
    BPI_TRY(backend->ops->download(backend, trainer->pass->state, sizeof state, &state));
    place->step = state.step + 1;
    bp_status status = search_batch(&s, source, index, first, rows);
    bpi_error kept = trainer->context->error;
    bp_status restored = backend->ops->upload(backend, &state, sizeof state, trainer->pass->state);
    if (status != BP_STATUS_OK)
        trainer->context->error = kept;
    return status != BP_STATUS_OK ? status : restored;
}

static bp_status locate(bp_trainer *trainer, const char *call, const bpi_source *source, int64_t first, int64_t rows,
                        bp_nonfinite *place)
{
    bp_nonfinite found;
    if (!place || place->struct_size < sizeof place->struct_size || place->struct_size > sizeof found)
        return BPI_FAIL(trainer->context, BP_STATUS_INVALID_ARGUMENT, "%s: %s", call,
                        place ? "place->struct_size is not that of bp_nonfinite" : "place is NULL");
    BPI_TRY(bpi_locate(trainer, source, NULL, first, rows, &found));
    found.struct_size = place->struct_size;
    memcpy(place, &found, place->struct_size);
    return BP_STATUS_OK;
}

bp_status bp_trainer_locate(bp_trainer *trainer, const float *x, const int64_t *classes, const float *targets,
                            int64_t rows, bp_nonfinite *place)
{
    bpi_source source;
    BPI_TRY(bpi_borrow(trainer, "bp_trainer_locate", x, classes, targets, rows, &source));
    return locate(trainer, "bp_trainer_locate", &source, 0, rows, place);
}

bp_status bp_trainer_locate_data(bp_trainer *trainer, const bp_data *data, int64_t first, int64_t rows,
                                 bp_nonfinite *place)
{
    BPI_TRY(bpi_choose(trainer, "bp_trainer_locate_data", data, NULL, first, rows));
    return locate(trainer, "bp_trainer_locate_data", &data->source, first, rows, place);
}
