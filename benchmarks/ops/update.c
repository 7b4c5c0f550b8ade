/* update.c: the global norm, and the optimisers' updates of a whole array of parameters; see ops.h. */
#include "benchmarks/ops/ops.h"

bpi_hyper bpb_hyper_of(bp_optimizer optimizer)
{
    return (bpi_hyper){.optimizer = optimizer,
                       .lr = 1e-6,
                       .momentum = 0.9,
                       .beta1 = 0.9,
                       .beta2 = 0.999,
                       .epsilon = 1e-8,
                       .weight_decay = 0.01,
                       .clip_norm = 1.0};
}

static int64_t count_of(const bpb_arrays *b)
{
    return b->parameters.at.rows * b->parameters.at.ld;
}

static bp_status norm(bpb_arrays *b)
{
    bpi_hyper hyper = bpb_hyper_of(BP_OPTIMIZER_SGD);
    return b->ops->update_prepare(b->backend, &hyper, b->gradients.at.data, count_of(b), b->state);
}

bpi_update_args bpb_update_args_of(bpb_arrays *b, const bpi_hyper *hyper)
{
    return (bpi_update_args){.hyper = hyper,
                             .state = b->state,
                             .count = count_of(b),
                             .decayed = count_of(b),
                             .parameters = b->parameters.at.data,
                             .gradients = b->gradients.at.data,
                             .state1 = b->state1.at.data,
                             .state2 = hyper->optimizer == BP_OPTIMIZER_SGD ? NULL : b->state2.at.data};
}

static bp_status update(bpb_arrays *b, bp_optimizer optimizer)
{
    bpi_hyper hyper = bpb_hyper_of(optimizer);
    bpi_update_args args = bpb_update_args_of(b, &hyper);
    return b->ops->update(b->backend, &args);
}

static bp_status sgd(bpb_arrays *b)
{
    return update(b, BP_OPTIMIZER_SGD);
}

static bp_status prepare_adamw(bpb_arrays *b)
{
    bpi_hyper hyper = bpb_hyper_of(BP_OPTIMIZER_ADAMW);
    return b->ops->update_prepare(b->backend, &hyper, b->gradients.at.data, count_of(b), b->state);
}

static bp_status adamw(bpb_arrays *b)
{
    return update(b, BP_OPTIMIZER_ADAMW);
}

/* One number of the state. */
static bpb_array norm_of(const bpb_arrays *b)
{
    return (bpb_array){{&b->state->grad_norm, 1, 1, 1}, BPI_TYPE_F64};
}

/* Where the weights of products are not the parameters themselves; elsewhere, on the reference, these are what the copy
 * must agree with. */
static bool has_copy(const bpi_ops *ops)
{
    return ops->convert_weights != NULL;
}

static bp_status convert(bpb_arrays *b)
{
    if (!has_copy(b->ops))
        return BP_STATUS_OK;
    return b->ops->convert_weights(b->backend, b->parameters.at.data, count_of(b), b->weights.at.data);
}

static bpb_array copy_of(const bpb_arrays *b)
{
    return has_copy(b->ops) ? b->weights : b->parameters;
}

static bpb_array state1_of(const bpb_arrays *b)
{
    return b->state1;
}

const bpb_op bpb_update_ops[] = {
    {.name = "update_prepare", .run = norm, .result = norm_of, .parameters = 1},
    {.name = "update sgd momentum", .run = sgd, .prepare = norm, .result = state1_of, .parameters = 5},
    {.name = "update adamw", .run = adamw, .prepare = prepare_adamw, .result = state1_of, .parameters = 7},
    {.name = "convert_weights", .run = convert, .result = copy_of, .available = has_copy, .parameters = 1.5},
    {.name = NULL},
};
