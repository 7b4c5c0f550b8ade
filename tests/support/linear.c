/* See linear.h. */
#include "support/linear.h"

#include <criterion/criterion.h>
#include <math.h>

bpt_linear_values bpt_linear_random(bpi_type activations, bpi_type parameters, bpt_shape shape, bool bias,
                                    uint64_t seed)
{
    bpt_random random = {seed};
    double reach = 3.0 / sqrt((double)shape.inputs);
    bpt_linear_values values = {0};
    values.x = bpt_uniform(&random, activations, -3.0, 3.0, shape.rows * shape.inputs);
    values.w = bpt_uniform(&random, activations, -reach, reach, shape.outputs * shape.inputs);
    values.bias = bias ? bpt_uniform(&random, parameters, -1.0, 1.0, shape.outputs) : NULL;
    values.delta = bpt_uniform(&random, activations, -1.0, 1.0, shape.rows * shape.outputs);
    return values;
}

static bpt_linear open_layer(bpt_device *device, bpt_shape shape, bp_activation activation, int64_t extra, bool wide,
                             const bpt_linear_values *values)
{
    bpt_linear linear = {.device = device};
    linear.x = bpt_activations(device, shape.rows, shape.inputs, extra, values->x);
    linear.w = bpt_weights(device, shape.outputs, shape.inputs, extra, values->w);
    linear.d_w = bpt_parameters(device, shape.outputs, shape.inputs, extra, values->w);
    linear.bias = bpt_parameters(device, 1, shape.outputs, 1, values->bias);
    linear.z = (wide ? bpt_wide : bpt_activations)(device, shape.rows, shape.outputs, extra, NULL);
    linear.a = (wide ? bpt_wide : bpt_activations)(device, shape.rows, shape.outputs, extra, NULL);
    linear.delta = bpt_activations(device, shape.rows, shape.outputs, extra + 1, values->delta);
    linear.d_x = bpt_activations(device, shape.rows, shape.inputs, extra + 1, NULL);
    linear.spec = (bpi_linear_spec){
        .rows = shape.rows,
        .inputs = shape.inputs,
        .outputs = shape.outputs,
        .ld_x = linear.x.view.ld,
        .ld_w = linear.w.view.ld,
        .ld_a = linear.a.view.ld,
        .ld_d_x = linear.d_x.view.ld,
        .ld_delta = linear.delta.view.ld,
        .bias = values->bias != NULL,
        .activation = activation,
        .slope = bpt_slope,
        .wide = wide,
        .gradients = true,
        .input_grad = true,
    };
    const bpi_ops *ops = device->ops;
    bpi_workspace workspace = ops->workspace_bytes(device->backend, &linear.spec, shape.outputs * linear.w.view.ld);
    bp_status status = ops->reserve(device->backend, workspace);
    cr_assert_eq(status, BP_STATUS_OK, "%s: %s", device->target->name, device->error.text);
    status = ops->linear_plan(device->backend, &linear.spec, &linear.plan);
    cr_assert_eq(status, BP_STATUS_OK, "%s: %s", device->target->name, device->error.text);
    return linear;
}

bpt_linear bpt_linear_open(bpt_device *device, bpt_shape shape, bp_activation activation, int64_t extra,
                           const bpt_linear_values *values)
{
    return open_layer(device, shape, activation, extra, false, values);
}

bpt_linear bpt_linear_open_wide(bpt_device *device, bpt_shape shape, bp_activation activation, int64_t extra,
                                const bpt_linear_values *values)
{
    return open_layer(device, shape, activation, extra, true, values);
}

void bpt_linear_close(bpt_linear *linear)
{
    linear->device->ops->linear_unplan(linear->device->backend, linear->plan);
    bpt_release(&linear->x);
    bpt_release(&linear->w);
    bpt_release(&linear->d_w);
    bpt_release(&linear->bias);
    bpt_release(&linear->z);
    bpt_release(&linear->a);
    bpt_release(&linear->delta);
    bpt_release(&linear->d_x);
}
