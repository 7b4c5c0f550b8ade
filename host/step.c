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
                            .whole = trainer->model->array_count,
                            .running = trainer->pass->running,
                            .average = trainer->average,
                            .weights = bpi_has_weight_copy(trainer->model) ? trainer->model->weights : NULL};
    if (observes)
        return bpi_observe_update(trainer, &args);
    BPI_TRY(backend->ops->update_prepare(backend, &trainer->hyper, trainer->gradients, args.count, args.state));
    return backend->ops->update(backend, &args);
}

/* Running values are moved in a copy, which the update takes over: a step that is skipped leaves them as they were. */
static bp_status begin(bp_trainer *trainer, const bpi_part *part)
{
    const bp_model *model = trainer->model;
    bpi_pass *pass = trainer->pass;
    bpi_backend *backend = trainer->context->backend;
    size_t element = bpi_type_bytes(backend->traits.parameter_type);
    bpi_running running = {.kept = (char *)model->parameters + (size_t)model->parameter_count * element,
                           .moved = pass->running,
                           .count = model->array_count - model->parameter_count,
                           .passes = (part->samples + pass->rows - 1) / pass->rows};
    bool moves = part->updates && model->has_batch_norm;
    return backend->ops->step_begin(backend, pass->state, moves ? &running : NULL);
}

bp_status bpi_part_body(bp_trainer *trainer, const bpi_plan_set *set, const bpi_part *part)
{
    bpi_pass *pass = trainer->pass;
    bpi_targets targets = {part->classes, part->samples};
    if (part->first_row == 0)
        BPI_TRY(begin(trainer, part));
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

static void count_batches(bp_trainer *trainer, int64_t count)
{
    bp_model *model = trainer->model;
    trainer->batches += count;
    for (int64_t i = 0; i < model->layer_count; i++)
        model->layers[i].batches_tracked += model->layers[i].running_mean >= 0 ? count : 0;
}

bp_status bpi_trainer_state(bp_trainer *trainer, bpi_step_state *state)
{
    bpi_backend *backend = trainer->context->backend;
    BPI_TRY(backend->ops->download(backend, trainer->pass->state, sizeof *state, state));
    if (trainer->model->has_batch_norm)
        count_batches(trainer, state->batches - trainer->batches);
    return BP_STATUS_OK;
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
        if (pass->moves_running)
            count_batches(trainer, 1); /* as if none were skipped: what the device says is heard later */
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
