/* backward.c: the loss, and from its error term the gradients of every layer, last to first.
 *
 *   delta(L)   = scale * dl/da(L) * f'(z(L))
 *   d_w(l)     = delta(l)^T x(l)               on lane 1: it waits for nothing that follows
 *   d_b(l)     = column sums of delta(l)       in the pass that makes delta(l), or with d_w(l)
 *   delta(l-1) = (delta(l) w(l)) * f'(z(l-1))  on lane 0
 *
 * 1/m is in `scale` and nowhere else. */
#include "host/pass.h"

/* 1/m for the losses that sum over a sample's outputs, 1/(m O) for those that are means over them. */
static double loss_scale(const bp_model *model, int64_t samples)
{
    double m = (double)samples, outputs = (double)model->layers[model->layer_count - 1].outputs;
    switch (model->loss) {
    case BP_LOSS_SOFTMAX_CROSS_ENTROPY:
    case BP_LOSS_HALF_MSE:
        return 1.0 / m;
    default:
        return 1.0 / (m * outputs);
    }
}

bpi_loss_args bpi_loss_args_of(bpi_pass *pass, int64_t rows, bpi_targets targets)
{
    const bp_model *model = pass->model;
    int64_t last = model->layer_count - 1;
    int64_t outputs = model->layers[last].outputs, ld = pass->layers[last].ld;
    return (bpi_loss_args){.loss = model->loss,
                           .label_smoothing = model->label_smoothing,
                           .huber_delta = model->huber_delta,
                           .z = bpi_view(pass->layers[last].out, rows, outputs, ld),
                           .classes = targets.classes ? pass->classes : NULL,
                           .targets = bpi_view(targets.classes ? NULL : pass->targets, rows, outputs, ld),
                           .scale = loss_scale(model, targets.samples),
                           .delta = bpi_view(NULL, rows, outputs, pass->layers[last].error_ld),
                           .state = pass->state};
}

bp_status bpi_loss_value(bpi_pass *pass, const bpi_plan_set *set, bpi_targets targets)
{
    bpi_backend *backend = pass->model->context->backend;
    bpi_loss_args args = bpi_loss_args_of(pass, set->rows, targets);
    return backend->ops->loss(backend, &args);
}

/* Where the pass that makes a layer's error term leaves its bias gradient; NULL: it has none, or
 * linear_weight_bias_grad makes it. */
static void *bias_gradient(const bpi_pass *pass, const bpi_plan_set *set, int64_t index, bpi_gradient_sink sink)
{
    return bpi_goes(set->ways[index], BPI_WAY_BIAS)
               ? NULL
               : bpi_tensor_at(pass->model, sink.gradients, pass->model->layers[index].bias);
}

bp_status bpi_output_delta(bpi_pass *pass, const bpi_plan_set *set, bpi_targets targets, bpi_gradient_sink sink)
{
    const bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    int64_t last = model->layer_count - 1;
    const bpi_layer *layer = &model->layers[last];
    for (int64_t i = 0; i <= last; i++)
        pass->layers[i].skip_grad_begun = false;
    bool identity = layer->block.activation == BP_ACTIVATION_IDENTITY && !layer->in_steps;
    bpi_loss_args args = bpi_loss_args_of(pass, set->rows, targets);
    args.delta.data = pass->delta[last & 1];
    args.d_b = identity ? bias_gradient(pass, set, last, sink) : NULL;
    args.accumulate = sink.accumulate;
    BPI_TRY(backend->ops->loss(backend, &args));
    if (identity)
        return BP_STATUS_OK;
    return bpi_hidden_delta(pass, set, last, sink);
}

/* What turns dL/da of a layer into its error term, in place. */
static bpi_activation_args derivative_args(bpi_pass *pass, const bpi_plan_set *set, int64_t index,
                                           bpi_gradient_sink sink)
{
    int64_t rows = set->rows;
    const bpi_layer *layer = &pass->model->layers[index];
    const bpi_pass_layer *kept = &pass->layers[index];
    bpi_matrix view = bpi_view(pass->delta[index & 1], rows, layer->outputs, kept->error_ld);
    return (bpi_activation_args){.activation = layer->block.activation,
                                 .slope = layer->block.slope,
                                 .wide = bpi_is_wide(pass->model, index),
                                 .saved = bpi_view(layer->saves_z ? kept->z : kept->a, rows, layer->outputs, kept->ld),
                                 .d_a = view,
                                 .delta = view,
                                 .d_b = bias_gradient(pass, set, index, sink),
                                 .accumulate = sink.accumulate,
                                 .mask = bpi_keeps_mask(pass->model, index, set->ways) ? kept->mask : NULL};
}

/* The same for a layer that runs in steps, with the gradients of its norm; what its skip passes on is kept for the
 * layer that the skip came from. */
static bp_status block_delta(bpi_pass *pass, int64_t rows, int64_t index, bpi_gradient_sink sink)
{
    const bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    const bpi_layer *layer = &model->layers[index];
    bpi_pass_layer *kept = &pass->layers[index];
    bpi_pass_layer *source = layer->skip_source > 0 ? &pass->layers[layer->skip_source - 1] : NULL;
    bpi_matrix delta = bpi_view(pass->delta[index & 1], rows, layer->outputs, kept->error_ld);
    bpi_block_grad_args args = {
        .spec = bpi_block_spec_of(layer),
        .u = bpi_view(kept->u, rows, layer->outputs, kept->ld),
        .a = bpi_view(kept->a, rows, layer->outputs, kept->ld),
        .bias = bpi_block_adds_bias(pass, layer) ? bpi_tensor_at(model, model->parameters, layer->bias) : NULL,
        .gamma = bpi_tensor_at(model, model->parameters, layer->gamma),
        .beta = bpi_tensor_at(model, model->parameters, layer->beta),
        .mean = kept->mean,
        .inv_std = kept->inv_std,
        .key = bpi_dropout_key_of(pass, index),
        .d_out = delta,
        .d_out_skip = bpi_view(kept->skip_grad_begun ? kept->skip_grad : NULL, rows, layer->outputs, kept->ld),
        .d_skip = bpi_view(source ? source->skip_grad : NULL, rows, layer->outputs, source ? source->ld : 0),
        .d_skip_accumulate = source && source->skip_grad_begun,
        .delta = delta,
        .d_gamma = bpi_tensor_at(model, sink.gradients, layer->gamma),
        .d_beta = bpi_tensor_at(model, sink.gradients, layer->beta),
        .d_b = bpi_tensor_at(model, sink.gradients, layer->bias),
        .accumulate = sink.accumulate,
        .wide = bpi_is_wide(model, index),
    };
    kept->skip_grad_begun = false;
    if (source)
        source->skip_grad_begun = true;
    return backend->ops->block_backward(backend, &args);
}

bp_status bpi_hidden_delta(bpi_pass *pass, const bpi_plan_set *set, int64_t index, bpi_gradient_sink sink)
{
    bpi_backend *backend = pass->model->context->backend;
    if (pass->model->layers[index].in_steps)
        return block_delta(pass, set->rows, index, sink);
    bpi_activation_args args = derivative_args(pass, set, index, sink);
    return backend->ops->activation_backward(backend, &args);
}

bp_status bpi_weight_gradient(bpi_pass *pass, const bpi_plan_set *set, int64_t index, bpi_gradient_sink sink)
{
    const bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    const bpi_layer *layer = &model->layers[index];
    unsigned ways = set->ways[index];
    int lane = bpi_goes(ways, BPI_WAY_ONE_LANE) ? 0 : 1;
    const void *x = index ? pass->layers[index - 1].out : pass->input, *delta = pass->delta[index & 1];
    void *d_w = bpi_tensor_at(model, sink.gradients, layer->weight);
    if (lane == 1)
        BPI_TRY(backend->ops->lane_fork(backend));
    if (bpi_goes(ways, BPI_WAY_BIAS))
        return backend->ops->linear_weight_bias_grad(backend, set->plans[index], lane, delta, x, sink.accumulate, d_w,
                                                     bpi_tensor_at(model, sink.gradients, layer->bias));
    return backend->ops->linear_weight_grad(backend, set->plans[index], lane, delta, x, sink.accumulate, d_w);
}

bp_status bpi_input_gradient(bpi_pass *pass, const bpi_plan_set *set, int64_t index)
{
    const bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    return backend->ops->linear_input_grad(backend, set->plans[index], pass->delta[index & 1],
                                           bpi_weight_at(model, model->weights, model->layers[index].weight),
                                           pass->delta[(index + 1) & 1]);
}

/* Whether the error term of the layer below `index` is made in one operation. */
static bool joins(const bpi_pass *pass, const bpi_plan_set *set, int64_t index)
{
    const bpi_ops *ops = pass->model->context->backend->ops;
    return ops->linear_hidden_delta && !pass->model->layers[index - 1].in_steps &&
           (!ops->linear_way || bpi_goes(set->ways[index], BPI_WAY_DELTA));
}

/* The error term of the layer below `index`: in one operation where the backend has one. */
static bp_status delta_below(bpi_pass *pass, const bpi_plan_set *set, int64_t index, bpi_gradient_sink sink)
{
    const bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    if (!joins(pass, set, index)) {
        BPI_TRY(bpi_input_gradient(pass, set, index));
        return bpi_hidden_delta(pass, set, index - 1, sink);
    }
    bpi_activation_args args = derivative_args(pass, set, index - 1, sink);
    return backend->ops->linear_hidden_delta(backend, set->plans[index], pass->delta[index & 1],
                                             bpi_weight_at(model, model->weights, model->layers[index].weight), &args);
}

bp_status bpi_backward(bpi_pass *pass, const bpi_plan_set *set, bpi_targets targets, bpi_gradient_sink sink)
{
    bpi_backend *backend = pass->model->context->backend;
    BPI_TRY(bpi_output_delta(pass, set, targets, sink));
    for (int64_t i = pass->model->layer_count - 1; i >= 0; i--) {
        /* Lane 1 may still read the buffer that delta_below writes: in the weight gradient of the layer above. */
        BPI_TRY(backend->ops->lane_join(backend));
        BPI_TRY(bpi_weight_gradient(pass, set, i, sink));
        if (i > 0)
            BPI_TRY(delta_below(pass, set, i, sink));
    }
    return backend->ops->lane_join(backend);
}
