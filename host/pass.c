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

bpi_linear_spec bpi_layer_spec(const bpi_pass *pass, int64_t index, int64_t rows, const unsigned *ways)
{
    const bp_model *model = pass->model;
    const bpi_layer *layer = &model->layers[index], *below = index > 0 ? &model->layers[index - 1] : NULL;
    bool runs = pass->gradients && below && !below->in_steps;
    return (bpi_linear_spec){.rows = rows,
                             .inputs = layer->inputs,
                             .outputs = layer->outputs,
                             .ld_x = index ? pass->layers[index - 1].ld : pass->ld_x,
                             .ld_w = model->tensors[layer->weight].ld,
                             .ld_a = pass->layers[index].ld,
                             .ld_d_x = index ? pass->layers[index - 1].error_ld : pass->ld_x,
                             .ld_delta = pass->layers[index].error_ld,
                             .bias = layer->bias >= 0 && !bpi_block_adds_bias(pass, layer),
                             .activation = layer->in_steps ? BP_ACTIVATION_IDENTITY : layer->block.activation,
                             .slope = layer->block.slope,
                             .wide = bpi_is_wide(model, index),
                             .gradients = pass->gradients,
                             .input_grad = pass->gradients && index > 0,
                             .ways = ways[index],
                             .keeps_mask = bpi_keeps_mask(model, index, ways),
                             .below_runs = runs,
                             .below = runs ? below->block.activation : BP_ACTIVATION_IDENTITY,
                             .below_bias = runs && below->bias >= 0 && !bpi_goes(ways[index - 1], BPI_WAY_BIAS)};
}

/* ---------------------------------------------------------------- memory */

static size_t activation_bytes(const bpi_pass *pass)
{
    return bpi_type_bytes(pass->model->context->backend->traits.activation_type);
}

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

/* Arrays of a pass that are as wide as the widest layer and serve all layers in turn. */
typedef struct shared_arrays {
    void *turns[2], *scratch[2];
} shared_arrays;

/* Without gradients, nothing outlives the next layer but what a skip fetches: outputs take turns unless there are
 * skips. */
static bp_status place_for_evaluation(bpi_pass *pass, int64_t index, bool skips, const shared_arrays *shared,
                                      size_t *used)
{
    const bpi_layer *layer = &pass->model->layers[index];
    bpi_pass_layer *kept = &pass->layers[index];
    double count = (double)pass->rows * (double)kept->ld;
    size_t element = bpi_type_bytes(bpi_output_type(pass->model, index));
    bool wider = element > activation_bytes(pass);
    kept->out = shared->turns[index & 1];
    if (skips || wider)
        BPI_TRY(cut(pass, count, element, used, &kept->out));
    kept->a = layer->in_steps ? shared->scratch[1] : kept->out;
    kept->u = layer->in_steps ? shared->scratch[0] : NULL;
    kept->z = layer->saves_z ? shared->scratch[0] : NULL;
    if (!wider)
        return BP_STATUS_OK;
    if (layer->in_steps) {
        BPI_TRY(cut(pass, count, element, used, &kept->u));
        BPI_TRY(cut(pass, count, element, used, &kept->a));
    }
    return layer->saves_z ? cut(pass, count, element, used, &kept->z) : BP_STATUS_OK;
}

/* With gradients, each layer keeps its own. */
static bp_status place_for_training(bpi_pass *pass, int64_t index, size_t *used)
{
    const bpi_layer *layer = &pass->model->layers[index];
    bpi_pass_layer *kept = &pass->layers[index];
    double count = (double)pass->rows * (double)kept->ld;
    size_t element = bpi_type_bytes(bpi_output_type(pass->model, index));
    BPI_TRY(cut(pass, count, element, used, &kept->a));
    if (layer->saves_z)
        BPI_TRY(cut(pass, count, element, used, &kept->z));
    if (bpi_goes(pass->wish.all, BPI_WAY_DELTA) && index + 1 < pass->model->layer_count && !layer->in_steps &&
        layer->block.activation == BP_ACTIVATION_RELU)
        BPI_TRY(cut(pass, (double)bpi_mask_bytes(pass->rows, layer->outputs), 1, used, &kept->mask));
    kept->out = kept->u = kept->a;
    if (layer->block.dropout > 0.0f || layer->skip_source >= 0)
        BPI_TRY(cut(pass, count, element, used, &kept->out));
    if (layer->block.norm != BP_NORM_NONE || bpi_activation_saves_z(layer->block.activation))
        BPI_TRY(cut(pass, layer->in_steps ? count : 0.0, element, used, &kept->u));
    if (layer->feeds_skip)
        BPI_TRY(cut(pass, count, activation_bytes(pass), used, &kept->skip_grad));
    return BP_STATUS_OK;
}

static bp_status place_norm(bpi_pass *pass, int64_t index, size_t *used)
{
    const bpi_layer *layer = &pass->model->layers[index];
    bpi_pass_layer *kept = &pass->layers[index];
    if (layer->block.norm == BP_NORM_NONE)
        return BP_STATUS_OK;
    size_t element = bpi_type_bytes(pass->model->context->backend->traits.parameter_type);
    double count = layer->block.norm == BP_NORM_BATCH ? (double)layer->outputs : (double)pass->rows;
    BPI_TRY(cut(pass, count, element, used, &kept->mean));
    return cut(pass, count, element, used, &kept->inv_std);
}

static bool has_skips(const bp_model *model)
{
    bool any = false;
    for (int64_t i = 0; i < model->layer_count; i++)
        any = any || model->layers[i].skip_source >= 0;
    return any;
}

/* widest: the largest error_ld and ld. */
static bp_status cut_layers(bpi_pass *pass, int64_t widest, size_t *used)
{
    const bp_model *model = pass->model;
    shared_arrays shared = {{NULL, NULL}, {NULL, NULL}};
    void **shared_slices[4] = {&shared.turns[0], &shared.turns[1], &shared.scratch[0], &shared.scratch[1]};
    double most = (double)pass->rows * (double)widest;
    bool skips = has_skips(model);
    for (int i = 0; !pass->gradients && i < 4; i++)
        BPI_TRY(cut(pass, most, activation_bytes(pass), used, shared_slices[i]));
    for (int64_t i = 0; i < model->layer_count; i++) {
        if (pass->gradients)
            BPI_TRY(place_for_training(pass, i, used));
        else
            BPI_TRY(place_for_evaluation(pass, i, skips, &shared, used));
        BPI_TRY(place_norm(pass, i, used));
    }
    for (int i = 0; pass->gradients && i < 2; i++)
        BPI_TRY(cut(pass, most, activation_bytes(pass), used, &pass->delta[i]));
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
        bpi_pass_layer *layer = &pass->layers[i];
        layer->ld = bpi_leading_dimension(backend, model->layers[i].outputs);
        layer->error_ld = bpi_error_ld(backend, model->layers[i].outputs);
        widest = layer->ld > widest ? layer->ld : widest;
        widest = layer->error_ld > widest ? layer->error_ld : widest;
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
    if (pass->gradients && model->has_batch_norm)
        BPI_TRY(cut(pass, (double)(model->array_count - model->parameter_count), bpi_type_bytes(traits->parameter_type),
                    &used, &pass->running));
    pass->bytes = used;
    return BP_STATUS_OK;
}

/* On all ways that are wished for: which of them are gone is known later, and differs with the rows. */
static bpi_workspace workspace_bytes(bpi_pass *pass, int64_t rows)
{
    bpi_backend *backend = pass->model->context->backend;
    bpi_workspace most = {0, 0};
    for (int64_t i = 0; i < pass->model->layer_count; i++) {
        bpi_linear_spec spec = bpi_layer_spec(pass, i, rows, pass->sets[0].ways);
        spec.ways = pass->wish.all;
        bpi_workspace one = backend->ops->workspace_bytes(backend, &spec, pass->model->parameter_count);
        most.bytes = one.bytes > most.bytes ? one.bytes : most.bytes;
        most.weight_bytes = one.weight_bytes > most.weight_bytes ? one.weight_bytes : most.weight_bytes;
    }
    return most;
}

/* ---------------------------------------------------------------- life */

static bp_status take_wish(bpi_pass *pass, const bpi_wish *wish)
{
    size_t bytes = (size_t)pass->model->layer_count * sizeof *pass->wish.each;
    pass->wish = (bpi_wish){.all = wish ? wish->all : 0};
    if (!wish || !wish->chosen)
        return BP_STATUS_OK;
    return bpi_alloc(pass->model->context, bytes, "pass", (void **)&pass->wish.each); /* zeros: all plain */
}

/* The struct and its small host arrays, laid out, without the block of memory. */
static bp_status make_frame(bp_model *model, int64_t rows, bool gradients, const bpi_wish *wish, bpi_pass **pass)
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
    for (int i = 0; i < BPI_PLAN_SETS; i++) {
        bpi_plan_set *set = &made->sets[i];
        size_t count = (size_t)model->layer_count;
        BPI_TRY(bpi_alloc(context, count * sizeof *set->plans, "pass", (void **)&set->plans));
        BPI_TRY(bpi_alloc(context, count * sizeof *set->ways, "pass", (void **)&set->ways));
    }
    BPI_TRY(take_wish(made, wish));
    return lay_out(made);
}

bp_status bpi_pass_plan(bp_model *model, int64_t rows, bool gradients, const bpi_wish *wish, bpi_pass_bytes *bytes)
{
    bpi_pass *pass;
    bp_status status = make_frame(model, rows, gradients, wish, &pass);
    if (status == BP_STATUS_OK)
        *bytes = (bpi_pass_bytes){pass->bytes, workspace_bytes(pass, pass->rows)};
    bpi_pass_destroy(pass);
    return status;
}

/* What a training pass holds grows with its rows, all but some hundred bytes: says how many of them would fit. */
static bp_status explain_rows(bpi_pass *pass, bp_status status)
{
    bp_context *context = pass->model->context;
    bpi_backend *backend = context->backend;
    bpi_error kept = context->error;
    size_t free_bytes;
    if (status != BP_STATUS_OUT_OF_MEMORY || !pass->gradients || !backend->ops->memory_free)
        return status;
    if (backend->ops->memory_free(backend, &free_bytes) != BP_STATUS_OK || free_bytes >= pass->bytes) {
        context->error = kept;
        return status;
    }
    double rows = (double)pass->rows * (double)free_bytes / (double)pass->bytes;
    return BPI_FAIL(context, status, "%.600s: of %lld samples at a time at most %lld would fit", kept.text,
                    (long long)pass->rows, (long long)rows);
}

static bp_status fill_frame(bpi_pass *pass)
{
    bpi_backend *backend = pass->model->context->backend;
    bp_status status = backend->ops->allocate(backend, pass->bytes, &pass->memory);
    BPI_TRY(explain_rows(pass, status));
    BPI_TRY(lay_out(pass));
    bpi_plan_set *set;
    return bpi_pass_plans(pass, pass->rows, &set);
}

bp_status bpi_pass_create(bp_model *model, int64_t rows, bool gradients, const bpi_wish *wish, bpi_pass **pass)
{
    bp_status status = make_frame(model, rows, gradients, wish, pass);
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
        bpi_free(model->context, pass->sets[i].ways, (size_t)model->layer_count * sizeof *pass->sets[i].ways);
    }
    bpi_free(model->context, pass->wish.each, (size_t)model->layer_count * sizeof *pass->wish.each);
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
    BPI_TRY(backend->ops->reserve(backend, workspace_bytes(pass, rows))); /* fewer rows may need more */
    BPI_TRY(bpi_ways_choose(pass, rows, oldest->ways));
    for (int64_t i = 0; i < pass->model->layer_count; i++) {
        bpi_linear_spec spec = bpi_layer_spec(pass, i, rows, oldest->ways);
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

bp_status bpi_pass_replan(bpi_pass *pass)
{
    bpi_plan_set *set;
    for (int i = 0; i < BPI_PLAN_SETS; i++)
        release_plans(pass, &pass->sets[i]);
    return bpi_pass_plans(pass, pass->rows, &set);
}
