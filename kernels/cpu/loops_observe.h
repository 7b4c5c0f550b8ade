/* loops_observe.h: what an observed step counts and sums. Included by loops_table.h alone, behind loops_update.h.
 *
 * No sum depends on the width of a register: sixteen lanes, then a tree, as in loops_update.h. */
#include "kernels/cpu/loops.h"

ALWAYS_INLINE int32_t is_off(bp_activation activation, float a)
{
    if (activation == BP_ACTIVATION_RELU)
        return a == 0.0f;
    if (activation == BP_ACTIVATION_TANH)
        return __builtin_fabsf(a) > BPI_SATURATED_TANH;
    return (a < BPI_SATURATED_SIGMOID) | (a > 1.0f - BPI_SATURATED_SIGMOID);
}

/* Four rows for each time that the counts are read and written. */
ALWAYS_INLINE void count_off_rows(bp_activation activation, int64_t rows, int64_t cols, bpi_cpu_tile a, int32_t *counts)
{
    int64_t whole = rows / 4 * 4;
    for (int64_t r = 0; r < whole; r += 4) {
        const float *row = a.data + r * a.ld;
#pragma omp simd
        for (int64_t o = 0; o < cols; ++o)
            counts[o] += is_off(activation, row[o]) + is_off(activation, row[o + a.ld]) +
                         is_off(activation, row[o + 2 * a.ld]) + is_off(activation, row[o + 3 * a.ld]);
    }
    for (int64_t r = whole; r < rows; ++r) {
        const float *row = a.data + r * a.ld;
#pragma omp simd
        for (int64_t o = 0; o < cols; ++o)
            counts[o] += is_off(activation, row[o]);
    }
}

static void count_off(bp_activation activation, int64_t rows, int64_t cols, bpi_cpu_tile a, int32_t *counts)
{
    if (activation == BP_ACTIVATION_RELU)
        count_off_rows(BP_ACTIVATION_RELU, rows, cols, a, counts);
    else if (activation == BP_ACTIVATION_TANH)
        count_off_rows(BP_ACTIVATION_TANH, rows, cols, a, counts);
    else
        count_off_rows(BP_ACTIVATION_SIGMOID, rows, cols, a, counts);
}

/* As integers, magnitudes are ordered as they are as floats, and integers vectorise without more ado. */
static void count_and_compare(int64_t count, const float *g, bpi_tensor_sums *sums)
{
    const int32_t infinite = 0x7f800000;
    int32_t zeros = 0, nonfinite = 0, largest = 0;
#pragma omp simd reduction(+ : zeros, nonfinite) reduction(max : largest)
    for (int64_t k = 0; k < count; ++k) {
        int32_t magnitude = (int32_t)(bpi_bits_from_float(g[k]) & 0x7fffffffu);
        int32_t finite = magnitude < infinite ? magnitude : 0;
        zeros += magnitude == 0;
        nonfinite += magnitude >= infinite;
        largest = finite > largest ? finite : largest;
    }
    double as_number = (double)bpi_float_from_bits((uint32_t)largest);
    sums->zeros += zeros;
    sums->nonfinite += nonfinite;
    sums->largest = as_number > sums->largest ? as_number : sums->largest;
}

static double lane_sum(const wide_doubles *sums, const double *rest)
{
    double lanes[LANES];
    memcpy(lanes, sums, sizeof lanes);
    for (int l = 0; l < LANES; ++l)
        lanes[l] += rest[l];
    return sum_of_lanes(lanes);
}

/* Of finite elements. */
static void sum_and_square(int64_t count, const float *g, bpi_tensor_sums *sums)
{
    wide_doubles squares[LANES / WIDE] = {{0.0}}, plain[LANES / WIDE] = {{0.0}};
    double square_rest[LANES] = {0.0}, plain_rest[LANES] = {0.0};
    int64_t whole = count / LANES * LANES;
    for (int64_t k = 0; k < whole; k += LANES)
        for (int v = 0; v < LANES / WIDE; ++v) {
            wide_doubles wide;
            widen(g + k + WIDE * v, &wide);
            add_square(&squares[v], &wide);
            plain[v] += wide;
        }
    for (int64_t k = whole; k < count; ++k) {
        square_rest[k - whole] = (double)g[k] * (double)g[k];
        plain_rest[k - whole] = (double)g[k];
    }
    sums->square_sum += lane_sum(squares, square_rest);
    sums->sum += lane_sum(plain, plain_rest);
}

/* Adds those of the gradient to *sums. In pieces that stay in the first cache. */
static void gradient_sums(int64_t count, const float *gradients, bpi_tensor_sums *sums)
{
    enum { PIECE = 2048 };
    float finite[PIECE];
    for (int64_t first = 0; first < count; first += PIECE) {
        const float *g = gradients + first;
        int64_t n = count - first < PIECE ? count - first : PIECE;
        int64_t before = sums->nonfinite;
        count_and_compare(n, g, sums);
        if (sums->nonfinite != before) {
            for (int64_t k = 0; k < n; ++k)
                finite[k] = (bpi_bits_from_float(g[k]) & 0x7f800000u) == 0x7f800000u ? 0.0f : g[k];
            g = finite;
        }
        sum_and_square(n, g, sums);
    }
}

/* The parameters before the update, and what it added to them. */
static void move_sums(int64_t count, const float *before, const float *after, bpi_tensor_sums *sums)
{
    wide_doubles weights[LANES / WIDE] = {{0.0}}, moves[LANES / WIDE] = {{0.0}};
    double weight_rest[LANES] = {0.0}, move_rest[LANES] = {0.0};
    int64_t whole = count / LANES * LANES;
    for (int64_t k = 0; k < whole; k += LANES)
        for (int v = 0; v < LANES / WIDE; ++v) {
            wide_doubles weight, move;
            widen(before + k + WIDE * v, &weight);
            widen(after + k + WIDE * v, &move);
            move -= weight;
            add_square(&weights[v], &weight);
            moves[v] += move * move;
        }
    for (int64_t k = whole; k < count; ++k) {
        double weight = (double)before[k], move = (double)after[k] - weight;
        weight_rest[k - whole] = weight * weight;
        move_rest[k - whole] = move * move;
    }
    sums->weight_square_sum += lane_sum(weights, weight_rest);
    sums->move_square_sum += lane_sum(moves, move_rest);
}
