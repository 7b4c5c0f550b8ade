/* loops_block_short.h: the loops of loops_block.h where arrays are bf16: a row is expanded, worked on in f32, and what
 * comes out of it rounded once. Included by loops_table.h alone, after that file.
 *
 * scratch: BPI_CPU_BLOCK_SCRATCH rows of `stride` floats of the calling thread. */
#include "kernels/cpu/loops.h"

/* A row of a matrix as a matrix of its own in f32: itself where it is wide, else `to`, into which it is expanded where
 * it is read. No data: none. */
static bpi_matrix wide_row_of(bpi_matrix matrix, bool wide, bool read, int64_t row, float *to)
{
    bpi_matrix one = {NULL, 1, matrix.cols, matrix.cols};
    if (!matrix.data)
        return one;
    one.data = to;
    if (wide)
        one.data = (float *)matrix.data + row * matrix.ld;
    else if (read)
        expand(matrix.cols, (const uint16_t *)matrix.data + row * matrix.ld, to);
    return one;
}

static void shorten_row(bpi_matrix from, bpi_matrix to, int64_t row)
{
    if (to.data)
        shorten(to.cols, from.data, (uint16_t *)to.data + row * to.ld);
}

static void short_block_forward(const bpi_block_args *args, int64_t first, int64_t rows, float *scratch, int64_t stride)
{
    bool layer_norm = args->spec.norm == BP_NORM_LAYER;
    for (int64_t row = first; row < first + rows; ++row) {
        bpi_block_args one = *args;
        one.u = wide_row_of(args->u, args->wide, true, row, scratch);
        one.skip = wide_row_of(args->skip, false, true, row, scratch + stride);
        one.a = wide_row_of(args->a, args->wide, false, row, scratch + 2 * stride);
        one.out = args->out.data == args->a.data ? one.a
                                                 : wide_row_of(args->out, args->wide, false, row, scratch + 3 * stride);
        one.mean = layer_norm ? (float *)args->mean + row : args->mean;
        one.inv_std = layer_norm ? (float *)args->inv_std + row : args->inv_std;
        one.key.first_row += row;
        block_forward_row(&one, 0);
        if (!args->wide) {
            shorten_row(one.a, args->a, row);
            if (args->out.data != args->a.data)
                shorten_row(one.out, args->out, row);
        }
    }
}

/* d_skip is made in the first pass alone. */
static bpi_block_grad_args short_grad_row(const bpi_block_grad_args *args, bool with_skip, int64_t row, float *scratch,
                                          int64_t stride)
{
    bool layer_norm = args->spec.norm == BP_NORM_LAYER;
    bpi_block_grad_args one = *args;
    one.u = wide_row_of(args->u, args->wide, true, row, scratch);
    one.a = wide_row_of(args->a, args->wide, true, row, scratch + stride);
    one.d_out = wide_row_of(args->d_out, false, true, row, scratch + 2 * stride);
    one.d_out_skip = wide_row_of(args->d_out_skip, false, true, row, scratch + 3 * stride);
    one.d_skip = wide_row_of(args->d_skip, false, args->d_skip_accumulate, row, scratch + 4 * stride);
    if (!with_skip)
        one.d_skip.data = NULL;
    one.delta = one.d_out;
    one.mean = layer_norm ? (const float *)args->mean + row : args->mean;
    one.inv_std = layer_norm ? (const float *)args->inv_std + row : args->inv_std;
    one.key.first_row += row;
    return one;
}

/* With batch norm delta is not written: dL/dy is not rounded, but made again by the second pass. */
static void short_block_backward(const bpi_block_grad_args *args, int64_t first, int64_t rows, bpi_cpu_block_sums sums,
                                 float *scratch, int64_t stride)
{
    for (int64_t row = first; row < first + rows; ++row) {
        bpi_block_grad_args one = short_grad_row(args, true, row, scratch, stride);
        block_backward_row(&one, 0, sums);
        shorten_row(one.d_skip, args->d_skip, row);
        if (args->spec.norm != BP_NORM_BATCH)
            shorten_row(one.delta, args->delta, row);
    }
}

static void short_batch_norm_delta(const bpi_block_grad_args *args, int64_t first, int64_t rows,
                                   const float *gamma_mean, const float *beta_mean, float *bias_sums, float *scratch,
                                   int64_t stride)
{
    int64_t cols = args->u.cols;
    float xhat[BLOCK_PIECE];
    for (int64_t row = first; row < first + rows; ++row) {
        bpi_block_grad_args one = short_grad_row(args, false, row, scratch, stride);
        norm_row n = norm_of(one.spec.norm, one.mean, one.inv_std, one.gamma, one.beta, 0);
        dropout_row d = {0};
        if (one.spec.dropout > 0.0f)
            d = dropout_of(&one.spec, &one.key, 0, cols);
        for (int64_t c = 0; c < cols; c += BLOCK_PIECE) {
            gather_piece(&one, 0, c, piece_of(cols, c));
            argument_piece(&one, &n, &d, 0, c, piece_of(cols, c), xhat);
        }
        batch_norm_delta(&one, 0, 1, gamma_mean, beta_mean, bias_sums);
        shorten_row(one.delta, args->delta, row);
    }
}
