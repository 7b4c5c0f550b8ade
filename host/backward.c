/* backward.c: the loss, and from its error term the gradients of every layer, last to first.
 *
 *   delta(L)   = scale * dl/da(L) * f'(z(L))
 *   d_w(l)     = delta(l)^T x(l)               on lane 1: it waits for nothing that follows
 *   d_b(l)     = column sums of delta(l)       in the pass that makes delta(l)
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
                           .z = bpi_view(pass->layers[last].a, rows, outputs, ld),
                           .classes = targets.classes ? pass->classes : NULL,
                           .targets = bpi_view(targets.classes ? NULL : pass->targets, rows, outputs, ld),
                           .scale = loss_scale(model, targets.samples),
                           .delta = bpi_view(NULL, rows, outputs, ld),
                           .state = pass->state};
}

bp_status bpi_loss_value(bpi_pass *pass, const bpi_plan_set *set, bpi_targets targets)
{
    bpi_backend *backend = pass->model->context->backend;
    bpi_loss_args args = bpi_loss_args_of(pass, set->rows, targets);
    return backend->ops->loss(backend, &args);
}

/* The error term of the last layer into `delta`, with its bias gradient. */
static bp_status output_error(bpi_pass *pass, int64_t rows, bpi_targets targets, void *delta, void *d_b,
                              bool accumulate)
{
    const bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    int64_t last = model->layer_count - 1;
    const bpi_layer *layer = &model->layers[last];
    bool identity = layer->block.activation == BP_ACTIVATION_IDENTITY;
    bpi_loss_args args = bpi_loss_args_of(pass, rows, targets);
    args.delta.data = delta;
    args.d_b = identity ? d_b : NULL;
    args.accumulate = accumulate;
    BPI_TRY(backend->ops->loss(backend, &args));
    if (identity)
        return BP_STATUS_OK;
    bpi_activation_args derivative = {.activation = layer->block.activation,
                                      .slope = layer->block.slope,
                                      .saved = args.z,
                                      .d_a = args.delta,
                                      .delta = args.delta,
                                      .d_b = d_b,
                                      .accumulate = accumulate};
    if (layer->saves_z)
        derivative.saved.data = pass->layers[last].z;
    return backend->ops->activation_backward(backend, &derivative);
}

/* The error term of a hidden layer, in place of dL/da, with its bias gradient. */
static bp_status hidden_error(bpi_pass *pass, int64_t rows, int64_t index, void *delta, void *d_b, bool accumulate)
{
    const bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    const bpi_layer *layer = &model->layers[index];
    const bpi_pass_layer *kept = &pass->layers[index];
    bpi_matrix view = bpi_view(delta, rows, layer->outputs, kept->ld);
    bpi_activation_args args = {.activation = layer->block.activation,
                                .slope = layer->block.slope,
                                .saved = bpi_view(layer->saves_z ? kept->z : kept->a, rows, layer->outputs, kept->ld),
                                .d_a = view,
                                .delta = view,
                                .d_b = d_b,
                                .accumulate = accumulate};
    return backend->ops->activation_backward(backend, &args);
}

bp_status bpi_layer_backward(bpi_pass *pass, const bpi_plan_set *set, bpi_targets targets, int64_t index,
                             void *gradients, bool accumulate)
{
    const bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    const bpi_ops *ops = backend->ops;
    const bpi_layer *layer = &model->layers[index];
    void *delta = pass->delta[index & 1], *below = pass->delta[(index + 1) & 1];
    void *d_b = bpi_tensor_at(model, gradients, layer->bias);
    if (index == model->layer_count - 1)
        BPI_TRY(output_error(pass, set->rows, targets, delta, d_b, accumulate));
    else
        BPI_TRY(hidden_error(pass, set->rows, index, delta, d_b, accumulate));
    /* Lane 1 still reads the buffer that the next error term goes into: the layer above's weight gradient. */
    BPI_TRY(ops->lane_join(backend));
    BPI_TRY(ops->lane_fork(backend));
    BPI_TRY(ops->linear_weight_grad(backend, set->plans[index], 1, delta, index ? pass->layers[index - 1].a : pass->x,
                                    accumulate, bpi_tensor_at(model, gradients, layer->weight)));
    if (index == 0)
        return ops->lane_join(backend);
    return ops->linear_input_grad(backend, set->plans[index], delta,
                                  bpi_tensor_at(model, model->parameters, layer->weight), below);
}

bp_status bpi_backward(bpi_pass *pass, const bpi_plan_set *set, bpi_targets targets, void *gradients, bool accumulate)
{
    for (int64_t i = pass->model->layer_count - 1; i >= 0; i--)
        BPI_TRY(bpi_layer_backward(pass, set, targets, i, gradients, accumulate));
    return BP_STATUS_OK;
}
