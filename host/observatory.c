/* observatory.c: makes and destroys what a trainer that is observed holds: bp_trainer_observe. */
#include "host/observe.h"

enum { SLICE_ALIGNMENT = 256 };

static int64_t counted_units(const bp_model *model)
{
    int64_t units = 0;
    for (int64_t i = 0; i < model->layer_count; i++)
        units += model->layers[i].outputs; /* some more than needed, where an activation has none to count */
    return units;
}

/* The address of the next slice of the memory, and *used moved on; memory NULL only measures. */
static void *cut(void *memory, size_t bytes, size_t *used)
{
    void *slice = memory ? (char *)memory + *used : NULL;
    *used += (size_t)bpi_round_up((int64_t)bytes, SLICE_ALIGNMENT);
    return slice;
}

/* Places everything; with o->memory NULL it only measures. */
static size_t lay_out(const bp_model *model, bpi_observatory *o, bpi_observed_range **ranges)
{
    bpi_backend *backend = model->context->backend;
    o->args.tensors = model->tensor_count;
    o->unit_count = counted_units(model);
    size_t used = 0, tensors = (size_t)o->args.tensors;
    *ranges = cut(o->memory, tensors * sizeof **ranges, &used);
    o->args.sums = cut(o->memory, tensors * sizeof *o->args.sums, &used);
    o->counts = cut(o->memory, (size_t)o->unit_count * sizeof *o->counts, &used);
    o->args.scratch = cut(
        o->memory, backend->ops->observe_scratch_bytes(backend, model->parameter_count, model->tensor_count), &used);
    return used;
}

size_t bpi_observatory_bytes(const bp_model *model)
{
    bpi_observatory measured = {.memory = NULL};
    bpi_observed_range *ranges;
    return lay_out(model, &measured, &ranges);
}

/* The table holds the parameters in the order of their offsets. */
static bp_status upload_ranges(const bp_trainer *trainer, bpi_observed_range *to)
{
    const bp_model *model = trainer->model;
    bpi_backend *backend = trainer->context->backend;
    size_t bytes = (size_t)model->tensor_count * sizeof *to;
    bpi_observed_range *ranges;
    BPI_TRY(bpi_alloc(trainer->context, bytes, "bp_trainer_observe", (void **)&ranges));
    for (int64_t i = 0; i < model->tensor_count; i++) {
        const bpi_tensor *tensor = &model->tensors[i];
        ranges[i] = (bpi_observed_range){tensor->offset, tensor->ld * (tensor->cols ? tensor->rows : 1)};
    }
    bp_status status = backend->ops->upload(backend, ranges, bytes, to);
    bpi_free(trainer->context, ranges, bytes);
    return status;
}

static bp_status build(bp_trainer *trainer, bpi_observatory *o)
{
    const bp_model *model = trainer->model;
    bp_context *context = trainer->context;
    bpi_backend *backend = context->backend;
    bpi_observed_range *ranges;
    o->memory_bytes = lay_out(model, o, &ranges);
    BPI_TRY(backend->ops->allocate(backend, o->memory_bytes, &o->memory));
    lay_out(model, o, &ranges);
    o->args.ranges = ranges;
    BPI_TRY(upload_ranges(trainer, ranges));
    o->results_bytes = sizeof(bpi_step_state) + (size_t)o->args.tensors * sizeof(bpi_tensor_sums) +
                       (size_t)o->unit_count * sizeof(int64_t);
    BPI_TRY(bpi_alloc(context, o->results_bytes, "bp_trainer_observe", &o->results));
    for (int i = 0; backend->ops->readback_create && i < BPI_OBSERVE_RING; i++)
        BPI_TRY(backend->ops->readback_create(backend, o->results_bytes, &o->ring[i].readback));
    BPI_TRY(bpi_alloc(context, (size_t)model->tensor_count * sizeof *o->tensors, "bp_trainer_observe",
                      (void **)&o->tensors));
    BPI_TRY(
        bpi_alloc(context, (size_t)model->layer_count * sizeof *o->layers, "bp_trainer_observe", (void **)&o->layers));
    return bpi_diagnosis_open(trainer, &o->diagnosis);
}

/* Graphs know the memory: they go with it. */
void bpi_observatory_destroy(bp_trainer *trainer)
{
    bpi_observatory *o = trainer->observatory;
    bp_context *context = trainer->context;
    bpi_backend *backend = context->backend;
    if (!o)
        return;
    bpi_step_graphs_release(trainer);
    bpi_diagnosis_close(trainer, &o->diagnosis);
    for (int i = 0; i < BPI_OBSERVE_RING; i++)
        if (o->ring[i].readback)
            backend->ops->readback_destroy(backend, o->ring[i].readback);
    backend->ops->release(backend, o->memory, o->memory_bytes);
    bpi_free(context, o->results, o->results_bytes);
    bpi_free(context, o->tensors, (size_t)trainer->model->tensor_count * sizeof *o->tensors);
    bpi_free(context, o->layers, (size_t)trainer->model->layer_count * sizeof *o->layers);
    bpi_free(context, o, sizeof *o);
    trainer->observatory = NULL;
}

bp_status bp_trainer_observe(bp_trainer *trainer, const bp_observe_options *options)
{
    bp_context *context = trainer ? trainer->context : NULL;
    bp_observe_options resolved = {0};
    if (!trainer)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_trainer_observe: trainer is NULL");
    if (options)
        BPI_TRY(bpi_options_copy(context, "bp_observe_options", options, sizeof resolved, sizeof resolved, &resolved));
    if (resolved.every < 0)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_trainer_observe: every is %lld; it must be at least 1, or 0 for none",
                        (long long)resolved.every);
    BPI_TRY(bpi_observe_deliver(trainer, true));
    bpi_observatory_destroy(trainer);
    if (resolved.every == 0)
        return BP_STATUS_OK;
    BPI_TRY(bpi_alloc(context, sizeof *trainer->observatory, "bp_trainer_observe", (void **)&trainer->observatory));
    trainer->observatory->options = resolved;
    bp_status status = build(trainer, trainer->observatory);
    if (status == BP_STATUS_OK)
        return BP_STATUS_OK;
    bpi_error kept = context->error;
    bpi_observatory_destroy(trainer);
    context->error = kept;
    return status;
}
