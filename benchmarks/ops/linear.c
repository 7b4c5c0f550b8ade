/* linear.c: the products of a layer, and the batch that comes before them; see ops.h. */
#include "benchmarks/ops/ops.h"

static bp_status load(bpb_arrays *b)
{
    bpi_load_args args = {.source = &b->source, .rows = b->shape.batch, .x = b->d_x.at};
    return b->ops->load(b->backend, &args);
}

static bp_status forward(bpb_arrays *b)
{
    return b->ops->linear_forward(b->backend, b->plan, b->x.at.data, b->w.at.data, b->bias.at.data, NULL, b->a.at.data);
}

static bp_status input_grad(bpb_arrays *b)
{
    return b->ops->linear_input_grad(b->backend, b->plan, b->delta.at.data, b->w.at.data, b->d_x.at.data);
}

static bp_status weight_grad(bpb_arrays *b)
{
    return b->ops->linear_weight_grad(b->backend, b->plan, 0, b->delta.at.data, b->x.at.data, false, b->d_w.at.data);
}

/* As its only way: see ops.h, linear_way. */
static bool has_hidden_delta(const bpi_ops *ops)
{
    return ops->linear_hidden_delta && !ops->linear_way;
}

/* The layer below has tanh: its outputs are x. Its bias gradient needs a vector as long as the inputs. */
static bp_status hidden_delta(bpb_arrays *b)
{
    bpi_activation_args args = {.activation = BP_ACTIVATION_TANH,
                                .saved = b->x.at,
                                .d_a = b->d_x.at,
                                .delta = b->d_x.at,
                                .d_b = b->mean.at.data};
    if (has_hidden_delta(b->ops))
        return b->ops->linear_hidden_delta(b->backend, b->plan, b->delta.at.data, b->w.at.data, &args);
    BPI_TRY(input_grad(b)); /* what it stands for, on the reference */
    return b->ops->activation_backward(b->backend, &args);
}

static bpb_array a_of(const bpb_arrays *b)
{
    return b->a;
}

static bpb_array d_x_of(const bpb_arrays *b)
{
    return b->d_x;
}

static bpb_array d_w_of(const bpb_arrays *b)
{
    return b->d_w;
}

const bpb_op bpb_linear_ops[] = {
    {.name = "load", .run = load, .result = d_x_of, .inputs = 2},
    {.name = "linear_forward relu",
     .run = forward,
     .result = a_of,
     .products = 1,
     .inputs = 1,
     .outputs = 1,
     .weights = 1},
    {.name = "linear_input_grad",
     .run = input_grad,
     .result = d_x_of,
     .products = 1,
     .inputs = 1,
     .outputs = 1,
     .weights = 1},
    {.name = "linear_weight_grad",
     .run = weight_grad,
     .result = d_w_of,
     .products = 1,
     .inputs = 1,
     .outputs = 1,
     .weights = 1},
    {.name = "linear_hidden_delta tanh",
     .run = hidden_delta,
     .result = d_x_of,
     .available = has_hidden_delta,
     .products = 1,
     .inputs = 2,
     .outputs = 1,
     .weights = 1},
    {.name = NULL},
};
