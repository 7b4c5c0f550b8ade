/* loss.c: value and error of the losses in one pass; see ops.h. */
#include "benchmarks/ops/ops.h"

static bp_status loss(bpb_arrays *b, bp_loss which)
{
    bool classes = which == BP_LOSS_SOFTMAX_CROSS_ENTROPY;
    bpi_loss_args args = {.loss = which,
                          .huber_delta = 1.0f,
                          .z = b->z.at,
                          .classes = classes ? b->classes : NULL,
                          .targets = b->targets.at,
                          .scale = 1.0 / (double)b->shape.batch,
                          .delta = b->out.at,
                          .d_b = b->d_b.at.data,
                          .state = b->state};
    if (classes)
        args.targets.data = NULL;
    return b->ops->loss(b->backend, &args);
}

static bp_status softmax_cross_entropy(bpb_arrays *b)
{
    return loss(b, BP_LOSS_SOFTMAX_CROSS_ENTROPY);
}

static bp_status bce_with_logits(bpb_arrays *b)
{
    return loss(b, BP_LOSS_BCE_WITH_LOGITS);
}

static bp_status mse(bpb_arrays *b)
{
    return loss(b, BP_LOSS_MSE);
}

static bpb_array out_of(const bpb_arrays *b)
{
    return b->out;
}

const bpb_op bpb_loss_ops[] = {
    {.name = "loss softmax_cross_entropy", .run = softmax_cross_entropy, .result = out_of, .outputs = 2},
    {.name = "loss bce_with_logits", .run = bce_with_logits, .result = out_of, .outputs = 2, .parameters = 1},
    {.name = "loss mse", .run = mse, .result = out_of, .outputs = 2, .parameters = 1},
    {.name = NULL},
};
