/* pass.c: lays out and allocates the memory of a pass; keeps the plans of its products. See pass.h. */
#include "host/pass.h"

#include <string.h>

enum { SLICE_ALIGNMENT = 256 };

static void release_plans(bpi_pass *pass, bpi_plan_set *set)
{
    bpi_backend *backend = pass->model->context->backend;
    for (int64_t i = 0; i < pass->model->layer_count; i++) {
        backend->ops->linear_unplan(backend, set->plans[i]);
        set->plans[i] = NULL;
    }
    set->rows = 0;
}

static bpi_linear_spec layer_spec(const bpi_pass *pass, int64_t index, int64_t rows)
{
    const bpi_layer *layer = &pass->model->layers[index];
    return (bpi_linear_spec){.rows = rows,
                             .inputs = layer->inputs,
                             .outputs = layer->outputs,
                             .ld_x = index ? pass->layers[index - 1].ld : pass->ld_x,
                             .ld_w = pass->model->tensors[layer->weight].ld,
                             .ld_a = pass->layers[index].ld,
                             .bias = layer->bias >= 0,
                             .activation = layer->block.activation,
                             .slope = layer->block.slope,
                             .gradients = pass->gradients,
                             .input_grad = pass->gradients && index > 0};
}

/* ---------------------------------------------------------------- memory */

/* Cuts `count` elements off the block: the address (NULL while only measuring), and *used moved on. */
static bp_status cut(bpi_pass *pass, double count, size_t element, size_t *used, void **slice)
{
    if (count * (double)element > 1e17)
        return BPI_FAIL(
            pass->model->context, BP_STATUS_INVALID_ARGUMENT,
            "batch: %lld rows need %.3g bytes for one array, more than any machine holds; use a smaller batch",
            (long long)pass->rows, count * (double)element);
    *slice = pass->memory ? (char *)pass->memory + *used : NULL;
    *used += (size_t)bpi_round_up((int64_t)(count * (double)element), SLICE_ALIGNMENT);
    return BP_STATUS_OK;
}

/* Without gradients, two activations (and one z) take turns; with them, each layer keeps its own. */
static bp_status cut_layers(bpi_pass *pass, int64_t widest, size_t *used)
{
    const bp_model *model = pass->model;
    size_t element = bpi_type_bytes(model->context->backend->traits.activation_type);
    double rows = (double)pass->rows;
    void *turns[2] = {NULL, NULL}, *shared_z = NULL;
    if (!pass->gradients) {
        BPI_TRY(cut(pass, rows * (double)widest, element, used, &turns[0]));
        BPI_TRY(cut(pass, rows * (double)widest, element, used, &turns[1]));
        BPI_TRY(cut(pass, rows * (double)widest, element, used, &shared_z));
    }
    for (int64_t i = 0; i < model->layer_count; i++) {
        bpi_pass_layer *layer = &pass->layers[i];
        double count = rows * (double)layer->ld;
        layer->a = turns[i & 1];
        layer->z = model->layers[i].saves_z ? shared_z : NULL;
        if (pass->gradients) {
            BPI_TRY(cut(pass, count, element, used, &layer->a));
            if (model->layers[i].saves_z)
                BPI_TRY(cut(pass, count, element, used, &layer->z));
        }
    }
    for (int i = 0; pass->gradients && i < 2; i++)
        BPI_TRY(cut(pass, rows * (double)widest, element, used, &pass->delta[i]));
    return BP_STATUS_OK;
}

/* Places everything; with pass->memory NULL it only measures pass->bytes. */
static bp_status lay_out(bpi_pass *pass)
{
    const bp_model *model = pass->model;
    const bpi_backend *backend = model->context->backend;
    const bpi_traits *traits = &backend->traits;
    int64_t widest = 0;
    for (int64_t i = 0; i < model->layer_count; i++) {
        pass->layers[i].ld = bpi_leading_dimension(backend, model->layers[i].outputs);
        widest = pass->layers[i].ld > widest ? pass->layers[i].ld : widest;
    }
    pass->ld_x = bpi_leading_dimension(backend, model->inputs);
    size_t used = 0;
    double rows = (double)pass->rows;
    BPI_TRY(cut(pass, 1.0, sizeof *pass->state, &used, (void **)&pass->state));
    BPI_TRY(cut(pass, rows * (double)pass->ld_x, bpi_type_bytes(traits->activation_type), &used, &pass->x));
    BPI_TRY(cut(pass, rows, sizeof *pass->classes, &used, (void **)&pass->classes));
    BPI_TRY(cut(pass, rows * (double)pass->layers[model->layer_count - 1].ld, bpi_type_bytes(traits->parameter_type),
                &used, &pass->targets));
    BPI_TRY(cut_layers(pass, widest, &used));
    pass->bytes = used;
    return BP_STATUS_OK;
}

static size_t workspace_bytes(bpi_pass *pass)
{
    bpi_backend *backend = pass->model->context->backend;
    size_t most = 0;
    for (int64_t i = 0; i < pass->model->layer_count; i++) {
        bpi_linear_spec spec = layer_spec(pass, i, pass->rows);
        size_t bytes = backend->ops->workspace_bytes(backend, &spec, pass->model->parameter_count);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* ---------------------------------------------------------------- life */

/* The struct and its small host arrays, laid out, without the block of memory. */
static bp_status make_frame(bp_model *model, int64_t rows, bool gradients, bpi_pass **pass)
{
    bp_context *context = model->context;
    *pass = NULL;
    bpi_pass *made;
    BPI_TRY(bpi_alloc(context, sizeof *made, "pass", (void **)&made));
    made->model = model;
    made->rows = rows;
    made->gradients = gradients;
    *pass = made;
    BPI_TRY(bpi_alloc(context, (size_t)model->layer_count * sizeof *made->layers, "pass", (void **)&made->layers));
    for (int i = 0; i < BPI_PLAN_SETS; i++)
        BPI_TRY(bpi_alloc(context, (size_t)model->layer_count * sizeof *made->sets[i].plans, "pass",
                          (void **)&made->sets[i].plans));
    return lay_out(made);
}

bp_status bpi_pass_plan(bp_model *model, int64_t rows, bool gradients, bpi_pass_bytes *bytes)
{
    bpi_pass *pass;
    bp_status status = make_frame(model, rows, gradients, &pass);
    if (status == BP_STATUS_OK)
        *bytes = (bpi_pass_bytes){pass->bytes, workspace_bytes(pass)};
    bpi_pass_destroy(pass);
    return status;
}

static bp_status fill_frame(bpi_pass *pass)
{
    bpi_backend *backend = pass->model->context->backend;
    BPI_TRY(backend->ops->allocate(backend, pass->bytes, &pass->memory));
    BPI_TRY(lay_out(pass));
    BPI_TRY(backend->ops->reserve(backend, workspace_bytes(pass)));
    bpi_plan_set *set;
    return bpi_pass_plans(pass, pass->rows, &set);
}

bp_status bpi_pass_create(bp_model *model, int64_t rows, bool gradients, bpi_pass **pass)
{
    bp_status status = make_frame(model, rows, gradients, pass);
    if (status == BP_STATUS_OK)
        status = fill_frame(*pass);
    if (status != BP_STATUS_OK) {
        bpi_pass_destroy(*pass);
        *pass = NULL;
    }
    return status;
}

void bpi_pass_destroy(bpi_pass *pass)
{
    if (!pass)
        return;
    bp_model *model = pass->model;
    bpi_backend *backend = model->context->backend;
    for (int i = 0; i < BPI_PLAN_SETS; i++) {
        if (pass->sets[i].plans)
            release_plans(pass, &pass->sets[i]);
        bpi_free(model->context, pass->sets[i].plans, (size_t)model->layer_count * sizeof *pass->sets[i].plans);
    }
    backend->ops->release(backend, pass->memory, pass->bytes);
    bpi_free(model->context, pass->layers, (size_t)model->layer_count * sizeof *pass->layers);
    bpi_free(model->context, pass, sizeof *pass);
}

/* ---------------------------------------------------------------- plans */

bp_status bpi_pass_plans(bpi_pass *pass, int64_t rows, bpi_plan_set **set)
{
    bpi_backend *backend = pass->model->context->backend;
    bpi_plan_set *oldest = &pass->sets[0];
    for (int i = 0; i < BPI_PLAN_SETS; i++) {
        bpi_plan_set *here = &pass->sets[i];
        if (here->rows == rows) {
            here->last_used = ++pass->clock;
            *set = here;
            return BP_STATUS_OK;
        }
        if (here->last_used < oldest->last_used)
            oldest = here;
    }
    release_plans(pass, oldest);
    for (int64_t i = 0; i < pass->model->layer_count; i++) {
        bpi_linear_spec spec = layer_spec(pass, i, rows);
        bp_status status = backend->ops->linear_plan(backend, &spec, &oldest->plans[i]);
        if (status != BP_STATUS_OK) {
            release_plans(pass, oldest);
            return status;
        }
    }
    oldest->rows = rows;
    oldest->last_used = ++pass->clock;
    *set = oldest;
    return BP_STATUS_OK;
}
