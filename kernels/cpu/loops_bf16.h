/* loops_bf16.h: the loops of loops_elementwise.h over tiles that are bf16, and the way between the types. Included by
 * loops_table.h alone, after that file.
 *
 * Rows are worked on in pieces that stay in the first cache, in f32; what is written to a tile of bf16 is rounded there
 * and nowhere before. */
#include "kernels/cpu/loops.h"
#include "kernels/math/bf16.h"

enum { SHORT_PIECE = 256 };

static void expand(int64_t count, const uint16_t *restrict from, float *restrict to)
{
    for (int64_t k = 0; k < count; ++k)
        to[k] = bpi_float_from_bf16(from[k]);
}

static void shorten(int64_t count, const float *restrict from, uint16_t *restrict to)
{
    for (int64_t k = 0; k < count; ++k)
        to[k] = bpi_bf16_from_float(from[k]);
}

static int64_t short_piece(int64_t cols, int64_t first)
{
    return cols - first < SHORT_PIECE ? cols - first : SHORT_PIECE;
}

static uint16_t *short_at(bpi_cpu_mixed tile, int64_t row, int64_t col)
{
    return (uint16_t *)tile.data + row * tile.ld + col;
}

/* Where a piece stands in f32: in the tile itself, or in `piece`, which it is expanded into. */
ALWAYS_INLINE float *wide_piece(bpi_cpu_mixed tile, int64_t row, int64_t col, int64_t count, float *piece)
{
    if (tile.wide)
        return (float *)tile.data + row * tile.ld + col;
    expand(count, short_at(tile, row, col), piece);
    return piece;
}

/* As if it had been written to bf16 and read again. */
static void round_piece(int64_t count, const float *restrict from, float *restrict to)
{
    for (int64_t k = 0; k < count; ++k)
        to[k] = bpi_float_from_bf16(bpi_bf16_from_float(from[k]));
}

static void short_forward(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_mixed sums,
                          const float *bias, bpi_cpu_mixed z, bpi_cpu_mixed a)
{
    float piece[SHORT_PIECE], values[SHORT_PIECE];
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < cols; c += SHORT_PIECE) {
            int64_t count = short_piece(cols, c);
            float *in = wide_piece(sums, r, c, count, piece), *out = z.data ? values : in;
            forward(activation, slope, 1, count, (bpi_cpu_tile){in, count}, bias ? bias + c : NULL,
                    (bpi_cpu_tile){out, count});
            if (z.data)
                shorten(count, in, short_at(z, r, c));
            shorten(count, out, short_at(a, r, c));
        }
}

static void short_backward(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_mixed saved,
                           bpi_cpu_mixed d_a, bpi_cpu_mixed delta, float *sums)
{
    float piece[SHORT_PIECE], errors[SHORT_PIECE];
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < cols; c += SHORT_PIECE) {
            int64_t count = short_piece(cols, c);
            float *from = wide_piece(saved, r, c, count, piece);
            if (d_a.wide)
                round_piece(count, (const float *)d_a.data + r * d_a.ld + c, errors);
            else
                expand(count, short_at(d_a, r, c), errors);
            backward(activation, slope, 1, count, (bpi_cpu_tile){from, count}, (bpi_cpu_tile){errors, count},
                     (bpi_cpu_tile){errors, count}, sums ? sums + c : NULL);
            shorten(count, errors, short_at(delta, r, c));
        }
}

static void short_derivative(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_mixed saved,
                             bpi_cpu_mixed to)
{
    float piece[SHORT_PIECE];
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < cols; c += SHORT_PIECE) {
            int64_t count = short_piece(cols, c);
            bpi_cpu_tile values = {piece, count};
            expand(count, short_at(saved, r, c), piece);
            derivative(activation, slope, 1, count, values, values);
            shorten(count, piece, short_at(to, r, c));
        }
}

static void short_hadamard(int64_t rows, int64_t cols, bpi_cpu_mixed left, bpi_cpu_mixed right, bpi_cpu_mixed product)
{
    float piece[SHORT_PIECE], other[SHORT_PIECE];
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < cols; c += SHORT_PIECE) {
            int64_t count = short_piece(cols, c);
            expand(count, short_at(left, r, c), piece);
            expand(count, short_at(right, r, c), other);
            hadamard(1, count, (bpi_cpu_tile){piece, count}, (bpi_cpu_tile){other, count},
                     (bpi_cpu_tile){piece, count});
            shorten(count, piece, short_at(product, r, c));
        }
}

static void short_column_sums(int64_t rows, int64_t cols, bpi_cpu_mixed delta, float *restrict sums)
{
    for (int64_t r = 0; r < rows; ++r) {
        const uint16_t *in = short_at(delta, r, 0);
        for (int64_t o = 0; o < cols; ++o)
            sums[o] += bpi_float_from_bf16(in[o]);
    }
}
