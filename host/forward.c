/* forward.c: from a batch to the network's output, layer by layer; and the batch into its place. */
#include "host/pass.h"

bp_status bpi_forward(bpi_pass *pass, const bpi_plan_set *set)
{
    const bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    const void *x = pass->x;
    for (int64_t i = 0; i < model->layer_count; i++) {
        const bpi_layer *layer = &model->layers[i];
        BPI_TRY(backend->ops->linear_forward(
            backend, set->plans[i], x, bpi_tensor_at(model, model->parameters, layer->weight),
            bpi_tensor_at(model, model->parameters, layer->bias), pass->layers[i].z, pass->layers[i].a));
        x = pass->layers[i].a;
    }
    return BP_STATUS_OK;
}

bool bpi_uses_classes(const bp_model *model, const bpi_source *source)
{
#define TAKES_CLASSES(ENUM, name, takes_classes) takes_classes,
    static const bool takes[] = {BP_LOSS_LIST(TAKES_CLASSES)};
    return source->classes && takes[model->loss];
}

bp_status bpi_pass_load(bpi_pass *pass, const bpi_source *source, const int64_t *index, int64_t first, int64_t rows)
{
    const bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    int64_t outputs = model->layers[model->layer_count - 1].outputs;
    int64_t ld = pass->layers[model->layer_count - 1].ld;
    bool classes = bpi_uses_classes(model, source);
    bpi_load_args args = {.source = source,
                          .index = index,
                          .first = first,
                          .rows = rows,
                          .mean = model->device_mean,
                          .inv_std = model->device_inv_std,
                          .x = bpi_view(pass->x, rows, model->inputs, pass->ld_x),
                          .classes = classes ? pass->classes : NULL,
                          .targets = bpi_view(!classes && source->targets ? pass->targets : NULL, rows, outputs, ld)};
    return backend->ops->load(backend, &args);
}
