/* block.c: norms and dropout, forward and backward; see ops.h. */
#include "benchmarks/ops/ops.h"

static bpi_block_spec spec_of(bp_norm norm, float dropout)
{
    return (bpi_block_spec){
        .activation = BP_ACTIVATION_RELU, .norm = norm, .norm_epsilon = 1e-5, .norm_momentum = 0.1, .dropout = dropout};
}

static bpi_dropout_key key_of(const bpb_arrays *b)
{
    return (bpi_dropout_key){.seed = 1, .layer = 1, .state = b->state};
}

static bp_status forward(bpb_arrays *b, bp_norm norm, float dropout)
{
    bool normed = norm != BP_NORM_NONE, batch = norm == BP_NORM_BATCH;
    bpi_matrix none = {NULL, b->shape.batch, b->shape.outputs, 0};
    bpi_block_args args = {.spec = spec_of(norm, dropout),
                           .training = true,
                           .u = b->z.at,
                           .gamma = normed ? b->gamma.at.data : NULL,
                           .beta = normed ? b->beta.at.data : NULL,
                           .running_mean = batch ? b->running_mean.at.data : NULL,
                           .running_var = batch ? b->running_var.at.data : NULL,
                           .mean = normed ? b->mean.at.data : NULL,
                           .inv_std = normed ? b->inv_std.at.data : NULL,
                           .key = key_of(b),
                           .skip = none,
                           .a = b->a.at,
                           .out = dropout > 0.0f ? b->out.at : b->a.at};
    return b->ops->block_forward(b->backend, &args);
}

static bp_status backward(bpb_arrays *b, bp_norm norm, float dropout)
{
    bool normed = norm != BP_NORM_NONE;
    bpi_matrix none = {NULL, b->shape.batch, b->shape.outputs, 0};
    bpi_block_grad_args args = {.spec = spec_of(norm, dropout),
                                .u = b->z.at,
                                .a = b->a.at,
                                .gamma = normed ? b->gamma.at.data : NULL,
                                .beta = normed ? b->beta.at.data : NULL,
                                .mean = normed ? b->mean.at.data : NULL,
                                .inv_std = normed ? b->inv_std.at.data : NULL,
                                .key = key_of(b),
                                .d_out = b->d_a.at,
                                .d_out_skip = none,
                                .d_skip = none,
                                .delta = b->out.at,
                                .d_gamma = normed ? b->d_gamma.at.data : NULL,
                                .d_beta = normed ? b->d_beta.at.data : NULL,
                                .d_b = b->d_b.at.data};
    return b->ops->block_backward(b->backend, &args);
}

static bp_status forward_bn(bpb_arrays *b)
{
    return forward(b, BP_NORM_BATCH, 0.0f);
}

static bp_status forward_ln(bpb_arrays *b)
{
    return forward(b, BP_NORM_LAYER, 0.0f);
}

static bp_status forward_dropout(bpb_arrays *b)
{
    return forward(b, BP_NORM_NONE, 0.1f);
}

static bp_status backward_bn(bpb_arrays *b)
{
    return backward(b, BP_NORM_BATCH, 0.0f);
}

static bp_status backward_ln(bpb_arrays *b)
{
    return backward(b, BP_NORM_LAYER, 0.0f);
}

static bp_status backward_dropout(bpb_arrays *b)
{
    return backward(b, BP_NORM_NONE, 0.1f);
}

static bpb_array a_of(const bpb_arrays *b)
{
    return b->a;
}

static bpb_array out_of(const bpb_arrays *b)
{
    return b->out;
}

static bool has_blocks(const bpi_ops *ops)
{
    return ops->block_forward && ops->block_backward;
}

const bpb_op bpb_block_ops[] = {
    {.name = "block_forward bn relu", .run = forward_bn, .result = a_of, .available = has_blocks, .outputs = 2},
    {.name = "block_backward bn relu",
     .run = backward_bn,
     .prepare = forward_bn,
     .result = out_of,
     .available = has_blocks,
     .outputs = 3},
    {.name = "block_forward ln relu", .run = forward_ln, .result = a_of, .available = has_blocks, .outputs = 2},
    {.name = "block_backward ln relu",
     .run = backward_ln,
     .prepare = forward_ln,
     .result = out_of,
     .available = has_blocks,
     .outputs = 3},
    {.name = "block_forward dropout relu",
     .run = forward_dropout,
     .result = out_of,
     .available = has_blocks,
     .outputs = 3},
    {.name = "block_backward dropout relu",
     .run = backward_dropout,
     .prepare = forward_dropout,
     .result = out_of,
     .available = has_blocks,
     .outputs = 3},
    {.name = NULL},
};
