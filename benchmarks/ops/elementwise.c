/* elementwise.c: activations, derivatives, products of elements, column sums; see ops.h. */
#include "benchmarks/ops/ops.h"

static bp_status activate(bpb_arrays *b, bp_activation activation)
{
    return b->ops->activation_forward(b->backend, activation, 0.01f, b->z.at, b->a.at);
}

static bp_status forward_relu(bpb_arrays *b)
{
    return activate(b, BP_ACTIVATION_RELU);
}

static bp_status forward_tanh(bpb_arrays *b)
{
    return activate(b, BP_ACTIVATION_TANH);
}

static bp_status forward_gelu(bpb_arrays *b)
{
    return activate(b, BP_ACTIVATION_GELU);
}

/* What is saved is z for those that save it, and serves as a = f(z) for the others: any numbers will do. */
static bp_status derive(bpb_arrays *b, bp_activation activation)
{
    bpi_activation_args args = {.activation = activation,
                                .slope = 0.01f,
                                .saved = b->z.at,
                                .d_a = b->d_a.at,
                                .delta = b->out.at,
                                .d_b = b->d_b.at.data};
    return b->ops->activation_backward(b->backend, &args);
}

static bp_status backward_relu(bpb_arrays *b)
{
    return derive(b, BP_ACTIVATION_RELU);
}

static bp_status backward_tanh(bpb_arrays *b)
{
    return derive(b, BP_ACTIVATION_TANH);
}

static bp_status backward_gelu(bpb_arrays *b)
{
    return derive(b, BP_ACTIVATION_GELU);
}

static bp_status derivative_tanh(bpb_arrays *b)
{
    return b->ops->activation_derivative(b->backend, BP_ACTIVATION_TANH, 0.01f, b->z.at, b->out.at);
}

static bp_status hadamard(bpb_arrays *b)
{
    return b->ops->hadamard(b->backend, b->z.at, b->d_a.at, b->out.at);
}

static bp_status bias_grad(bpb_arrays *b)
{
    return b->ops->bias_grad(b->backend, b->delta.at, false, b->d_b.at.data);
}

static bpb_array a_of(const bpb_arrays *b)
{
    return b->a;
}

static bpb_array out_of(const bpb_arrays *b)
{
    return b->out;
}

static bpb_array d_b_of(const bpb_arrays *b)
{
    return b->d_b;
}

const bpb_op bpb_elementwise_ops[] = {
    {.name = "activation_forward relu", .run = forward_relu, .result = a_of, .outputs = 2},
    {.name = "activation_forward tanh", .run = forward_tanh, .result = a_of, .outputs = 2},
    {.name = "activation_forward gelu", .run = forward_gelu, .result = a_of, .outputs = 2},
    {.name = "activation_backward relu", .run = backward_relu, .result = out_of, .outputs = 3},
    {.name = "activation_backward tanh", .run = backward_tanh, .result = out_of, .outputs = 3},
    {.name = "activation_backward gelu", .run = backward_gelu, .result = out_of, .outputs = 3},
    {.name = "activation_derivative tanh", .run = derivative_tanh, .result = out_of, .outputs = 2},
    {.name = "hadamard", .run = hadamard, .result = out_of, .outputs = 3},
    {.name = "bias_grad", .run = bias_grad, .result = d_b_of, .outputs = 1},
    {.name = NULL},
};
