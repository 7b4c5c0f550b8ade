/* block.c: what follows the product in a block: norm, activation, dropout and skip, and their gradients.
 *
 * One element after the other; each is read before its place is written, so that a may be u, out may be a and delta
 * d_out. Contract: bpi_block_spec in kernels/ops.h. */
#include "kernels/reference/block.h"

#include <assert.h>

static void same_shape(bpi_matrix matrix, bpi_matrix like)
{
    assert(!matrix.data || (matrix.rows == like.rows && matrix.cols == like.cols && matrix.ld >= matrix.cols));
    (void)matrix, (void)like;
}

bp_status bpi_reference_block_forward(bpi_backend *backend, const bpi_block_args *args)
{
    (void)backend;
    const bpi_block_spec *spec = &args->spec;
    bpi_matrix u = args->u;
    assert(u.data && args->a.data && args->out.data);
    same_shape(args->a, u), same_shape(args->out, u), same_shape(args->skip, u);
    if (spec->norm != BP_NORM_NONE)
        bpi_reference_norm_statistics(args);
    float p = args->training ? spec->dropout : 0.0f;
    for (int64_t b = 0; b < u.rows; ++b)
        for (int64_t o = 0; o < u.cols; ++o) {
            double y = bpi_reference_norm(spec, bpi_reference_row(u, b)[o], args->gamma, args->beta, args->mean,
                                          args->inv_std, b, o);
            double a = bpi_reference_activation(spec->activation, spec->slope, y);
            double factor = bpi_reference_dropout(&args->key, p, u.cols, b, o);
            double skip = args->skip.data ? bpi_reference_row(args->skip, b)[o] : 0.0;
            bpi_reference_row(args->a, b)[o] = a;
            bpi_reference_row(args->out, b)[o] = (factor == 0.0 ? 0.0 : a * factor) + skip;
        }
    return BP_STATUS_OK;
}

/* What the derivative of the activation is taken from: a, or its argument once more. */
static double saved_of(const bpi_block_grad_args *args, int64_t b, int64_t o)
{
    if (!bpi_activation_saves_z(args->spec.activation))
        return bpi_reference_row(args->a, b)[o];
    return bpi_reference_norm(&args->spec, bpi_reference_row(args->u, b)[o], args->gamma, args->beta, args->mean,
                              args->inv_std, b, o);
}

bp_status bpi_reference_block_backward(bpi_backend *backend, const bpi_block_grad_args *args)
{
    const bpi_block_spec *spec = &args->spec;
    bpi_matrix delta = args->delta;
    assert(delta.data && args->d_out.data);
    same_shape(args->d_out, delta), same_shape(args->d_out_skip, delta), same_shape(args->d_skip, delta);
    for (int64_t b = 0; b < delta.rows; ++b)
        for (int64_t o = 0; o < delta.cols; ++o) {
            double d_out = bpi_reference_row(args->d_out, b)[o];
            if (args->d_out_skip.data)
                d_out += bpi_reference_row(args->d_out_skip, b)[o];
            if (args->d_skip.data) {
                double *d_skip = &bpi_reference_row(args->d_skip, b)[o];
                *d_skip = args->d_skip_accumulate ? *d_skip + d_out : d_out;
            }
            double factor = bpi_reference_dropout(&args->key, spec->dropout, delta.cols, b, o);
            double slope = bpi_reference_derivative(spec->activation, spec->slope, saved_of(args, b, o));
            bpi_reference_row(delta, b)[o] = factor == 0.0 ? 0.0 : d_out * factor * slope;
        }
    if (spec->norm != BP_NORM_NONE)
        bpi_reference_norm_backward(backend, args);
    return args->d_b ? bpi_reference_bias_grad(backend, delta, args->accumulate, args->d_b) : BP_STATUS_OK;
}
