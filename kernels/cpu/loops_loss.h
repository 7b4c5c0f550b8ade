/* loops_loss.h: losses, values and errors of some rows. Included by loops_table.h alone.
 *
 * A row is worked on in blocks of BPI_CPU_LANES, the last one filled up with values that change nothing. Values are f32
 * per element (or per row for cross-entropy) and are added up in f64. */
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/loops.h"
#include "kernels/math/loss.h"

#include <string.h>

/* The error of a block, scaled already, where it is wanted. */
ALWAYS_INLINE void put_errors(block error, int64_t o, int64_t cols, float *delta, float *sums)
{
    int64_t n = lanes_at(o, cols);
    if (n == LANES) {
        if (delta)
            memcpy(delta + o, error.v, sizeof error.v);
        for (int l = 0; sums && l < LANES; ++l)
            sums[o + l] += error.v[l];
        return;
    }
    for (int64_t l = 0; l < n; ++l) {
        if (delta)
            delta[o + l] = error.v[l];
        if (sums)
            sums[o + l] += error.v[l];
    }
}

/* The largest of a row; elements that are NaN are passed over. */
ALWAYS_INLINE float largest_of(const float *row, int64_t cols)
{
    block most = read_block(row, 0, cols, -BPI_MATH_INF);
    for (int64_t o = LANES; o < cols; o += LANES) {
        block next = read_block(row, o, cols, -BPI_MATH_INF);
        for (int l = 0; l < LANES; ++l)
            most.v[l] = next.v[l] > most.v[l] ? next.v[l] : most.v[l];
    }
    float largest = -BPI_MATH_INF;
    for (int l = 0; l < LANES; ++l)
        largest = most.v[l] > largest ? most.v[l] : largest;
    return largest;
}

/* The first of the largest, as a scan with > finds it: nothing is larger than a NaN at the front. */
ALWAYS_INLINE int64_t first_largest(const float *row, int64_t cols)
{
    if (__builtin_isnan(row[0]))
        return 0;
    float largest = largest_of(row, cols);
    for (int64_t o = 0; o < cols; ++o)
        if (row[o] == largest)
            return o;
    return 0;
}

ALWAYS_INLINE bool row_is_correct(const bpi_loss_args *args, int64_t b, const float *z)
{
    int64_t cols = args->z.cols;
    if (args->classes)
        return first_largest(z, cols) == args->classes[b];
    const float *target = (const float *)args->targets.data + b * args->targets.ld;
    if (args->loss == BP_LOSS_BCE_WITH_LOGITS && cols == 1)
        return (z[0] > 0.0f) == (target[0] > 0.5f);
    return first_largest(z, cols) == first_largest(target, cols);
}

/* ---- losses that are sums over elements ---- */

ALWAYS_INLINE float element_value(bp_loss loss, float z, float t, float limit)
{
    switch (loss) {
    case BP_LOSS_BCE_WITH_LOGITS:
        return bpi_bce_with_logits(z, t);
    case BP_LOSS_MSE:
        return 2.0f * bpi_half_squared_error(z, t);
    case BP_LOSS_HALF_MSE:
        return bpi_half_squared_error(z, t);
    case BP_LOSS_HUBER:
        return bpi_huber(z, t, limit);
    case BP_LOSS_SOFTMAX_CROSS_ENTROPY:
    case BP_LOSS_COUNT:
        break;
    }
    return BPI_MATH_NAN;
}

ALWAYS_INLINE float element_delta(bp_loss loss, float z, float t, float limit)
{
    switch (loss) {
    case BP_LOSS_BCE_WITH_LOGITS:
        return bpi_bce_with_logits_delta(z, t);
    case BP_LOSS_MSE:
        return 2.0f * bpi_half_squared_error_delta(z, t);
    case BP_LOSS_HALF_MSE:
        return bpi_half_squared_error_delta(z, t);
    case BP_LOSS_HUBER:
        return bpi_huber_delta(z, t, limit);
    case BP_LOSS_SOFTMAX_CROSS_ENTROPY:
    case BP_LOSS_COUNT:
        break;
    }
    return BPI_MATH_NAN;
}

ALWAYS_INLINE void element_rows(bp_loss loss, const bpi_loss_args *args, int64_t first, int64_t rows, float *sums,
                                bpi_cpu_loss_sums *totals)
{
    double lanes[LANES] = {0.0};
    int64_t cols = args->z.cols;
    float scale = (float)args->scale, limit = args->huber_delta;
    for (int64_t b = first; b < first + rows; ++b) {
        const float *z = (const float *)args->z.data + b * args->z.ld;
        const float *t = (const float *)args->targets.data + b * args->targets.ld;
        float *delta = args->delta.data ? (float *)args->delta.data + b * args->delta.ld : NULL;
        totals->correct += row_is_correct(args, b, z); /* before delta takes the place of z */
        for (int64_t o = 0; o < cols; o += LANES) {
            block logits = read_block(z, o, cols, 0.0f), targets = read_block(t, o, cols, 0.0f), value, error;
#pragma omp simd
            for (int l = 0; l < LANES; ++l) {
                value.v[l] = element_value(loss, logits.v[l], targets.v[l], limit);
                error.v[l] = scale * element_delta(loss, logits.v[l], targets.v[l], limit);
            }
            put_errors(error, o, cols, delta, sums);
            int64_t n = lanes_at(o, cols);
            for (int64_t l = 0; l < n; ++l)
                lanes[l] += (double)value.v[l];
        }
    }
    totals->value += sum_of_lanes(lanes);
}

/* ---- softmax cross-entropy ---- */

/* sum e^(z - largest), and sum (z - largest), over a row. */
typedef struct softmax_sums {
    float exponentials, shifted;
} softmax_sums;

ALWAYS_INLINE softmax_sums sum_softmax(const float *z, int64_t cols, float largest)
{
    block exponentials = {{0.0f}}, shifted = {{0.0f}};
    for (int64_t o = 0; o < cols; o += LANES) {
        block logits = read_block(z, o, cols, -BPI_MATH_INF);
        int64_t n = lanes_at(o, cols);
#pragma omp simd
        for (int l = 0; l < LANES; ++l)
            exponentials.v[l] += bpi_softmax_exp(logits.v[l], largest);
        for (int64_t l = 0; l < n; ++l)
            shifted.v[l] += logits.v[l] - largest;
    }
    softmax_sums sums = {sum_of_block(exponentials), sum_of_block(shifted)};
    return sums;
}

/* The smoothed targets of a block; beyond the row they are 0. */
ALWAYS_INLINE block smoothed_targets(const bpi_loss_args *args, int64_t b, int64_t o, bpi_smoothing smoothing)
{
    int64_t cols = args->z.cols;
    block t = {{0.0f}};
    if (!args->classes)
        t = read_block((const float *)args->targets.data + b * args->targets.ld, o, cols, 0.0f);
    else if (args->classes[b] >= o && args->classes[b] < o + LANES)
        t.v[args->classes[b] - o] = 1.0f;
    int64_t n = lanes_at(o, cols);
    for (int l = 0; l < LANES; ++l)
        t.v[l] = l < n ? bpi_smoothed_target(t.v[l], smoothing) : 0.0f;
    return t;
}

typedef struct target_sums {
    float target, value;
} target_sums;

/* sum t', and sum -t' log p, for a row of probabilities. A class that cannot be has no part, even at z = -inf. */
ALWAYS_INLINE target_sums sum_targets(const bpi_loss_args *args, int64_t b, const float *z, float largest,
                                      float log_sum, bpi_smoothing smoothing)
{
    int64_t cols = args->z.cols;
    block target = {{0.0f}}, value = {{0.0f}};
    for (int64_t o = 0; o < cols; o += LANES) {
        block t = smoothed_targets(args, b, o, smoothing), logits = read_block(z, o, cols, 0.0f);
#pragma omp simd
        for (int l = 0; l < LANES; ++l) {
            float term = bpi_cross_entropy_term(t.v[l], logits.v[l] - largest, log_sum);
            value.v[l] += t.v[l] == 0.0f ? 0.0f : term;
            target.v[l] += t.v[l];
        }
    }
    target_sums sums = {sum_of_block(target), sum_of_block(value)};
    return sums;
}

ALWAYS_INLINE float cross_entropy_row(const bpi_loss_args *args, int64_t b, bpi_smoothing smoothing, const float *z,
                                      float *delta, float *sums)
{
    int64_t cols = args->z.cols;
    float largest = largest_of(z, cols), scale = (float)args->scale;
    softmax_sums softmax = sum_softmax(z, cols, largest);
    float log_sum = bpi_log(softmax.exponentials);
    target_sums targets = {1.0f, 0.0f};
    if (args->classes)
        targets.value = bpi_cross_entropy_of_class(z[args->classes[b]] - largest, softmax.shifted / (float)cols,
                                                   log_sum, smoothing);
    else
        targets = sum_targets(args, b, z, largest, log_sum, smoothing);
    if (!delta && !sums)
        return targets.value;
    for (int64_t o = 0; o < cols; o += LANES) {
        block logits = read_block(z, o, cols, -BPI_MATH_INF), t = smoothed_targets(args, b, o, smoothing), error;
#pragma omp simd
        for (int l = 0; l < LANES; ++l) {
            float p = bpi_softmax_exp(logits.v[l], largest) / softmax.exponentials;
            error.v[l] = scale * bpi_cross_entropy_delta(p, t.v[l], targets.target);
        }
        put_errors(error, o, cols, delta, sums);
    }
    return targets.value;
}

ALWAYS_INLINE void cross_entropy_rows(const bpi_loss_args *args, int64_t first, int64_t rows, float *sums,
                                      bpi_cpu_loss_sums *totals)
{
    bpi_smoothing smoothing = bpi_smoothing_of((double)args->label_smoothing, args->z.cols);
    for (int64_t b = first; b < first + rows; ++b) {
        const float *z = (const float *)args->z.data + b * args->z.ld;
        float *delta = args->delta.data ? (float *)args->delta.data + b * args->delta.ld : NULL;
        totals->correct += row_is_correct(args, b, z);
        totals->value += (double)cross_entropy_row(args, b, smoothing, z, delta, sums);
    }
}

static void loss_rows(const bpi_loss_args *args, int64_t first, int64_t rows, float *sums, bpi_cpu_loss_sums *totals)
{
    switch (args->loss) {
    case BP_LOSS_SOFTMAX_CROSS_ENTROPY:
        cross_entropy_rows(args, first, rows, sums, totals);
        break;
    case BP_LOSS_BCE_WITH_LOGITS:
        element_rows(BP_LOSS_BCE_WITH_LOGITS, args, first, rows, sums, totals);
        break;
    case BP_LOSS_MSE:
        element_rows(BP_LOSS_MSE, args, first, rows, sums, totals);
        break;
    case BP_LOSS_HALF_MSE:
        element_rows(BP_LOSS_HALF_MSE, args, first, rows, sums, totals);
        break;
    case BP_LOSS_HUBER:
        element_rows(BP_LOSS_HUBER, args, first, rows, sums, totals);
        break;
    case BP_LOSS_COUNT:
        break;
    }
}
