/* parameters.c: the parameter table. One array holds all weights, then all vectors (biases, norms), then what is no
 * parameter (running means and variances), each tensor {name, offset, rows, cols, ld}; rows are padded to 16 bytes with
 * zeros. Gradients and optimiser state have the same layout. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "host/model.h"

/* How many modules a block counts for in a torch.nn.Sequential. */
static int64_t module_count(const bp_block *block)
{
    return 1 + (block->norm != BP_NORM_NONE) + (block->activation != BP_ACTIVATION_IDENTITY) + (block->dropout > 0.0f);
}

/* Appends a tensor to the table, behind those that are there. Returns its index. */
static int64_t add_tensor(bp_model *model, int64_t block, int64_t module, const char *kind, int64_t rows, int64_t cols)
{
    int64_t index = model->tensor_count + model->buffer_count;
    assert(index < model->tensor_capacity);
    const bpi_backend *backend = model->context->backend;
    bpi_tensor *tensor = &model->tensors[index];
    *tensor = (bpi_tensor){.offset = model->array_count, .rows = rows, .cols = cols, .block = block};
    tensor->ld = cols ? bpi_leading_dimension(backend, cols) : bpi_round_up(rows, backend->traits.alignment);
    snprintf(tensor->name, sizeof tensor->name, "%lld.%s", (long long)module, kind);
    model->array_count += tensor->ld * (cols ? rows : 1);
    return index;
}

static int64_t add_parameter(bp_model *model, int64_t block, int64_t module, const char *kind, int64_t rows,
                             int64_t cols)
{
    int64_t index = add_tensor(model, block, module, kind, rows, cols);
    model->tensor_count++;
    model->parameter_count = model->array_count;
    return index;
}

static int64_t add_buffer(bp_model *model, int64_t block, int64_t module, const char *kind, int64_t rows)
{
    int64_t index = add_tensor(model, block, module, kind, rows, 0);
    model->buffer_count++;
    return index;
}

/* Weights first: they make up nearly all of the array, and what is decayed is one piece of it. */
static void add_weights(bp_model *model)
{
    int64_t module = 0;
    for (int64_t i = 0; i < model->layer_count; i++) {
        bpi_layer *layer = &model->layers[i];
        layer->weight = add_parameter(model, i, module, "weight", layer->outputs, layer->inputs);
        module += module_count(&layer->block);
    }
}

static void add_vectors(bp_model *model)
{
    int64_t module = 0;
    for (int64_t i = 0; i < model->layer_count; i++) {
        bpi_layer *layer = &model->layers[i];
        bool norm = layer->block.norm != BP_NORM_NONE;
        layer->norm_module = module + 1;
        layer->bias = layer->block.no_bias ? -1 : add_parameter(model, i, module, "bias", layer->outputs, 0);
        layer->gamma = norm ? add_parameter(model, i, module + 1, "weight", layer->outputs, 0) : -1;
        layer->beta = norm ? add_parameter(model, i, module + 1, "bias", layer->outputs, 0) : -1;
        module += module_count(&layer->block);
    }
}

static void add_buffers(bp_model *model)
{
    for (int64_t i = 0; i < model->layer_count; i++) {
        bpi_layer *layer = &model->layers[i];
        bool tracks = layer->block.norm == BP_NORM_BATCH;
        model->has_batch_norm = model->has_batch_norm || tracks;
        layer->running_mean = tracks ? add_buffer(model, i, layer->norm_module, "running_mean", layer->outputs) : -1;
        layer->running_var = tracks ? add_buffer(model, i, layer->norm_module, "running_var", layer->outputs) : -1;
    }
}

bp_status bpi_parameters_plan(bp_model *model)
{
    model->tensor_capacity = 6 * model->layer_count;
    BPI_TRY(bpi_alloc(model->context, (size_t)model->tensor_capacity * sizeof *model->tensors, "bp_model_create",
                      (void **)&model->tensors));
    double elements = 0.0;
    for (int64_t i = 0; i < model->layer_count; i++)
        elements += (double)model->layers[i].outputs * ((double)model->layers[i].inputs + 32.0);
    if (elements > 1e15)
        return BPI_FAIL(model->context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_model_create: the network has %.3g parameters, more than any machine holds", elements);
    add_weights(model);
    model->weight_count = model->array_count;
    add_vectors(model);
    add_buffers(model);
    return BP_STATUS_OK;
}

size_t bpi_parameters_bytes(const bp_model *model)
{
    return (size_t)model->array_count * bpi_type_bytes(model->context->backend->traits.parameter_type);
}

size_t bpi_weights_bytes(const bp_model *model)
{
    const bpi_traits *traits = &model->context->backend->traits;
    if (traits->weight_type == traits->parameter_type)
        return 0;
    return (size_t)model->array_count * bpi_type_bytes(traits->weight_type);
}

bp_status bpi_weights_refresh(bp_model *model)
{
    bpi_backend *backend = model->context->backend;
    if (!model->weights_stale || !bpi_has_weight_copy(model))
        return BP_STATUS_OK;
    BPI_TRY(backend->ops->convert_weights(backend, model->parameters, model->parameter_count, model->weights));
    model->weights_stale = false;
    return BP_STATUS_OK;
}

bp_status bpi_weights_show(bp_model *model)
{
    bpi_backend *backend = model->context->backend;
    if (!bpi_has_weight_copy(model) || model->shown == model->parameters)
        return bpi_weights_refresh(model);
    if (!model->shown_weights)
        BPI_TRY(backend->ops->allocate(backend, bpi_weights_bytes(model), &model->shown_weights));
    return backend->ops->convert_weights(backend, model->shown, model->parameter_count, model->shown_weights);
}

int64_t bpi_model_find(const bp_model *model, const char *name)
{
    for (int64_t i = 0; i < model->tensor_count + model->buffer_count; i++)
        if (strcmp(model->tensors[i].name, name) == 0)
            return i;
    return -1;
}

bp_status bp_model_tensor_info(const bp_model *model, int64_t index, bp_tensor_info *info)
{
    bp_context *context = model ? model->context : NULL;
    if (!model || !info || index < 0 || index >= model->tensor_count)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_model_tensor_info: %s",
                        !model  ? "model is NULL"
                        : !info ? "info is NULL"
                                : "there is no tensor of that index");
    const bpi_tensor *tensor = &model->tensors[bpi_tensor_in_file_order(model, index)];
    *info = (bp_tensor_info){tensor->name, tensor->rows, tensor->cols};
    return BP_STATUS_OK;
}

/* Parameters are listed as PyTorch lists them: block by block, each weight before its bias. */
int64_t bpi_tensor_in_file_order(const bp_model *model, int64_t index)
{
    for (int64_t i = 0; i < model->layer_count; i++) {
        const bpi_layer *layer = &model->layers[i];
        const int64_t listed[4] = {layer->weight, layer->bias, layer->gamma, layer->beta};
        for (int k = 0; k < 4; k++)
            if (listed[k] >= 0 && index-- == 0)
                return listed[k];
    }
    assert(!"index past the last tensor");
    return -1;
}

/* ---------------------------------------------------------------- values in and out */

/* Element (r, c) of a padded tensor in host memory, in the backend's parameter type. */
static double load_element(bpi_type type, const void *padded, int64_t index)
{
    return type == BPI_TYPE_F64 ? ((const double *)padded)[index] : (double)((const float *)padded)[index];
}

static void store_element(bpi_type type, void *padded, int64_t index, double value)
{
    if (type == BPI_TYPE_F64)
        ((double *)padded)[index] = value;
    else
        ((float *)padded)[index] = (float)value;
}

void bpi_tensor_unpack(const bpi_tensor *tensor, bpi_type type, const void *padded, double *values)
{
    int64_t rows = tensor->cols ? tensor->rows : 1, cols = tensor->cols ? tensor->cols : tensor->rows;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            values[r * cols + c] = load_element(type, padded, r * tensor->ld + c);
}

void bpi_tensor_pack(const bpi_tensor *tensor, bpi_type type, const double *values, void *padded)
{
    int64_t rows = tensor->cols ? tensor->rows : 1, cols = tensor->cols ? tensor->cols : tensor->rows;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            store_element(type, padded, r * tensor->ld + c, values[r * cols + c]);
}

static size_t padded_bytes(const bp_model *model, const bpi_tensor *tensor)
{
    return (size_t)(tensor->ld * (tensor->cols ? tensor->rows : 1)) *
           bpi_type_bytes(model->context->backend->traits.parameter_type);
}

bp_status bpi_tensor_read(const bp_model *model, const void *array, int64_t index, double *values)
{
    bp_context *context = model->context;
    bpi_backend *backend = context->backend;
    const bpi_tensor *tensor = &model->tensors[index];
    size_t bytes = padded_bytes(model, tensor);
    void *padded;
    BPI_TRY(bpi_alloc(context, bytes, tensor->name, &padded));
    bp_status status = backend->ops->download(backend, bpi_tensor_at(model, (void *)array, index), bytes, padded);
    if (status == BP_STATUS_OK)
        bpi_tensor_unpack(tensor, backend->traits.parameter_type, padded, values);
    bpi_free(context, padded, bytes);
    return status;
}

bp_status bpi_tensor_write(const bp_model *model, void *array, int64_t index, const double *values)
{
    bp_context *context = model->context;
    bpi_backend *backend = context->backend;
    const bpi_tensor *tensor = &model->tensors[index];
    size_t bytes = padded_bytes(model, tensor);
    void *padded;
    BPI_TRY(bpi_alloc(context, bytes, tensor->name, &padded));
    bpi_tensor_pack(tensor, backend->traits.parameter_type, values, padded);
    bp_status status = backend->ops->upload(backend, padded, bytes, bpi_tensor_at(model, array, index));
    bpi_free(context, padded, bytes);
    return status;
}

/* The front door of the two below: finds the tensor and checks the count. */
bp_status bpi_tensor_lookup(const bp_model *model, const char *call, const char *name, const void *values,
                            int64_t count, int64_t *index)
{
    bp_context *context = model ? model->context : NULL;
    if (!model || !name || !values)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s: %s is NULL", call,
                        !model  ? "model"
                        : !name ? "name"
                                : "values");
    *index = bpi_model_find(model, name);
    if (*index < 0)
        return BPI_FAIL(context, BP_STATUS_NOT_FOUND, "%s: the model has no tensor \"%s\"", call, name);
    int64_t elements = bpi_tensor_elements(&model->tensors[*index]);
    if (count != elements)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s: %s has %lld elements, and count is %lld", call, name,
                        (long long)elements, (long long)count);
    return BP_STATUS_OK;
}

bp_status bp_model_get_tensor(const bp_model *model, const char *name, double *values, int64_t count)
{
    int64_t index;
    BPI_TRY(bpi_tensor_lookup(model, "bp_model_get_tensor", name, values, count, &index));
    return bpi_tensor_read(model, model->shown, index, values);
}

bp_status bp_model_set_tensor(bp_model *model, const char *name, const double *values, int64_t count)
{
    int64_t index;
    BPI_TRY(bpi_tensor_lookup(model, "bp_model_set_tensor", name, values, count, &index));
    model->weights_stale = true;
    BPI_TRY(bpi_tensor_write(model, model->parameters, index, values));
    return model->shown == model->parameters ? BP_STATUS_OK : bpi_tensor_write(model, model->shown, index, values);
}
