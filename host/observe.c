/* observe.c: an observed step: the operations that look at it, and the way of their results to the callback. What the
 * figures mean: include/backprop/observe.h; what is made of them: diagnose.c. */
#include "host/observe.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------- inside the step */

bool bpi_observes(const bp_trainer *trainer)
{
    const bpi_observatory *o = trainer->observatory;
    int64_t step = trainer->attempts + 1;
    return o && (step == 1 || step % o->options.every == 0);
}

static bool counts_units(bp_activation activation)
{
    return activation == BP_ACTIVATION_RELU || activation == BP_ACTIVATION_SIGMOID || activation == BP_ACTIVATION_TANH;
}

bp_status bpi_observe_forward(bp_trainer *trainer, int64_t rows, bool accumulate)
{
    const bp_model *model = trainer->model;
    bpi_backend *backend = trainer->context->backend;
    int64_t *counts = trainer->observatory->counts;
    for (int64_t i = 0; i < model->layer_count; i++) {
        const bpi_layer *layer = &model->layers[i];
        const bpi_pass_layer *kept = &trainer->pass->layers[i];
        if (!counts_units(layer->block.activation))
            continue;
        BPI_TRY(backend->ops->observe_units(backend, layer->block.activation,
                                            bpi_view(kept->a, rows, layer->outputs, kept->ld), bpi_is_wide(model, i),
                                            accumulate, counts));
        counts += layer->outputs;
    }
    return BP_STATUS_OK;
}

bp_status bpi_observe_update(bp_trainer *trainer, const bpi_update_args *args)
{
    bpi_backend *backend = trainer->context->backend;
    const bpi_observe_args *observe = &trainer->observatory->args;
    BPI_TRY(backend->ops->observe_gradients(backend, args->hyper, args->gradients, args->count, args->state, observe));
    return backend->ops->observe_update(backend, args, observe);
}

/* ---------------------------------------------------------------- to the host */

typedef struct section {
    const void *source;
    size_t bytes;
} section;

enum { SECTIONS = 3 };

/* What comes back, in this order. */
static void sections_of(const bp_trainer *trainer, section sections[SECTIONS])
{
    const bpi_observatory *o = trainer->observatory;
    sections[0] = (section){trainer->pass->state, sizeof *trainer->pass->state};
    sections[1] = (section){o->args.sums, (size_t)o->args.tensors * sizeof *o->args.sums};
    sections[2] = (section){o->counts, (size_t)o->unit_count * sizeof *o->counts};
}

static bp_status send(bp_trainer *trainer, bpi_readback *readback)
{
    bpi_backend *backend = trainer->context->backend;
    section sections[SECTIONS];
    sections_of(trainer, sections);
    size_t offset = 0;
    for (int i = 0; i < SECTIONS; i++) {
        if (readback)
            BPI_TRY(backend->ops->readback_copy(backend, readback, offset, sections[i].source, sections[i].bytes));
        else
            BPI_TRY(backend->ops->download(backend, sections[i].source, sections[i].bytes,
                                           (char *)trainer->observatory->results + offset));
        offset += sections[i].bytes;
    }
    return readback ? backend->ops->readback_seal(backend, readback) : BP_STATUS_OK;
}

/* ---------------------------------------------------------------- from sums to figures */

static void fill_tensors(const bp_trainer *trainer, const bpi_tensor_sums *sums)
{
    const bp_model *model = trainer->model;
    for (int64_t i = 0; i < model->tensor_count; i++) {
        int64_t index = bpi_tensor_in_file_order(model, i);
        const bpi_tensor *tensor = &model->tensors[index];
        const bpi_tensor_sums *s = &sums[index];
        int64_t elements = bpi_tensor_elements(tensor);
        int64_t padding = tensor->ld * (tensor->cols ? tensor->rows : 1) - elements;
        double weights = sqrt(s->weight_square_sum);
        trainer->observatory->tensors[i] =
            (bp_tensor_observation){.name = tensor->name,
                                    .block = tensor->block + 1,
                                    .elements = elements,
                                    .norm = sqrt(s->square_sum),
                                    .largest = s->largest,
                                    .mean = s->sum / (double)elements,
                                    .zero_share = (double)(s->zeros - padding) / (double)elements,
                                    .nonfinite = s->nonfinite,
                                    .weight_norm = weights,
                                    .update_ratio = weights > 0.0 ? sqrt(s->move_square_sum) / weights : (double)NAN};
    }
}

static bp_layer_observation count_layer(const bpi_layer *layer, int64_t block, const int64_t *counts, int64_t rows)
{
    bool relu = layer->block.activation == BP_ACTIVATION_RELU;
    int64_t all = 0, most = 0, pairs = 0;
    for (int64_t u = 0; u < layer->outputs; u++) {
        pairs += counts[u];
        all += counts[u] == rows;
        most += (double)counts[u] >= 0.9 * (double)rows;
    }
    double units = (double)layer->outputs;
    return (bp_layer_observation){.block = block,
                                  .activation = layer->block.activation,
                                  .units = layer->outputs,
                                  .dead_share = relu ? (double)all / units : (double)NAN,
                                  .saturated_share = relu ? (double)NAN : (double)most / units,
                                  .off_share = (double)pairs / (units * (double)rows)};
}

static void fill_layers(const bp_trainer *trainer, const int64_t *counts, int64_t rows)
{
    const bp_model *model = trainer->model;
    for (int64_t i = 0; i < model->layer_count; i++) {
        const bpi_layer *layer = &model->layers[i];
        bp_layer_observation *seen = &trainer->observatory->layers[i];
        if (!counts_units(layer->block.activation)) {
            *seen = (bp_layer_observation){
                i + 1, layer->block.activation, layer->outputs, (double)NAN, (double)NAN, (double)NAN};
            continue;
        }
        *seen = count_layer(layer, i + 1, counts, rows);
        counts += layer->outputs;
    }
}

/* ---------------------------------------------------------------- telling */

static void tell(bp_trainer *trainer, const void *results, const bpi_observed_step *at)
{
    bpi_observatory *o = trainer->observatory;
    const bpi_step_state *state = results;
    const bpi_tensor_sums *sums = (const void *)(state + 1);
    if (state->held > 0)
        return; /* it will be done again */
    fill_tensors(trainer, sums);
    fill_layers(trainer, (const void *)(sums + o->args.tensors), at->rows);
    bpi_observation seen = {.shown = {.struct_size = sizeof seen.shown,
                                      .step = state->step,
                                      .epoch = at->epoch,
                                      .rows = at->rows,
                                      .loss = state->loss_sum,
                                      .lr = state->lr,
                                      .grad_norm = state->grad_norm,
                                      .clip_factor = state->clip_factor,
                                      .nonfinite = state->nonfinite != 0 || !isfinite(state->grad_norm),
                                      .tensor_count = trainer->model->tensor_count,
                                      .layer_count = trainer->model->layer_count},
                            .tensors = o->tensors,
                            .layers = o->layers};
    bpi_diagnose(trainer, &o->diagnosis, &seen);
    if (o->options.callback)
        o->options.callback(o->options.user, &seen.shown);
}

static bp_status deliver_oldest(bp_trainer *trainer, bool wait, bool *delivered)
{
    bpi_observatory *o = trainer->observatory;
    bpi_backend *backend = trainer->context->backend;
    const bpi_observed_step *at = &o->ring[o->oldest];
    const void *data = o->results;
    if (at->readback)
        BPI_TRY(backend->ops->readback_poll(backend, at->readback, wait, &data));
    *delivered = data != NULL;
    if (!data)
        return BP_STATUS_OK;
    o->oldest = (o->oldest + 1) % BPI_OBSERVE_RING;
    o->pending--;
    tell(trainer, data, at);
    return BP_STATUS_OK;
}

bp_status bpi_observe_deliver(bp_trainer *trainer, bool wait)
{
    bool delivered = true;
    while (trainer->observatory && trainer->observatory->pending > 0 && delivered)
        BPI_TRY(deliver_oldest(trainer, wait, &delivered));
    return BP_STATUS_OK;
}

bp_status bpi_observe_send(bp_trainer *trainer, int64_t rows)
{
    bpi_observatory *o = trainer->observatory;
    bool delivered;
    if (o->pending == BPI_OBSERVE_RING)
        BPI_TRY(deliver_oldest(trainer, true, &delivered));
    bpi_observed_step *at = &o->ring[(o->oldest + o->pending) % BPI_OBSERVE_RING];
    at->epoch = trainer->epoch + 1;
    at->rows = rows;
    BPI_TRY(send(trainer, at->readback));
    o->pending++;
    return bpi_observe_deliver(trainer, false);
}

/* ---------------------------------------------------------------- what the callback asks for */

const bp_tensor_observation *bp_observation_tensor(const bp_observation *observation, int64_t index)
{
    bool there = observation && index >= 0 && index < observation->tensor_count;
    return there ? &((const bpi_observation *)observation)->tensors[index] : NULL;
}

const bp_layer_observation *bp_observation_layer(const bp_observation *observation, int64_t index)
{
    bool there = observation && index >= 0 && index < observation->layer_count;
    return there ? &((const bpi_observation *)observation)->layers[index] : NULL;
}

const bp_warning *bp_observation_warning(const bp_observation *observation, int64_t index)
{
    bool there = observation && index >= 0 && index < observation->warning_count;
    return there ? &((const bpi_observation *)observation)->warnings[index] : NULL;
}
