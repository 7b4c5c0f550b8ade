/* profile.c: a step, operation by operation: the backend's table is changed for one whose entries do the same and read
 * the clock. Nothing of the step is written twice, and a step that is not profiled pays nothing. The contract is
 * include/backprop/profile.h. */
#include "backprop/profile.h"
#include "host/trainer.h"

/* Stands in for the backend's table: the head is the table, so that an entry finds the rest. */
typedef struct timed_table {
    bpi_ops ops;
    const bpi_ops *real;
    bp_profile *profile;
} timed_table;

typedef struct timed_call {
    timed_table *table;
    const bpi_ops *ops; /* what to call */
    double begin;
} timed_call;

/* While the operation runs the backend has its own table: what it calls itself is a part of it. */
static timed_call begin(bpi_backend *backend)
{
    timed_table *table = (timed_table *)(uintptr_t)backend->ops;
    backend->ops = table->real;
    return (timed_call){table, table->real, bpi_now_seconds()};
}

static bp_status end(bpi_backend *backend, const timed_call *call, bp_status status, double *seconds)
{
    if (status == BP_STATUS_OK)
        status = call->ops->synchronize(backend);
    *seconds += bpi_now_seconds() - call->begin;
    call->table->profile->calls++;
    backend->ops = &call->table->ops;
    return status;
}

/* ---------------------------------------------------------------- the entries that a step calls */

static bp_status load(bpi_backend *backend, const bpi_load_args *args)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->load(backend, args), &call.table->profile->data_s);
}

static bp_status linear_forward(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                const void *bias, void *z, void *a)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->linear_forward(backend, plan, x, w, bias, z, a),
               &call.table->profile->product_s);
}

static bp_status linear_input_grad(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta, const void *w,
                                   void *d_x)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->linear_input_grad(backend, plan, delta, w, d_x),
               &call.table->profile->product_s);
}

static bp_status linear_weight_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                    const void *x, bool accumulate, void *d_w)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->linear_weight_grad(backend, plan, lane, delta, x, accumulate, d_w),
               &call.table->profile->product_s);
}

static bp_status linear_hidden_delta(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                     const void *w, const bpi_activation_args *args)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->linear_hidden_delta(backend, plan, delta, w, args),
               &call.table->profile->product_s);
}

static bp_status linear_forward_mask(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                     const void *bias, void *a, void *mask)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->linear_forward_mask(backend, plan, x, w, bias, a, mask),
               &call.table->profile->product_s);
}

static bp_status linear_weight_bias_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                         const void *x, bool accumulate, void *d_w, void *d_b)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->linear_weight_bias_grad(backend, plan, lane, delta, x, accumulate, d_w, d_b),
               &call.table->profile->product_s);
}

static bp_status activation_forward(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix z,
                                    bpi_matrix a)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->activation_forward(backend, activation, slope, z, a),
               &call.table->profile->elementwise_s);
}

static bp_status activation_backward(bpi_backend *backend, const bpi_activation_args *args)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->activation_backward(backend, args), &call.table->profile->elementwise_s);
}

static bp_status bias_grad(bpi_backend *backend, bpi_matrix delta, bool accumulate, void *d_b)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->bias_grad(backend, delta, accumulate, d_b), &call.table->profile->reduction_s);
}

static bp_status block_forward(bpi_backend *backend, const bpi_block_args *args)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->block_forward(backend, args), &call.table->profile->block_s);
}

static bp_status block_backward(bpi_backend *backend, const bpi_block_grad_args *args)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->block_backward(backend, args), &call.table->profile->block_s);
}

static bp_status loss(bpi_backend *backend, const bpi_loss_args *args)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->loss(backend, args), &call.table->profile->loss_s);
}

static bp_status update_prepare(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients, int64_t count,
                                bpi_step_state *state)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->update_prepare(backend, hyper, gradients, count, state),
               &call.table->profile->reduction_s);
}

static bp_status update(bpi_backend *backend, const bpi_update_args *args)
{
    timed_call call = begin(backend);
    return end(backend, &call, call.ops->update(backend, args), &call.table->profile->update_s);
}

/* ---------------------------------------------------------------- the call */

static timed_table timed(const bpi_ops *real, bp_profile *profile)
{
    timed_table table = {.ops = *real, .real = real, .profile = profile};
    table.ops.load = load;
    table.ops.linear_forward = linear_forward;
    table.ops.linear_input_grad = linear_input_grad;
    table.ops.linear_weight_grad = linear_weight_grad;
    table.ops.linear_hidden_delta = real->linear_hidden_delta ? linear_hidden_delta : NULL;
    table.ops.linear_forward_mask = real->linear_forward_mask ? linear_forward_mask : NULL;
    table.ops.linear_weight_bias_grad = real->linear_weight_bias_grad ? linear_weight_bias_grad : NULL;
    table.ops.activation_forward = activation_forward;
    table.ops.activation_backward = activation_backward;
    table.ops.bias_grad = bias_grad;
    table.ops.block_forward = real->block_forward ? block_forward : NULL;
    table.ops.block_backward = real->block_backward ? block_backward : NULL;
    table.ops.loss = loss;
    table.ops.update_prepare = update_prepare;
    table.ops.update = update;
    table.ops.capture_begin = NULL; /* a recording could not be read op by op */
    return table;
}

bp_status bp_trainer_profile(bp_trainer *trainer, const float *x, const int64_t *classes, const float *targets,
                             int64_t rows, bp_profile *profile)
{
    bp_context *context = trainer ? trainer->context : NULL;
    if (!trainer || !profile)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_trainer_profile: %s is NULL",
                        trainer ? "profile" : "trainer");
    bpi_source source;
    BPI_TRY(bpi_borrow(trainer, "bp_trainer_profile", x, classes, targets, rows, &source));
    bpi_backend *backend = context->backend;
    BPI_TRY(backend->ops->synchronize(backend));
    *profile = (bp_profile){0};
    timed_table table = timed(backend->ops, profile);
    double start = bpi_now_seconds();
    backend->ops = &table.ops;
    bp_status status = bpi_step(trainer, &source, NULL, 0, rows);
    backend->ops = table.real;
    profile->total_s = bpi_now_seconds() - start;
    profile->call_s = profile->total_s - profile->data_s - profile->product_s - profile->elementwise_s -
                      profile->block_s - profile->loss_s - profile->reduction_s - profile->update_s;
    return status;
}
