/* checkpoint.c: models as safetensors files. The training position is checkpoint_trainer.c; the contract is
 * include/backprop/checkpoint.h. */
#include "backprop/checkpoint.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/tensor_file.h"

/* ---------------------------------------------------------------- save */

static bp_status write_model(bpi_st_writer *writer, const bp_model *model)
{
    BPI_TRY(bpi_tensor_file_describe(writer, model));
    BPI_TRY(bpi_tensor_file_declare_counts(writer, model));
    BPI_TRY(bpi_tensor_file_declare(writer, model, ""));
    BPI_TRY(bpi_tensor_file_declare_buffers(writer, model, ""));
    BPI_TRY(bpi_tensor_file_write_counts(writer, model));
    BPI_TRY(bpi_tensor_file_write(writer, model, model->shown));
    BPI_TRY(bpi_tensor_file_write_buffers(writer, model, model->shown));
    return bpi_st_commit(writer);
}

bp_status bp_model_save(const bp_model *model, const char *path)
{
    bp_context *context = model ? model->context : NULL;
    if (!model || !path)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_model_save: %s is NULL", model ? "path" : "model");
    bpi_st_writer *writer = NULL;
    bp_status status = bpi_st_writer_create(context, path, &writer);
    if (status == BP_STATUS_OK)
        status = write_model(writer, model);
    bpi_st_writer_destroy(writer);
    return status;
}

/* ---------------------------------------------------------------- load */

/* The file has no tensor that the model doesn't. */
static bp_status check_no_more(bpi_st_reader *reader, const bp_model *model, const char *path)
{
    if (bpi_st_find(reader, BPI_TRAINING_POSITION) >= 0)
        return BPI_FAIL(model->context, BP_STATUS_BAD_DATA,
                        "%s is a checkpoint, which a training goes on from, and no model; backprop train keeps the "
                        "model beside it, in model.safetensors",
                        path);
    for (int64_t i = 0; i < bpi_st_tensor_count(reader); i++) {
        const char *name = bpi_st_tensor_at(reader, i)->name;
        if (bpi_model_find(model, name) < 0 && !bpi_tensor_file_is_batch_count(model, name))
            return BPI_FAIL(model->context, BP_STATUS_BAD_DATA,
                            "%s: tensor %s is none of the network %s: the file belongs to another network", path, name,
                            model->layers_text);
    }
    return BP_STATUS_OK;
}

/* Reads all into host memory first, so that the model is unchanged where anything fails. */
static bp_status load_weights(bpi_st_reader *reader, bp_model *model, const char *path)
{
    bp_context *context = model->context;
    bpi_backend *backend = context->backend;
    size_t bytes = bpi_parameters_bytes(model);
    size_t batches_bytes = (size_t)model->layer_count * sizeof(int64_t);
    void *staged = NULL;
    int64_t *batches = NULL;
    float *mean = NULL, *std = NULL;
    bp_status status;
    BPI_TRY(check_no_more(reader, model, path));
    BPI_TRY(bpi_alloc(context, bytes, path, &staged));
    BPI_TRY_GOTO(bpi_alloc(context, batches_bytes, path, (void **)&batches), status, done);
    BPI_TRY_GOTO(bpi_tensor_file_read(reader, model, path, "", staged), status, done);
    BPI_TRY_GOTO(bpi_tensor_file_read_buffers(reader, model, path, "", staged), status, done);
    BPI_TRY_GOTO(bpi_tensor_file_read_counts(reader, model, path, batches), status, done);
    BPI_TRY_GOTO(bpi_tensor_file_standardization(reader, model, path, &mean, &std), status, done);
    if (mean)
        BPI_TRY_GOTO(bp_model_set_standardization(model, mean, std), status, done);
    model->weights_stale = true;
    BPI_TRY_GOTO(backend->ops->upload(backend, staged, bytes, model->parameters), status, done);
    if (model->shown != model->parameters)
        BPI_TRY_GOTO(backend->ops->upload(backend, staged, bytes, model->shown), status, done);
    for (int64_t i = 0; i < model->layer_count; i++)
        model->layers[i].batches_tracked = batches[i];
done:
    bpi_free(context, batches, batches_bytes);
    bpi_free(context, mean, (size_t)model->inputs * sizeof *mean);
    bpi_free(context, std, (size_t)model->inputs * sizeof *std);
    bpi_free(context, staged, bytes);
    return status;
}

bp_status bp_model_load_weights(bp_model *model, const char *path)
{
    bp_context *context = model ? model->context : NULL;
    if (!model || !path)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_model_load_weights: %s is NULL",
                        model ? "path" : "model");
    bpi_st_reader *reader = NULL;
    BPI_TRY(bpi_st_reader_open(context, path, &reader));
    bp_status status = load_weights(reader, model, path);
    bpi_st_reader_close(reader);
    return status;
}

static bp_status read_float(bp_context *context, bpi_st_reader *reader, const char *path, const char *key, float *value)
{
    const char *text = bpi_st_get_metadata(reader, key);
    json_t *number = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    *value = (float)json_number_value(number);
    bool fits = !text || (json_is_number(number) && isfinite(*value));
    json_decref(number);
    if (fits)
        return BP_STATUS_OK;
    return BPI_FAIL(context, BP_STATUS_BAD_DATA, "%s: the metadata's %s is \"%.40s\", no number", path, key, text);
}

/* The options that bpi_tensor_file_describe wrote. */
static bp_status read_options(bp_context *context, bpi_st_reader *reader, const char *path, bp_model_options *options)
{
    const char *layers = bpi_st_get_metadata(reader, "backprop_layers");
    const char *inputs = bpi_st_get_metadata(reader, "backprop_inputs");
    const char *loss = bpi_st_get_metadata(reader, "backprop_loss");
    if (!layers || !inputs || !loss)
        return BPI_FAIL(context, BP_STATUS_BAD_DATA,
                        "%s: the file does not say which network it holds (metadata backprop_layers, backprop_inputs, "
                        "backprop_loss); give the layers and the loss, and load its weights into that network",
                        path);
    char *end;
    *options = (bp_model_options){.struct_size = sizeof *options, .layers = layers, .init = BP_INIT_ZEROS};
    options->inputs = strtoll(inputs, &end, 10);
    if (end == inputs || *end || options->inputs < 1)
        return BPI_FAIL(context, BP_STATUS_BAD_DATA, "%s: the metadata's backprop_inputs is \"%.40s\"", path, inputs);
    int i = 0;
    while (i < BP_LOSS_COUNT && strcmp(loss, bp_loss_name((bp_loss)i)) != 0)
        i++;
    if (i == BP_LOSS_COUNT)
        return BPI_FAIL(context, BP_STATUS_BAD_DATA, "%s: the metadata's backprop_loss is \"%.40s\"", path, loss);
    options->loss = (bp_loss)i;
    BPI_TRY(read_float(context, reader, path, "backprop_label_smoothing", &options->label_smoothing));
    BPI_TRY(read_float(context, reader, path, "backprop_huber_delta", &options->huber_delta));
    if (options->loss != BP_LOSS_HUBER)
        options->huber_delta = 0.0f;
    return BP_STATUS_OK;
}

/* A network in the metadata that no model can be made of is the file's fault. */
static bp_status make_model(bp_context *context, bpi_st_reader *reader, const char *path, bp_model **model)
{
    bp_model_options options;
    BPI_TRY(read_options(context, reader, path, &options));
    bp_status status = bp_model_create(context, &options, model);
    if (status != BP_STATUS_INVALID_ARGUMENT)
        return status;
    bpi_error kept = context->error;
    return BPI_FAIL(context, BP_STATUS_BAD_DATA, "%s: %.900s", path, kept.text);
}

bp_status bp_model_load(bp_context *context, const char *path, bp_model **model)
{
    if (model)
        *model = NULL;
    if (!context || !path || !model)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_model_load: %s is NULL",
                        !context ? "context"
                        : !path  ? "path"
                                 : "model");
    bpi_st_reader *reader = NULL;
    bp_model *made = NULL;
    BPI_TRY(bpi_st_reader_open(context, path, &reader));
    bp_status status = make_model(context, reader, path, &made);
    if (status == BP_STATUS_OK)
        status = load_weights(reader, made, path);
    if (status != BP_STATUS_OK) {
        bpi_error kept = context->error;
        bp_model_destroy(made);
        context->error = kept;
        made = NULL;
    }
    bpi_st_reader_close(reader);
    *model = made;
    return status;
}
