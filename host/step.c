/* step.c: the whole training step on one page.
 *
 * A batch is walked in parts of at most options.batch rows (fewer where the backend wants them); the gradients of the
 * parts add up (1/m is in the loss, m being the samples of all parts), so that accumulation, memory and cache need one
 * mechanism. Nothing here allocates, waits for the device, or reads back. */
#include "host/observe.h"

static bp_status load(bp_trainer *trainer, const bpi_source *source, const int64_t *index, int64_t first, int64_t rows)
{
    double begin = bpi_now_seconds();
    bp_status status = bpi_pass_load(trainer->pass, source, index, first, rows);
    trainer->data_seconds += bpi_now_seconds() - begin;
    return status;
}

static bp_status update(bp_trainer *trainer, bool observes)
{
    bpi_backend *backend = trainer->context->backend;
    bpi_update_args args = {.hyper = &trainer->hyper,
                            .state = trainer->pass->state,
                            .count = trainer->model->parameter_count,
                            .decayed = trainer->options.decay_all ? trainer->model->parameter_count
                                                                  : trainer->model->weight_count,
                            .parameters = trainer->model->parameters,
                            .gradients = trainer->gradients,
                            .state1 = trainer->state1,
                            .state2 = trainer->state2,
                            .average = trainer->average,
                            .averaged = trainer->model->array_count,
                            .weights = bpi_has_weight_copy(trainer->model) ? trainer->model->weights : NULL};
    if (observes)
        return bpi_observe_update(trainer, &args);
    BPI_TRY(backend->ops->update_prepare(backend, &trainer->hyper, trainer->gradients, args.count, args.state));
    return backend->ops->update(backend, &args);
}

bp_status bpi_part_body(bp_trainer *trainer, const bpi_plan_set *set, const bpi_part *part)
{
    bpi_pass *pass = trainer->pass;
    bpi_backend *backend = trainer->context->backend;
    bpi_targets targets = {part->classes, part->samples};
    if (part->first_row == 0)
        BPI_TRY(backend->ops->step_begin(backend, pass->state));
    BPI_TRY(bpi_forward(pass, set));
    if (part->observes)
        BPI_TRY(bpi_observe_forward(trainer, part->rows, part->first_row > 0));
    BPI_TRY(bpi_backward(pass, set, targets, (bpi_gradient_sink){trainer->gradients, part->first_row > 0}));
    return part->last && part->updates ? update(trainer, part->observes) : BP_STATUS_OK;
}

/* What tells a part from others of a step, besides its size: only dropout knows which rows it has. So that a batch in
 * many parts needs no more than a few graphs. */
static int64_t part_place(const bp_model *model, int64_t first_row)
{
    for (int64_t i = 0; i < model->layer_count; i++)
        if (model->layers[i].block.dropout > 0.0f)
            return first_row;
    return first_row > 0;
}

/* The batches that running values have followed: here, as a step that is replayed calls no operation. */
static void count_batch(bpi_pass *pass)
{
    for (int64_t i = 0; pass->moves_running && i < pass->model->layer_count; i++)
        pass->model->layers[i].batches_tracked += pass->model->layers[i].running_mean >= 0;
}

static bp_status walk(bp_trainer *trainer, const bpi_source *source, const int64_t *index, int64_t first, int64_t rows,
                      bool updates)
{
    bpi_pass *pass = trainer->pass;
    bool observes = updates && bpi_observes(trainer);
    for (int64_t done = 0; done < rows; done += pass->rows) {
        int64_t here = rows - done < pass->rows ? rows - done : pass->rows;
        bpi_part part = {.rows = here,
                         .samples = rows,
                         .first_row = part_place(trainer->model, done),
                         .classes = bpi_uses_classes(trainer->model, source),
                         .last = done + here == rows,
                         .updates = updates,
                         .observes = observes};
        bpi_plan_set *set;
        BPI_TRY(bpi_pass_plans(pass, here, &set));
        BPI_TRY(load(trainer, source, index ? index + done : NULL, first + done, here));
        pass->first_row = done;
        BPI_TRY(bpi_part_run(trainer, set, &part));
        count_batch(pass);
    }
    trainer->last_rows = rows;
    trainer->attempts += updates;
    return observes ? bpi_observe_send(trainer, rows) : bpi_observe_deliver(trainer, false);
}

bp_status bpi_step_gradients(bp_trainer *trainer, const bpi_source *source, const int64_t *index, int64_t first,
                             int64_t rows)
{
    return walk(trainer, source, index, first, rows, false);
}

bp_status bpi_step(bp_trainer *trainer, const bpi_source *source, const int64_t *index, int64_t first, int64_t rows)
{
    trainer->pass->moves_running = true;
    bp_status status = walk(trainer, source, index, first, rows, true);
    trainer->pass->moves_running = false;
    return status;
}
