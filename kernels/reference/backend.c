/* backend.c: makes the reference backend and lists its operations; what they do is in the files named after them. */
#include "kernels/reference/reference.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *precision_word(bp_precision precision)
{
    switch (precision) {
#define PRECISION_WORD(ENUM, name)                                                                                     \
    case BP_PRECISION_##ENUM:                                                                                          \
        return name;
        BP_PRECISION_LIST(PRECISION_WORD)
#undef PRECISION_WORD
    }
    return "unknown";
}

static bp_status create(const bpi_backend_options *options, bpi_backend **backend)
{
    assert(options && options->allocator.allocate && options->allocator.release && backend);
    *backend = NULL;
    if (options->precision != BP_PRECISION_DEFAULT && options->precision != BP_PRECISION_F64)
        return bpi_fail(options->error, BP_STATUS_UNSUPPORTED,
                        "backend reference: precision %s is not supported, it computes in f64 alone",
                        precision_word(options->precision));
    const bp_allocator *allocator = &options->allocator;
    bpi_reference *reference = allocator->allocate(allocator->user, sizeof *reference, 64);
    if (!reference)
        return bpi_fail(options->error, BP_STATUS_OUT_OF_MEMORY, "backend reference: no memory for %zu bytes",
                        sizeof *reference);
    memset(reference, 0, sizeof *reference);
    reference->backend.ops = bpi_reference_ops();
    reference->backend.error = options->error;
    reference->backend.traits.activation_type = BPI_TYPE_F64;
    reference->backend.traits.parameter_type = BPI_TYPE_F64;
    reference->backend.traits.weight_type = BPI_TYPE_F64;
    reference->backend.traits.alignment = 2;
    snprintf(reference->backend.traits.engine, sizeof reference->backend.traits.engine,
             "textbook loops in double, 1 thread");
    reference->allocator = *allocator;
    *backend = &reference->backend;
    return BP_STATUS_OK;
}

static void destroy(bpi_backend *backend)
{
    if (!backend)
        return;
    bpi_reference *reference = (bpi_reference *)backend;
    bp_allocator allocator = reference->allocator;
    allocator.release(allocator.user, reference, sizeof *reference);
}

/* Every call is done when it returns, so there is nothing to wait for and nothing to order. */
static bp_status nothing_to_order(bpi_backend *backend)
{
    (void)backend;
    return BP_STATUS_OK;
}

static bpi_workspace workspace_bytes(bpi_backend *backend, const bpi_linear_spec *spec, int64_t parameter_count)
{
    (void)backend, (void)spec, (void)parameter_count;
    return (bpi_workspace){0, 0};
}

static bp_status reserve(bpi_backend *backend, bpi_workspace workspace)
{
    (void)backend, (void)workspace;
    return BP_STATUS_OK;
}

const bpi_ops *bpi_reference_ops(void)
{
    static const bpi_ops ops = {
        .version = BPI_OPS_VERSION,
        .struct_size = sizeof(bpi_ops),
        .name = "reference",
        .create = create,
        .destroy = destroy,
        .allocate = bpi_reference_allocate,
        .release = bpi_reference_release,
        .upload = bpi_reference_upload,
        .download = bpi_reference_download,
        .zero = bpi_reference_zero,
        .synchronize = nothing_to_order,
        .lane_fork = nothing_to_order,
        .lane_join = nothing_to_order,
        .workspace_bytes = workspace_bytes,
        .reserve = reserve,
        .load = bpi_reference_load,
        .linear_plan = bpi_reference_linear_plan,
        .linear_unplan = bpi_reference_linear_unplan,
        .linear_forward = bpi_reference_linear_forward,
        .linear_input_grad = bpi_reference_linear_input_grad,
        .linear_weight_grad = bpi_reference_linear_weight_grad,
        .activation_forward = bpi_reference_activation_forward,
        .activation_backward = bpi_reference_activation_backward,
        .activation_derivative = bpi_reference_activation_derivative,
        .hadamard = bpi_reference_hadamard,
        .bias_grad = bpi_reference_bias_grad,
        .step_begin = bpi_reference_step_begin,
        .loss = bpi_reference_loss,
        .update_prepare = bpi_reference_update_prepare,
        .update = bpi_reference_update,
        .observe_units = bpi_reference_observe_units,
        .observe_scratch_bytes = bpi_reference_observe_scratch_bytes,
        .observe_gradients = bpi_reference_observe_gradients,
        .observe_update = bpi_reference_observe_update,
        .block_forward = bpi_reference_block_forward,
        .block_backward = bpi_reference_block_backward,
    };
    return &ops;
}
