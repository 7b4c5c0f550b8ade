/* tensor_file.c: see tensor_file.h. Values go through dense f64, which holds every type exactly. */
#include "host/tensor_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 64 };

bpi_st_type bpi_tensor_file_type(const bp_model *model)
{
    return model->context->backend->traits.parameter_type == BPI_TYPE_F64 ? BPI_ST_F64 : BPI_ST_F32;
}

static int64_t largest_tensor(const bp_model *model)
{
    int64_t most = 0;
    for (int64_t i = 0; i < model->tensor_count + model->buffer_count; i++)
        if (bpi_tensor_elements(&model->tensors[i]) > most)
            most = bpi_tensor_elements(&model->tensors[i]);
    return most;
}

/* ---------------------------------------------------------------- writing */

bp_status bpi_tensor_file_declare(bpi_st_writer *writer, const bp_model *model, const char *suffix)
{
    for (int64_t i = 0; i < model->tensor_count; i++) {
        const bpi_tensor *tensor = &model->tensors[bpi_tensor_in_file_order(model, i)];
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%s%s", tensor->name, suffix);
        int64_t shape[2] = {tensor->rows, tensor->cols};
        BPI_TRY(bpi_st_declare(writer, name, bpi_tensor_file_type(model), tensor->cols ? 2 : 1, shape));
    }
    return BP_STATUS_OK;
}

bp_status bpi_tensor_file_write(bpi_st_writer *writer, const bp_model *model, const void *array)
{
    bp_context *context = model->context;
    size_t bytes = (size_t)largest_tensor(model) * sizeof(double);
    double *values;
    BPI_TRY(bpi_alloc(context, bytes, "checkpoint", (void **)&values));
    bp_status status = BP_STATUS_OK;
    for (int64_t i = 0; i < model->tensor_count && status == BP_STATUS_OK; i++) {
        int64_t index = bpi_tensor_in_file_order(model, i);
        status = bpi_tensor_read(model, array, index, values);
        if (status == BP_STATUS_OK)
            status = bpi_st_write(writer, values, bpi_tensor_elements(&model->tensors[index]));
    }
    bpi_free(context, values, bytes);
    return status;
}

/* ---------------------------------------------------------------- buffers */

static void batch_count_name(const bpi_layer *layer, char *name)
{
    snprintf(name, NAME_BYTES, "%lld.num_batches_tracked", (long long)layer->norm_module);
}

bool bpi_tensor_file_is_batch_count(const bp_model *model, const char *name)
{
    char own[NAME_BYTES];
    for (int64_t i = 0; i < model->layer_count; i++) {
        batch_count_name(&model->layers[i], own);
        if (model->layers[i].running_mean >= 0 && strcmp(own, name) == 0)
            return true;
    }
    return false;
}

bp_status bpi_tensor_file_declare_counts(bpi_st_writer *writer, const bp_model *model)
{
    char name[NAME_BYTES];
    for (int64_t i = 0; i < model->layer_count; i++) {
        batch_count_name(&model->layers[i], name);
        if (model->layers[i].running_mean >= 0)
            BPI_TRY(bpi_st_declare(writer, name, BPI_ST_I64, 0, NULL));
    }
    return BP_STATUS_OK;
}

bp_status bpi_tensor_file_write_counts(bpi_st_writer *writer, const bp_model *model)
{
    for (int64_t i = 0; i < model->layer_count; i++)
        if (model->layers[i].running_mean >= 0)
            BPI_TRY(bpi_st_write(writer, &model->layers[i].batches_tracked, 1));
    return BP_STATUS_OK;
}

/* The running values stand at the end of the table. */
bp_status bpi_tensor_file_declare_buffers(bpi_st_writer *writer, const bp_model *model, const char *suffix)
{
    char name[NAME_BYTES];
    for (int64_t i = 0; i < model->buffer_count; i++) {
        const bpi_tensor *tensor = &model->tensors[model->tensor_count + i];
        snprintf(name, sizeof name, "%s%s", tensor->name, suffix);
        BPI_TRY(bpi_st_declare(writer, name, bpi_tensor_file_type(model), 1, &tensor->rows));
    }
    return BP_STATUS_OK;
}

bp_status bpi_tensor_file_write_buffers(bpi_st_writer *writer, const bp_model *model, const void *array)
{
    size_t bytes = (size_t)largest_tensor(model) * sizeof(double);
    double *values;
    BPI_TRY(bpi_alloc(model->context, bytes, "checkpoint", (void **)&values));
    bp_status status = BP_STATUS_OK;
    for (int64_t i = 0; i < model->buffer_count && status == BP_STATUS_OK; i++) {
        int64_t index = model->tensor_count + i;
        status = bpi_tensor_read(model, array, index, values);
        if (status == BP_STATUS_OK)
            status = bpi_st_write(writer, values, model->tensors[index].rows);
    }
    bpi_free(model->context, values, bytes);
    return status;
}

/* ---------------------------------------------------------------- metadata */

/* JSON, because its numbers have a point whatever the locale; 9 digits give every float back. Takes the value over. */
static bp_status write_json(bpi_st_writer *writer, const bp_model *model, const char *key, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) : NULL;
    bp_status status = text ? bpi_st_metadata(writer, key, text)
                            : BPI_FAIL(model->context, BP_STATUS_OUT_OF_MEMORY, "checkpoint: no memory for %s", key);
    free(text);
    json_decref(value);
    return status;
}

static json_t *float_array(const float *values, int64_t count)
{
    json_t *array = json_array();
    for (int64_t i = 0; array && i < count; i++)
        if (json_array_append_new(array, json_real((double)values[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

bp_status bpi_tensor_file_describe(bpi_st_writer *writer, const bp_model *model)
{
    char number[64];
    BPI_TRY(bpi_st_metadata(writer, "format", "pt"));
    BPI_TRY(bpi_st_metadata(writer, "backprop_version", bp_version()));
    BPI_TRY(bpi_st_metadata(writer, "backprop_layers", model->layers_text));
    snprintf(number, sizeof number, "%lld", (long long)model->inputs);
    BPI_TRY(bpi_st_metadata(writer, "backprop_inputs", number));
    BPI_TRY(bpi_st_metadata(writer, "backprop_loss", bp_loss_name(model->loss)));
    BPI_TRY(write_json(writer, model, "backprop_label_smoothing", json_real((double)model->label_smoothing)));
    BPI_TRY(write_json(writer, model, "backprop_huber_delta", json_real((double)model->huber_delta)));
    if (!model->mean)
        return BP_STATUS_OK;
    BPI_TRY(write_json(writer, model, "input_mean", float_array(model->mean, model->inputs)));
    return write_json(writer, model, "input_std", float_array(model->std, model->inputs));
}

/* ---------------------------------------------------------------- reading */

/* "[128, 784]" of a shape, for messages. */
static void shape_text(int rank, const int64_t *shape, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "", (long long)shape[i]);
    if (used < size)
        snprintf(text + used, size - used, "]");
}

static bp_status check_tensor(const bp_model *model, const char *path, const char *name, const bpi_tensor *tensor,
                              const bpi_st_tensor *stored)
{
    int rank = tensor->cols ? 2 : 1;
    if (stored->rank == rank && stored->shape[0] == tensor->rows && (rank == 1 || stored->shape[1] == tensor->cols))
        return BP_STATUS_OK;
    char wanted[64], found[200];
    shape_text(rank, (int64_t[2]){tensor->rows, tensor->cols}, wanted, sizeof wanted);
    shape_text(stored->rank, stored->shape, found, sizeof found);
    return BPI_FAIL(model->context, BP_STATUS_BAD_DATA,
                    "%s: tensor %s is %s, and the network %s wants %s: the file belongs to another network", path, name,
                    found, model->layers_text, wanted);
}

static bp_status read_tensor(bpi_st_reader *reader, const bp_model *model, const char *path, const char *suffix,
                             int64_t index, double *values, void *staged)
{
    const bpi_tensor *tensor = &model->tensors[index];
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%s", tensor->name, suffix);
    int64_t stored = bpi_st_find(reader, name);
    if (stored < 0)
        return BPI_FAIL(model->context, BP_STATUS_NOT_FOUND,
                        "%s: there is no tensor %s, which the network %s has: the file belongs to another network",
                        path, name, model->layers_text);
    BPI_TRY(check_tensor(model, path, name, tensor, bpi_st_tensor_at(reader, stored)));
    BPI_TRY(bpi_st_read_f64(reader, stored, values));
    bpi_tensor_pack(tensor, model->context->backend->traits.parameter_type, values,
                    bpi_tensor_at(model, staged, index));
    return BP_STATUS_OK;
}

bp_status bpi_tensor_file_read(bpi_st_reader *reader, const bp_model *model, const char *path, const char *suffix,
                               void *staged)
{
    size_t bytes = (size_t)largest_tensor(model) * sizeof(double);
    double *values;
    BPI_TRY(bpi_alloc(model->context, bytes, path, (void **)&values));
    bp_status status = BP_STATUS_OK;
    for (int64_t i = 0; i < model->tensor_count && status == BP_STATUS_OK; i++)
        status = read_tensor(reader, model, path, suffix, i, values, staged);
    bpi_free(model->context, values, bytes);
    return status;
}

static bp_status read_batch_count(bpi_st_reader *reader, const bp_model *model, const char *path,
                                  const bpi_layer *layer, int64_t *batches)
{
    char name[NAME_BYTES];
    batch_count_name(layer, name);
    int64_t stored = bpi_st_find(reader, name);
    *batches = 0;
    if (stored < 0)
        return BP_STATUS_OK;
    if (bpi_st_tensor_at(reader, stored)->count != 1)
        return BPI_FAIL(model->context, BP_STATUS_BAD_DATA, "%s: tensor %s holds %lld numbers in place of one", path,
                        name, (long long)bpi_st_tensor_at(reader, stored)->count);
    return bpi_st_read_i64(reader, stored, batches);
}

bp_status bpi_tensor_file_read_buffers(bpi_st_reader *reader, const bp_model *model, const char *path,
                                       const char *suffix, void *staged)
{
    size_t bytes = (size_t)largest_tensor(model) * sizeof(double);
    double *values;
    BPI_TRY(bpi_alloc(model->context, bytes, path, (void **)&values));
    bp_status status = BP_STATUS_OK;
    for (int64_t i = 0; i < model->buffer_count && status == BP_STATUS_OK; i++)
        status = read_tensor(reader, model, path, suffix, model->tensor_count + i, values, staged);
    bpi_free(model->context, values, bytes);
    return status;
}

bp_status bpi_tensor_file_read_counts(bpi_st_reader *reader, const bp_model *model, const char *path, int64_t *batches)
{
    for (int64_t i = 0; i < model->layer_count; i++)
        if (model->layers[i].running_mean >= 0)
            BPI_TRY(read_batch_count(reader, model, path, &model->layers[i], &batches[i]));
    return BP_STATUS_OK;
}

static bp_status read_floats(bpi_st_reader *reader, const bp_model *model, const char *path, const char *key,
                             float *values)
{
    json_t *array = json_loads(bpi_st_get_metadata(reader, key), 0, NULL);
    bool fits = json_is_array(array) && json_array_size(array) == (size_t)model->inputs;
    for (int64_t i = 0; fits && i < model->inputs; i++) {
        const json_t *number = json_array_get(array, (size_t)i);
        fits = json_is_number(number);
        values[i] = (float)json_number_value(number);
    }
    json_decref(array);
    if (fits)
        return BP_STATUS_OK;
    return BPI_FAIL(model->context, BP_STATUS_BAD_DATA, "%s: the metadata's %s is no JSON array of %lld numbers", path,
                    key, (long long)model->inputs);
}

bp_status bpi_tensor_file_standardization(bpi_st_reader *reader, const bp_model *model, const char *path, float **mean,
                                          float **std)
{
    bp_context *context = model->context;
    size_t bytes = (size_t)model->inputs * sizeof(float);
    *mean = *std = NULL;
    bool has_mean = bpi_st_get_metadata(reader, "input_mean"), has_std = bpi_st_get_metadata(reader, "input_std");
    if (has_mean != has_std)
        return BPI_FAIL(context, BP_STATUS_BAD_DATA, "%s: the metadata holds %s without %s", path,
                        has_mean ? "input_mean" : "input_std", has_mean ? "input_std" : "input_mean");
    if (!has_mean)
        return BP_STATUS_OK;
    bp_status status = bpi_alloc(context, bytes, path, (void **)mean);
    if (status == BP_STATUS_OK)
        status = bpi_alloc(context, bytes, path, (void **)std);
    if (status == BP_STATUS_OK)
        status = read_floats(reader, model, path, "input_mean", *mean);
    if (status == BP_STATUS_OK)
        status = read_floats(reader, model, path, "input_std", *std);
    if (status != BP_STATUS_OK) {
        bpi_free(context, *mean, bytes);
        bpi_free(context, *std, bytes);
        *mean = *std = NULL;
    }
    return status;
}
