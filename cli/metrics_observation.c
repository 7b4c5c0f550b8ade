/* metrics_observation.c: an observed step's gradient statistics, by layer: of all tensors of a block the first, which
 * is its weight matrix. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "message.h"
#include "metrics.h"

static int wrong(const metric_line *line, const char *what)
{
    return fail(STATUS_FAILED, "%s, line %lld: %s", line->path, line->number, what);
}

/* The first observation says what the layers are. */
static int take_blocks(metrics *m, metric_line *line, const json_t *layers)
{
    const json_t *layer;
    size_t index;
    json_array_foreach(layers, index, layer)
    {
        void *items = m->blocks;
        metric_block *block = metric_append(&items, &m->block_count, &m->block_room, sizeof *block);
        m->blocks = items;
        if (!block)
            return STATUS_FAILED;
        const char *activation = json_string_value(json_object_get(layer, "activation"));
        *block = (metric_block){.units = metric_whole(line, layer, "units")};
        snprintf(block->activation, sizeof block->activation, "%s", activation ? activation : "?");
    }
    return line->status;
}

static metric_layer *append_layers(metrics *m, metric_line *line, const json_t *layers)
{
    const json_t *layer;
    size_t index, first = m->layer_count;
    json_array_foreach(layers, index, layer)
    {
        void *items = m->layers;
        metric_layer *taken = metric_append(&items, &m->layer_count, &m->layer_room, sizeof *taken);
        m->layers = items;
        if (!taken)
            return NULL;
        *taken = (metric_layer){.norm = (double)NAN,
                                .update_ratio = (double)NAN,
                                .dead = metric_real(line, layer, "dead"),
                                .saturated = metric_real(line, layer, "saturated")};
    }
    return m->layers + first;
}

static int take_tensors(const metrics *m, metric_line *line, const json_t *tensors, metric_layer *layers)
{
    const char *name;
    json_t *tensor;
    int64_t last = 0; /* tensors come block by block, the matrix first */
    json_object_foreach((json_t *)(uintptr_t)tensors, name, tensor)
    {
        int64_t block = metric_whole(line, tensor, "block");
        if (block < 1 || (uint64_t)block > m->block_count)
            return line->status != STATUS_OK ? line->status : wrong(line, "a tensor's 'block' is none of the layers");
        if (block == last)
            continue;
        layers[block - 1].norm = metric_real(line, tensor, "norm");
        layers[block - 1].update_ratio = metric_real(line, tensor, "update_ratio");
        last = block;
    }
    return line->status;
}

int metric_take_observation(metrics *m, metric_line *line)
{
    const json_t *observation = json_object_get(line->json, "observation");
    const json_t *layers = json_object_get(observation, "layers"), *tensors = json_object_get(observation, "tensors");
    if (!json_is_array(layers) || json_array_size(layers) == 0 || !json_is_object(tensors))
        return wrong(line, "an observation must hold 'layers' and 'tensors'");
    if (m->block_count == 0)
        TRY(take_blocks(m, line, layers));
    if (json_array_size(layers) != m->block_count)
        return wrong(line, "the observation is of another network than those before it");
    metric_layer *taken = append_layers(m, line, layers);
    void *items = m->observations;
    metric_observation *o =
        taken ? metric_append(&items, &m->observation_count, &m->observation_room, sizeof *o) : NULL;
    m->observations = items;
    if (!o)
        return STATUS_FAILED;
    *o = (metric_observation){.step = metric_whole(line, line->json, "step"),
                              .epoch = metric_whole(line, line->json, "epoch"),
                              .grad_norm = metric_real(line, observation, "grad_norm"),
                              .clip_factor = metric_real(line, observation, "clip_factor")};
    return take_tensors(m, line, tensors, taken);
}
