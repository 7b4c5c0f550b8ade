/* model.c: makes and destroys models; everything about them that can be asked. The contract is
 * include/backprop/model.h; the parameter table is made in parameters.c, values in init.c. */
#include "host/model.h"

#include <math.h>
#include <string.h>

#include "host/pass.h"

enum { MAX_WIDTH = 1 << 30, MAX_BLOCKS = 100000 };

#define DEFAULT_SLOPE 0.01f
#define DEFAULT_HUBER_DELTA 1.0f

/* ---------------------------------------------------------------- checks */

/* Checks one block and resolves its defaults. */
static bp_status resolve_block(bp_context *context, int64_t number, bp_block *block)
{
    if (block->units < 1 || block->units > MAX_WIDTH)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "layers: block %lld: %lld units; it must be 1 to %d",
                        (long long)number, (long long)block->units, MAX_WIDTH);
    if (!bp_activation_name(block->activation))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "layers: block %lld: %d is no activation",
                        (long long)number, (int)block->activation);
    if (block->slope < 0.0f || !isfinite(block->slope))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "layers: block %lld: slope is %g; it must be > 0",
                        (long long)number, (double)block->slope);
    bool has_slope = block->slope > 0.0f;
    if (has_slope && block->activation != BP_ACTIVATION_LEAKY_RELU)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "layers: block %lld: slope is for leaky_relu alone, and the activation is %s",
                        (long long)number, bp_activation_name(block->activation));
    if (!has_slope && block->activation == BP_ACTIVATION_LEAKY_RELU)
        block->slope = DEFAULT_SLOPE;
    if (block->norm > BP_NORM_LAYER)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "layers: block %lld: %d is no norm", (long long)number,
                        (int)block->norm);
    if (!(block->dropout >= 0.0f && block->dropout < 1.0f))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "layers: block %lld: dropout is %g; it must be at least 0 and below 1", (long long)number,
                        (double)block->dropout);
    if (block->skip < -1 || block->skip >= number)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "layers: block %lld: skip=%lld; it must name an earlier block, 1 to %lld", (long long)number,
                        (long long)block->skip, (long long)number - 1);
    return BP_STATUS_OK;
}

static bp_status check_options(bp_context *context, const bp_model_options *options)
{
    if (options->inputs < 1 || options->inputs > MAX_WIDTH)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_model_create: inputs is %lld; it must be 1 to %d",
                        (long long)options->inputs, MAX_WIDTH);
    if (!options->layers == !options->blocks)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_model_create: give the network as `layers` or as `blocks`, one of the two");
    if (options->blocks && (options->block_count < 1 || options->block_count > MAX_BLOCKS))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_model_create: block_count is %lld; it must be 1 to %d",
                        (long long)options->block_count, MAX_BLOCKS);
    if (!bp_loss_name(options->loss))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_model_create: %d is no loss", (int)options->loss);
    if (!bp_init_name(options->init))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_model_create: %d is no initialisation",
                        (int)options->init);
    if (!(options->init_gain >= 0.0f) || !isfinite(options->init_gain))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_model_create: init_gain is %g; it must be > 0",
                        (double)options->init_gain);
    float smoothing = options->label_smoothing;
    if (!(smoothing >= 0.0f && smoothing < 1.0f))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_model_create: label_smoothing is %g; it must be at least 0 and below 1", (double)smoothing);
    if (smoothing > 0.0f && options->loss != BP_LOSS_SOFTMAX_CROSS_ENTROPY)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_model_create: label_smoothing is for softmax_cross_entropy, and the loss is %s",
                        bp_loss_name(options->loss));
    if (!(options->huber_delta >= 0.0f) || !isfinite(options->huber_delta))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_model_create: huber_delta is %g; it must be > 0",
                        (double)options->huber_delta);
    if (options->huber_delta > 0.0f && options->loss != BP_LOSS_HUBER)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_model_create: huber_delta is for huber, and the loss is %s", bp_loss_name(options->loss));
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- create */

/* The user's array of blocks, whose structs may be of another size than ours, as an array of ours. */
static bp_status copy_blocks(bp_context *context, const bp_model_options *options, bp_block **blocks)
{
    size_t stride = options->blocks[0].struct_size ? options->blocks[0].struct_size : sizeof(bp_block);
    BPI_TRY(bpi_alloc(context, (size_t)options->block_count * sizeof(bp_block), "bp_model_create", (void **)blocks));
    for (int64_t i = 0; i < options->block_count; i++) {
        const char *theirs = (const char *)options->blocks + (size_t)i * stride;
        bp_status status =
            bpi_options_copy(context, "bp_block", theirs, sizeof(bp_block), sizeof(bp_block), &(*blocks)[i]);
        if (status != BP_STATUS_OK) {
            bpi_free(context, *blocks, (size_t)options->block_count * sizeof(bp_block));
            *blocks = NULL;
            return status;
        }
    }
    return BP_STATUS_OK;
}

/* Where the output of a block's skip comes from, once all widths are known. */
static bp_status resolve_skip(bp_model *model, int64_t index)
{
    bpi_layer *layer = &model->layers[index];
    layer->skip_source = layer->block.skip == 0 ? -1 : layer->block.skip == -1 ? index : layer->block.skip;
    if (layer->skip_source < 0)
        return BP_STATUS_OK;
    int64_t width = layer->skip_source ? model->layers[layer->skip_source - 1].outputs : model->inputs;
    if (width != layer->outputs)
        return BPI_FAIL(model->context, BP_STATUS_INVALID_ARGUMENT,
                        "layers: block %lld: a skip adds %lld values to %lld units; the two must be equal",
                        (long long)index + 1, (long long)width, (long long)layer->outputs);
    if (layer->skip_source > 0)
        model->layers[layer->skip_source - 1].feeds_skip = true;
    return BP_STATUS_OK;
}

static bp_status resolve_steps(bp_model *model)
{
    const bpi_ops *ops = model->context->backend->ops;
    for (int64_t i = 0; i < model->layer_count; i++)
        BPI_TRY(resolve_skip(model, i));
    for (int64_t i = 0; i < model->layer_count; i++) {
        bpi_layer *layer = &model->layers[i];
        layer->in_steps = layer->block.norm != BP_NORM_NONE || layer->block.dropout > 0.0f || layer->skip_source >= 0 ||
                          layer->feeds_skip;
        if (layer->in_steps && (!ops->block_forward || !ops->block_backward))
            return BPI_FAIL(
                model->context, BP_STATUS_UNSUPPORTED,
                "layers: block %lld: bn, ln, dropout and skip are not supported by backend %s of version %s in %s",
                (long long)i + 1, ops->name, bp_version(), bp_precision_name(model->context->precision));
        layer->saves_z = layer->saves_z && !layer->in_steps;
    }
    return BP_STATUS_OK;
}

static bp_status make_layers(bp_model *model, bp_block *blocks, int64_t count)
{
    BPI_TRY(bpi_alloc(model->context, (size_t)count * sizeof(bpi_layer), "bp_model_create", (void **)&model->layers));
    model->layer_count = count;
    int64_t inputs = model->inputs;
    for (int64_t i = 0; i < count; i++) {
        BPI_TRY(resolve_block(model->context, i + 1, &blocks[i]));
        bpi_layer *layer = &model->layers[i];
        layer->block = blocks[i];
        layer->inputs = inputs;
        layer->outputs = inputs = blocks[i].units;
        layer->saves_z = bpi_activation_saves_z(blocks[i].activation);
    }
    BPI_TRY(resolve_steps(model));
    return bpi_notation_format(model->context, blocks, count, &model->layers_text, &model->layers_text_bytes);
}

static bp_status make_parameters(bp_model *model, const bp_model_options *options)
{
    BPI_TRY(bpi_parameters_plan(model));
    bpi_backend *backend = model->context->backend;
    size_t bytes = bpi_parameters_bytes(model);
    BPI_TRY(backend->ops->allocate(backend, bytes, &model->parameters));
    model->shown = model->parameters;
    model->weights = model->parameters;
    model->weights_stale = true;
    if (bpi_weights_bytes(model) > 0)
        BPI_TRY(backend->ops->allocate(backend, bpi_weights_bytes(model), &model->weights));
    return bpi_init_parameters(model, options);
}

static bp_status build(bp_model *model, const bp_model_options *options)
{
    bp_context *context = model->context;
    BPI_TRY(check_options(context, options));
    model->inputs = options->inputs;
    model->loss = options->loss;
    model->label_smoothing = options->label_smoothing;
    model->huber_delta = options->huber_delta > 0.0f ? options->huber_delta : DEFAULT_HUBER_DELTA;
    bp_block *blocks = NULL;
    int64_t count = options->block_count;
    if (options->layers)
        BPI_TRY(bpi_notation_parse(context, options->layers, &blocks, &count));
    else
        BPI_TRY(copy_blocks(context, options, &blocks));
    bp_status status = make_layers(model, blocks, count);
    bpi_free(context, blocks, (size_t)count * sizeof(bp_block));
    BPI_TRY(status);
    return make_parameters(model, options);
}

bp_status bp_model_create(bp_context *context, const bp_model_options *options, bp_model **model)
{
    if (model)
        *model = NULL;
    if (!context || !options || !model || !context->backend)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_model_create: %s",
                        !context   ? "context is NULL"
                        : !options ? "options is NULL"
                        : !model   ? "model is NULL"
                                   : "the context has no backend: its creation failed");
    bp_model_options mine;
    BPI_TRY(bpi_options_copy(context, "bp_model_options", options, sizeof mine, sizeof mine, &mine));
    bp_model *made = NULL;
    BPI_TRY(bpi_alloc(context, sizeof *made, "bp_model_create", (void **)&made));
    made->context = context;
    bp_status status = build(made, &mine);
    if (status != BP_STATUS_OK) {
        bpi_error kept = context->error;
        bp_model_destroy(made);
        context->error = kept;
        return status;
    }
    *model = made;
    return BP_STATUS_OK;
}

void bp_model_destroy(bp_model *model)
{
    if (!model)
        return;
    bp_context *context = model->context;
    bpi_pass_destroy(model->evaluation);
    bpi_standardization_clear(model);
    context->backend->ops->release(context->backend, model->shown_weights, bpi_weights_bytes(model));
    if (bpi_has_weight_copy(model))
        context->backend->ops->release(context->backend, model->weights, bpi_weights_bytes(model));
    context->backend->ops->release(context->backend, model->parameters, bpi_parameters_bytes(model));
    bpi_free(context, model->layers_text, model->layers_text_bytes);
    bpi_free(context, model->tensors, (size_t)model->tensor_capacity * sizeof *model->tensors);
    bpi_free(context, model->layers, (size_t)model->layer_count * sizeof *model->layers);
    bpi_free(context, model, sizeof *model);
}

/* ---------------------------------------------------------------- questions */

int64_t bp_model_inputs(const bp_model *model)
{
    return model ? model->inputs : 0;
}

int64_t bp_model_outputs(const bp_model *model)
{
    return model ? model->layers[model->layer_count - 1].outputs : 0;
}

int64_t bp_model_parameter_count(const bp_model *model)
{
    int64_t count = 0;
    for (int64_t i = 0; model && i < model->tensor_count; i++)
        count += bpi_tensor_elements(&model->tensors[i]);
    return count;
}

bp_loss bp_model_loss(const bp_model *model)
{
    return model ? model->loss : BP_LOSS_SOFTMAX_CROSS_ENTROPY;
}

const char *bp_model_layers(const bp_model *model)
{
    return model ? model->layers_text : "";
}

int64_t bp_model_tensor_count(const bp_model *model)
{
    return model ? model->tensor_count : 0;
}
