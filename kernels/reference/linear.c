/* linear.c: z = x w^T + b and its two gradients as three nested loops. A plan is the shapes, nothing more.
 * The contract: kernels/ops.h; the derivation: docs/numerics.md. */
#include "kernels/reference/reference.h"

#include <assert.h>

bp_status bpi_reference_linear_plan(bpi_backend *backend, const bpi_linear_spec *spec, bpi_linear_plan **plan)
{
    assert(spec->rows >= 1 && spec->inputs >= 1 && spec->outputs >= 1);
    assert(spec->ld_x >= spec->inputs && spec->ld_w >= spec->inputs && spec->ld_a >= spec->outputs);
    assert(!spec->gradients || (spec->ld_d_x >= spec->inputs && spec->ld_delta >= spec->outputs));
    const bp_allocator *allocator = &((bpi_reference *)backend)->allocator;
    *plan = allocator->allocate(allocator->user, sizeof **plan, 64);
    if (!*plan)
        return bpi_fail(backend->error, BP_STATUS_OUT_OF_MEMORY,
                        "linear_plan: no memory for %zu bytes on backend reference", sizeof **plan);
    (*plan)->spec = *spec;
    return BP_STATUS_OK;
}

void bpi_reference_linear_unplan(bpi_backend *backend, bpi_linear_plan *plan)
{
    const bp_allocator *allocator = &((bpi_reference *)backend)->allocator;
    if (plan)
        allocator->release(allocator->user, plan, sizeof *plan);
}

bp_status bpi_reference_linear_forward(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                       const void *bias, void *z, void *a)
{
    (void)backend;
    const bpi_linear_spec *spec = &plan->spec;
    assert(x && w && a && !bias == !spec->bias);
    for (int64_t b = 0; b < spec->rows; ++b) {
        const double *x_row = (const double *)x + b * spec->ld_x;
        for (int64_t o = 0; o < spec->outputs; ++o) {
            const double *w_row = (const double *)w + o * spec->ld_w;
            double sum = 0.0;
            for (int64_t i = 0; i < spec->inputs; ++i)
                sum += x_row[i] * w_row[i];
            if (bias)
                sum += ((const double *)bias)[o];
            int64_t at = b * spec->ld_a + o;
            if (z)
                ((double *)z)[at] = sum;
            ((double *)a)[at] = bpi_reference_activation(spec->activation, spec->slope, sum);
        }
    }
    return BP_STATUS_OK;
}

bp_status bpi_reference_linear_input_grad(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                          const void *w, void *d_x)
{
    (void)backend;
    const bpi_linear_spec *spec = &plan->spec;
    assert(delta && w && d_x);
    for (int64_t b = 0; b < spec->rows; ++b) {
        const double *delta_row = (const double *)delta + b * spec->ld_delta;
        for (int64_t i = 0; i < spec->inputs; ++i) {
            double sum = 0.0;
            for (int64_t o = 0; o < spec->outputs; ++o)
                sum += delta_row[o] * ((const double *)w)[o * spec->ld_w + i];
            ((double *)d_x)[b * spec->ld_d_x + i] = sum;
        }
    }
    return BP_STATUS_OK;
}

bp_status bpi_reference_linear_weight_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane,
                                           const void *delta, const void *x, bool accumulate, void *d_w)
{
    (void)backend, (void)lane;
    const bpi_linear_spec *spec = &plan->spec;
    assert(delta && x && d_w);
    for (int64_t o = 0; o < spec->outputs; ++o) {
        for (int64_t i = 0; i < spec->inputs; ++i) {
            double *element = (double *)d_w + o * spec->ld_w + i;
            double sum = 0.0;
            for (int64_t b = 0; b < spec->rows; ++b)
                sum += ((const double *)delta)[b * spec->ld_delta + o] * ((const double *)x)[b * spec->ld_x + i];
            *element = accumulate ? *element + sum : sum;
        }
    }
    return BP_STATUS_OK;
}
