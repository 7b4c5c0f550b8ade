/* step_graph.c: what a step does after a batch was loaded, as one graph: recorded once for each kind of part that comes
 * up, and launched from then on. Backends that record nothing run the operations as they are called. */
#include "host/trainer.h"

static bool same(const bpi_part *a, const bpi_part *b)
{
    return a->rows == b->rows && a->samples == b->samples && a->first_row == b->first_row && a->classes == b->classes &&
           a->last == b->last && a->updates == b->updates && a->observes == b->observes;
}

/* The place of this kind of part; the least recently used one makes room. */
static bpi_step_graph *find(bp_trainer *trainer, const bpi_part *part)
{
    bpi_backend *backend = trainer->context->backend;
    bpi_step_graph *oldest = &trainer->graphs[0];
    for (int i = 0; i < BPI_STEP_GRAPHS; i++) {
        bpi_step_graph *here = &trainer->graphs[i];
        if (here->runs > 0 && same(&here->part, part)) {
            here->last_used = ++trainer->graph_clock;
            return here;
        }
        if (here->last_used < oldest->last_used)
            oldest = here;
    }
    if (oldest->graph)
        backend->ops->graph_release(backend, oldest->graph);
    *oldest = (bpi_step_graph){.part = *part, .last_used = ++trainer->graph_clock};
    return oldest;
}

/* The capture is ended also where an operation failed; then the first error is kept. */
static bp_status record(bp_trainer *trainer, const bpi_plan_set *set, bpi_step_graph *place)
{
    bpi_backend *backend = trainer->context->backend;
    void *graph = NULL;
    BPI_TRY(backend->ops->capture_begin(backend));
    bp_status status = bpi_part_body(trainer, set, &place->part);
    bpi_error error = trainer->context->error;
    bp_status ended = backend->ops->capture_end(backend, &graph);
    if (status == BP_STATUS_OK && ended == BP_STATUS_OK) {
        place->graph = graph;
        return BP_STATUS_OK;
    }
    if (graph)
        backend->ops->graph_release(backend, graph);
    if (status != BP_STATUS_OK)
        trainer->context->error = error;
    return status != BP_STATUS_OK ? status : ended;
}

/* The first time the operations are called: libraries allocate and load code at their first call, which no capture
 * allows. */
bp_status bpi_part_run(bp_trainer *trainer, const bpi_plan_set *set, const bpi_part *part)
{
    bpi_backend *backend = trainer->context->backend;
    bpi_step_graph *place = backend->ops->capture_begin ? find(trainer, part) : NULL;
    if (!place || place->runs++ == 0)
        return bpi_part_body(trainer, set, part);
    if (!place->graph)
        BPI_TRY(record(trainer, set, place));
    return backend->ops->graph_launch(backend, place->graph);
}

void bpi_step_graphs_release(bp_trainer *trainer)
{
    bpi_backend *backend = trainer->context->backend;
    for (int i = 0; i < BPI_STEP_GRAPHS; i++) {
        if (!trainer->graphs[i].graph)
            continue;
        (void)backend->ops->synchronize(backend);
        backend->ops->graph_release(backend, trainer->graphs[i].graph);
        trainer->graphs[i] = (bpi_step_graph){.graph = NULL};
    }
}
