/* forward.c: from a batch to the network's output, layer by layer; and the batch into its place. */
#include "host/pass.h"

/* The output that a skip adds: of an earlier layer, or the input itself. */
static bpi_matrix skip_view(const bpi_pass *pass, int64_t rows, int64_t source)
{
    if (source < 0)
        return bpi_view(NULL, rows, 0, 0);
    if (source == 0)
        return bpi_view(pass->input, rows, pass->model->inputs, pass->ld_x);
    return bpi_view(pass->layers[source - 1].out, rows, pass->model->layers[source - 1].outputs,
                    pass->layers[source - 1].ld);
}

bpi_block_spec bpi_block_spec_of(const bpi_layer *layer)
{
    return (bpi_block_spec){.activation = layer->block.activation,
                            .slope = layer->block.slope,
                            .norm = layer->block.norm,
                            .norm_epsilon = 1e-5,
                            .norm_momentum = 0.1,
                            .dropout = layer->block.dropout};
}

bpi_dropout_key bpi_dropout_key_of(const bpi_pass *pass, int64_t index)
{
    return (bpi_dropout_key){pass->dropout_seed, (uint64_t)index, pass->state, pass->first_row};
}

/* Running values that the block reads, in evaluation; that it moves, in a step; else none. */
static void *running_at(const bpi_pass *pass, int64_t index)
{
    const bp_model *model = pass->model;
    if (!pass->gradients)
        return bpi_tensor_at(model, bpi_pass_parameters(pass), index);
    if (!pass->moves_running || index < 0)
        return NULL;
    int64_t element = (int64_t)bpi_type_bytes(model->context->backend->traits.parameter_type);
    return (char *)pass->running + (model->tensors[index].offset - model->parameter_count) * element;
}

/* What follows the product of a layer that runs in steps. */
static bp_status finish_block(bpi_pass *pass, int64_t rows, int64_t index)
{
    bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    const bpi_layer *layer = &model->layers[index];
    const bpi_pass_layer *kept = &pass->layers[index];
    void *parameters = bpi_pass_parameters(pass);
    if (layer->block.norm == BP_NORM_BATCH && pass->gradients && rows < 2)
        return BPI_FAIL(model->context, BP_STATUS_INVALID_ARGUMENT,
                        "batch norm in block %lld: training wants at least 2 rows in a micro-batch",
                        (long long)index + 1);
    bpi_block_args args = {
        .spec = bpi_block_spec_of(layer),
        .training = pass->gradients,
        .u = bpi_view(kept->u, rows, layer->outputs, kept->ld),
        .bias = bpi_block_adds_bias(pass, layer) ? bpi_tensor_at(model, parameters, layer->bias) : NULL,
        .gamma = bpi_tensor_at(model, parameters, layer->gamma),
        .beta = bpi_tensor_at(model, parameters, layer->beta),
        .running_mean = running_at(pass, layer->running_mean),
        .running_var = running_at(pass, layer->running_var),
        .mean = kept->mean,
        .inv_std = kept->inv_std,
        .key = bpi_dropout_key_of(pass, index),
        .skip = skip_view(pass, rows, layer->skip_source),
        .a = bpi_view(kept->a, rows, layer->outputs, kept->ld),
        .out = bpi_view(kept->out, rows, layer->outputs, kept->ld),
        .wide = bpi_is_wide(model, index),
    };
    return backend->ops->block_forward(backend, &args);
}

/* x to a, or to u where the layer runs in steps. */
static bp_status run_product(bpi_pass *pass, const bpi_plan_set *set, int64_t index, const void *x)
{
    const bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    const bpi_layer *layer = &model->layers[index];
    const bpi_pass_layer *kept = &pass->layers[index];
    const void *w = bpi_weight_at(model, bpi_pass_weights(pass), layer->weight);
    const void *bias =
        bpi_block_adds_bias(pass, layer) ? NULL : bpi_tensor_at(model, bpi_pass_parameters(pass), layer->bias);
    if (bpi_keeps_mask(model, index, set->ways))
        return backend->ops->linear_forward_mask(backend, set->plans[index], x, w, bias, kept->a, kept->mask);
    return backend->ops->linear_forward(backend, set->plans[index], x, w, bias, kept->z,
                                        layer->in_steps ? kept->u : kept->a);
}

bp_status bpi_forward(bpi_pass *pass, const bpi_plan_set *set)
{
    const bp_model *model = pass->model;
    const void *x = pass->input;
    for (int64_t i = 0; i < model->layer_count; i++) {
        BPI_TRY(run_product(pass, set, i, x));
        if (model->layers[i].in_steps)
            BPI_TRY(finish_block(pass, set->rows, i));
        x = pass->layers[i].out;
    }
    return BP_STATUS_OK;
}

bool bpi_uses_classes(const bp_model *model, const bpi_source *source)
{
#define TAKES_CLASSES(ENUM, name, takes_classes) takes_classes,
    static const bool takes[] = {BP_LOSS_LIST(TAKES_CLASSES)};
    return source->classes && takes[model->loss];
}

/* Rows of the source that are an input as they lie; NULL where they must be gathered, converted, standardised, spread
 * out or brought to a device. Nobody writes to an input. */
static void *rows_in_place(const bpi_pass *pass, const bpi_source *source, const int64_t *index, int64_t first)
{
    const bp_model *model = pass->model;
    const bpi_traits *traits = &model->context->backend->traits;
    if (!traits->host_memory || traits->activation_type != BPI_TYPE_F32 || source->x_type != BPI_TYPE_F32 || index ||
        model->device_mean || pass->ld_x != source->inputs)
        return NULL;
    union {
        const float *read;
        void *shown;
    } rows = {(const float *)source->x + first * source->inputs};
    return rows.shown;
}

bp_status bpi_pass_load(bpi_pass *pass, const bpi_source *source, const int64_t *index, int64_t first, int64_t rows)
{
    bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    BPI_TRY(bpi_weights_refresh(model));
    int64_t outputs = model->layers[model->layer_count - 1].outputs;
    int64_t ld = pass->layers[model->layer_count - 1].ld;
    bool classes = bpi_uses_classes(model, source);
    void *in_place = rows_in_place(pass, source, index, first);
    pass->input = in_place ? in_place : pass->x;
    bpi_load_args args = {.source = source,
                          .index = index,
                          .first = first,
                          .rows = rows,
                          .mean = model->device_mean,
                          .inv_std = model->device_inv_std,
                          .x = bpi_view(in_place ? NULL : pass->x, rows, model->inputs, pass->ld_x),
                          .classes = classes ? pass->classes : NULL,
                          .targets = bpi_view(!classes && source->targets ? pass->targets : NULL, rows, outputs, ld)};
    return backend->ops->load(backend, &args);
}
