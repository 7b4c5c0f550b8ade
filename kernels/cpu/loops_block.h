/* loops_block.h: what a block does after its product: norm, activation, dropout, skip, and back. Included by
 * loops_table.h alone, after loops_elementwise.h.
 *
 * A row is worked on in pieces that stay in the first cache: an array is read and written once, whatever a block is
 * made of. */
#include "kernels/cpu/loops.h"
#include "kernels/math/philox.h"

enum { BLOCK_PIECE = 512, BLOCK_LANES = 8 };

/* ---- dropout ---- */

/* What the elements of one row are multiplied with: 1 / (1 - p) or 0. See bpi_block_spec. */
typedef struct dropout_row {
    uint64_t seed, stream, first_block;
    uint32_t threshold;
    float scale;
} dropout_row;

static dropout_row dropout_of(const bpi_block_spec *spec, const bpi_dropout_key *key, int64_t row, int64_t cols)
{
    double p = (double)spec->dropout;
    dropout_row d = {key->seed, (uint64_t)key->state->step << 16 | key->layer,
                     (uint64_t)(key->first_row + row) * (uint64_t)((cols + 3) / 4), (uint32_t)(p * 0x1p32),
                     (float)(1.0 / (1.0 - p))};
    return d;
}

/* Four neighbours a block; whole blocks are written, so `factors` has room for a multiple of four. */
static void dropout_factors(const dropout_row *d, int64_t first, int64_t count, float *restrict factors)
{
    int64_t blocks = (count + 3) / 4;
    uint64_t begin = d->first_block + (uint64_t)(first / 4);
    float kept = d->scale;
    uint32_t threshold = d->threshold;
#pragma omp simd
    for (int64_t j = 0; j < blocks; ++j) {
        bpi_philox_block block = bpi_philox(d->seed, d->stream, begin + (uint64_t)j);
        factors[4 * j] = block.word[0] >= threshold ? kept : 0.0f;
        factors[4 * j + 1] = block.word[1] >= threshold ? kept : 0.0f;
        factors[4 * j + 2] = block.word[2] >= threshold ? kept : 0.0f;
        factors[4 * j + 3] = block.word[3] >= threshold ? kept : 0.0f;
    }
}

/* ---- statistics ---- */

/* sums and squares of a group's rows about `shift`, per column, in f64: a sum of squares of f32 numbers loses nothing
 * there that f32 could show. */
static void column_moments(int64_t rows, int64_t cols, bpi_cpu_tile u, const float *restrict shift,
                           double *restrict sums, double *restrict squares)
{
    for (int64_t r = 0; r < rows; ++r) {
        const float *in = u.data + r * u.ld;
        for (int64_t o = 0; o < cols; ++o) {
            double c = (double)in[o] - (double)shift[o];
            sums[o] += c;
            squares[o] += c * c;
        }
    }
}

/* The lanes of a sum over a row, in a tree. */
static double add_lanes(const double *lanes)
{
    double half[BLOCK_LANES / 2];
    for (int l = 0; l < BLOCK_LANES / 2; ++l)
        half[l] = lanes[l] + lanes[l + BLOCK_LANES / 2];
    return (half[0] + half[2]) + (half[1] + half[3]);
}

static void row_moments(int64_t cols, const float *u, double epsilon, float *mean, float *inv_std)
{
    double sums[BLOCK_LANES] = {0.0}, squares[BLOCK_LANES] = {0.0};
    double shift = (double)u[0];
    int64_t whole = cols / BLOCK_LANES * BLOCK_LANES;
    for (int64_t o = 0; o < whole; o += BLOCK_LANES)
        for (int l = 0; l < BLOCK_LANES; ++l) {
            double c = (double)u[o + l] - shift;
            sums[l] += c;
            squares[l] += c * c;
        }
    for (int64_t o = whole; o < cols; ++o) {
        double c = (double)u[o] - shift;
        sums[o - whole] += c;
        squares[o - whole] += c * c;
    }
    double count = (double)cols, sum = add_lanes(sums);
    double variance = (add_lanes(squares) - sum * sum / count) / count;
    *mean = (float)(shift + sum / count);
    *inv_std = (float)(1.0 / __builtin_sqrt((variance < 0.0 ? 0.0 : variance) + epsilon));
}

/* ---- norm of a piece of a row ---- */

/* Where the statistics of a row's elements are: one a column, or one for the whole row. */
typedef struct norm_row {
    bp_norm norm;
    const float *mean, *inv_std, *gamma, *beta; /* at the row's first column */
    float row_mean, row_inv_std;
} norm_row;

static norm_row norm_of(bp_norm norm, const void *mean, const void *inv_std, const void *gamma, const void *beta,
                        int64_t row)
{
    norm_row n = {norm, mean, inv_std, gamma, beta, 0.0f, 0.0f};
    if (norm == BP_NORM_LAYER) {
        n.row_mean = n.mean[row];
        n.row_inv_std = n.inv_std[row];
    }
    return n;
}

static void normalise(const norm_row *n, int64_t first, int64_t count, const float *restrict u, float *restrict xhat)
{
    const float *restrict mean = n->mean + first, *restrict inv_std = n->inv_std + first;
    if (n->norm == BP_NORM_LAYER) {
        for (int64_t k = 0; k < count; ++k)
            xhat[k] = (u[k] - n->row_mean) * n->row_inv_std;
        return;
    }
    for (int64_t k = 0; k < count; ++k)
        xhat[k] = (u[k] - mean[k]) * inv_std[k];
}

/* y may be xhat. */
static void scale_and_shift(const norm_row *n, int64_t first, int64_t count, const float *xhat, float *y)
{
    const float *gamma = n->gamma + first, *beta = n->beta + first;
#pragma omp simd
    for (int64_t k = 0; k < count; ++k)
        y[k] = bpi_fmaf(gamma[k], xhat[k], beta[k]);
}

/* ---- forward ---- */

static int64_t piece_of(int64_t cols, int64_t first)
{
    return cols - first < BLOCK_PIECE ? cols - first : BLOCK_PIECE;
}

/* A dropped value is 0 also where it is NaN, in which a product would end. */
static float dropped(float value, float factor)
{
    float product = value * factor;
    return factor != 0.0f ? product : 0.0f;
}

/* out = factors * a + skip, either of them NULL. */
static void finish_piece(int64_t count, const float *a, const float *factors, const float *skip, float *out)
{
    if (factors && skip) {
#pragma omp simd
        for (int64_t k = 0; k < count; ++k)
            out[k] = dropped(a[k], factors[k]) + skip[k];
    } else if (factors) {
#pragma omp simd
        for (int64_t k = 0; k < count; ++k)
            out[k] = dropped(a[k], factors[k]);
    } else if (skip) {
#pragma omp simd
        for (int64_t k = 0; k < count; ++k)
            out[k] = a[k] + skip[k];
    } else if (out != a) {
#pragma omp simd
        for (int64_t k = 0; k < count; ++k)
            out[k] = a[k];
    }
}

static float *row_at(bpi_matrix matrix, int64_t row)
{
    return matrix.data ? (float *)matrix.data + row * matrix.ld : NULL;
}

static void block_forward_row(const bpi_block_args *args, int64_t row)
{
    const bpi_block_spec *spec = &args->spec;
    int64_t cols = args->u.cols;
    float *u = row_at(args->u, row), *a = row_at(args->a, row), *out = row_at(args->out, row);
    const float *skip = row_at(args->skip, row);
    bool drops = args->training && spec->dropout > 0.0f;
    float y[BLOCK_PIECE], factors[BLOCK_PIECE];
    if (spec->norm == BP_NORM_LAYER)
        row_moments(cols, u, spec->norm_epsilon, (float *)args->mean + row, (float *)args->inv_std + row);
    norm_row n = norm_of(spec->norm, args->mean, args->inv_std, args->gamma, args->beta, row);
    dropout_row d = {0};
    if (drops)
        d = dropout_of(spec, &args->key, row, cols);
    for (int64_t first = 0; first < cols; first += BLOCK_PIECE) {
        int64_t count = piece_of(cols, first);
        float *argument = u + first;
        if (spec->norm != BP_NORM_NONE) {
            normalise(&n, first, count, u + first, y);
            scale_and_shift(&n, first, count, y, y);
            argument = y;
        }
        bpi_cpu_tile z = {argument, count}, value = {a + first, count};
        if (spec->activation != BP_ACTIVATION_IDENTITY || argument != a + first)
            forward(spec->activation, spec->slope, 1, count, z, NULL, value);
        if (drops)
            dropout_factors(&d, first, count, factors);
        finish_piece(count, a + first, drops ? factors : NULL, skip ? skip + first : NULL, out + first);
    }
}

static void block_forward(const bpi_block_args *args, int64_t first, int64_t rows)
{
    for (int64_t row = first; row < first + rows; ++row)
        block_forward_row(args, row);
}

/* ---- backward ---- */

/* dL/d out with what skips add to it, into delta; and on to the block that this one's skip comes from. */
static void gather_piece(const bpi_block_grad_args *args, int64_t row, int64_t first, int64_t count)
{
    const float *d_out = row_at(args->d_out, row) + first;
    const float *more = row_at(args->d_out_skip, row);
    float *delta = row_at(args->delta, row) + first, *d_skip = row_at(args->d_skip, row);
    if (more) {
#pragma omp simd
        for (int64_t k = 0; k < count; ++k)
            delta[k] = d_out[k] + more[first + k];
    } else if (delta != d_out) {
#pragma omp simd
        for (int64_t k = 0; k < count; ++k)
            delta[k] = d_out[k];
    }
    if (!d_skip)
        return;
    float *to = d_skip + first;
    if (args->d_skip_accumulate) {
#pragma omp simd
        for (int64_t k = 0; k < count; ++k)
            to[k] += delta[k];
    } else {
#pragma omp simd
        for (int64_t k = 0; k < count; ++k)
            to[k] = delta[k];
    }
}

/* delta from dL/d out to dL/dy, in place; xhat [count] where there is a norm. */
static void argument_piece(const bpi_block_grad_args *args, const norm_row *n, const dropout_row *d, int64_t row,
                           int64_t first, int64_t count, float *xhat)
{
    const bpi_block_spec *spec = &args->spec;
    float *delta = row_at(args->delta, row) + first, *a = row_at(args->a, row) + first;
    float *u = row_at(args->u, row);
    float y[BLOCK_PIECE], factors[BLOCK_PIECE];
    bool from_argument = bpi_activation_saves_z(spec->activation);
    bpi_cpu_tile saved = {a, count}, error = {delta, count};
    if (spec->norm != BP_NORM_NONE)
        normalise(n, first, count, u + first, xhat);
    if (from_argument && spec->norm == BP_NORM_NONE)
        saved.data = u + first;
    if (from_argument && spec->norm != BP_NORM_NONE) {
        scale_and_shift(n, first, count, xhat, y);
        saved.data = y;
    }
    if (spec->dropout > 0.0f) {
        dropout_factors(d, first, count, factors);
#pragma omp simd
        for (int64_t k = 0; k < count; ++k)
            delta[k] = dropped(delta[k], factors[k]);
    }
    if (spec->activation != BP_ACTIVATION_IDENTITY)
        backward(spec->activation, spec->slope, 1, count, saved, error, error, NULL);
}

/* gamma[o] += dL/dy xhat, beta[o] += dL/dy. */
static void add_norm_sums(int64_t count, const float *restrict delta, const float *restrict xhat, float *restrict gamma,
                          float *restrict beta)
{
    for (int64_t k = 0; k < count; ++k) {
        gamma[k] += delta[k] * xhat[k];
        beta[k] += delta[k];
    }
}

/* The two sums of layer norm's backward over a piece, into lanes: sum g and sum g xhat, g = gamma dL/dy. */
static void add_row_sums(int64_t count, const float *restrict delta, const float *restrict xhat,
                         const float *restrict gamma, double *restrict first, double *restrict second)
{
    int64_t whole = count / BLOCK_LANES * BLOCK_LANES;
    for (int64_t k = 0; k < whole; k += BLOCK_LANES)
        for (int l = 0; l < BLOCK_LANES; ++l) {
            double g = (double)gamma[k + l] * (double)delta[k + l];
            first[l] += g;
            second[l] += g * (double)xhat[k + l];
        }
    for (int64_t k = whole; k < count; ++k) {
        double g = (double)gamma[k] * (double)delta[k];
        first[k - whole] += g;
        second[k - whole] += g * (double)xhat[k];
    }
}

/* delta = inv_std (gamma dL/dy - mean - xhat product_mean). */
static void layer_norm_delta(const norm_row *n, int64_t first, int64_t count, const float *restrict xhat, float mean,
                             float product_mean, float *restrict delta)
{
    const float *restrict gamma = n->gamma + first;
    for (int64_t k = 0; k < count; ++k) {
        float g = bpi_fmaf(gamma[k], delta[k], -mean);
        delta[k] = n->row_inv_std * bpi_fmaf(-xhat[k], product_mean, g);
    }
}

static void layer_norm_row(const bpi_block_grad_args *args, const norm_row *n, int64_t row, const double *first_lanes,
                           const double *second_lanes)
{
    int64_t cols = args->u.cols;
    float *delta = row_at(args->delta, row), *u = row_at(args->u, row);
    float xhat[BLOCK_PIECE];
    float mean = (float)(add_lanes(first_lanes) / (double)cols);
    float product_mean = (float)(add_lanes(second_lanes) / (double)cols);
    for (int64_t first = 0; first < cols; first += BLOCK_PIECE) {
        int64_t count = piece_of(cols, first);
        normalise(n, first, count, u + first, xhat);
        layer_norm_delta(n, first, count, xhat, mean, product_mean, delta + first);
    }
}

static void block_backward_row(const bpi_block_grad_args *args, int64_t row, bpi_cpu_block_sums sums)
{
    const bpi_block_spec *spec = &args->spec;
    int64_t cols = args->u.cols;
    float *delta = row_at(args->delta, row), xhat[BLOCK_PIECE];
    double first_lanes[BLOCK_LANES] = {0.0}, second_lanes[BLOCK_LANES] = {0.0};
    norm_row n = norm_of(spec->norm, args->mean, args->inv_std, args->gamma, NULL, row);
    n.beta = args->beta;
    dropout_row d = {0};
    if (spec->dropout > 0.0f)
        d = dropout_of(spec, &args->key, row, cols);
    for (int64_t first = 0; first < cols; first += BLOCK_PIECE) {
        int64_t count = piece_of(cols, first);
        gather_piece(args, row, first, count);
        argument_piece(args, &n, &d, row, first, count, xhat);
        if (spec->norm != BP_NORM_NONE)
            add_norm_sums(count, delta + first, xhat, sums.gamma + first, sums.beta + first);
        if (spec->norm == BP_NORM_LAYER)
            add_row_sums(count, delta + first, xhat, n.gamma + first, first_lanes, second_lanes);
    }
    if (spec->norm == BP_NORM_LAYER)
        layer_norm_row(args, &n, row, first_lanes, second_lanes);
    bpi_cpu_tile errors = {delta, cols};
    if (spec->norm != BP_NORM_BATCH && sums.bias)
        column_sums(1, cols, errors, sums.bias);
}

static void block_backward(const bpi_block_grad_args *args, int64_t first, int64_t rows, bpi_cpu_block_sums sums)
{
    for (int64_t row = first; row < first + rows; ++row)
        block_backward_row(args, row, sums);
}

/* Batch norm's second pass: delta = gamma inv_std (dL/dy - beta_mean - xhat gamma_mean), the means over the batch of
 * dL/dy and of dL/dy xhat. */
static void batch_norm_delta(const bpi_block_grad_args *args, int64_t first, int64_t rows,
                             const float *restrict gamma_mean, const float *restrict beta_mean, float *bias_sums)
{
    const float *restrict mean = args->mean, *restrict inv_std = args->inv_std, *restrict gamma = args->gamma;
    int64_t cols = args->u.cols;
    for (int64_t row = first; row < first + rows; ++row) {
        const float *restrict u = row_at(args->u, row);
        float *restrict delta = row_at(args->delta, row);
        for (int64_t o = 0; o < cols; ++o) {
            float xhat = (u[o] - mean[o]) * inv_std[o];
            float inner = bpi_fmaf(-xhat, gamma_mean[o], delta[o] - beta_mean[o]);
            delta[o] = gamma[o] * inv_std[o] * inner;
        }
        bpi_cpu_tile errors = {delta, cols};
        if (bias_sums)
            column_sums(1, cols, errors, bias_sums);
    }
}
