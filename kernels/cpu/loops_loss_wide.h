/* loops_loss_wide.h: the loss of rows of many outputs, one row after the other as it lies. Included by loops_table.h
 * alone. Sums over a row are taken in f64, in lanes (loops_lanes.h). */
#include "kernels/cpu/loops.h"
#include "kernels/math/loss.h"

/* Outputs from which on a row fills the registers; narrower ones are turned around (loops_loss.h). */
enum { WIDE_ROW = 32 };

/* ---- terms of the losses that are sums over elements ---- */

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

/* Numbers in the order of their sizes, as integers, for which compilers know a largest one; below all of them NaN. */
ALWAYS_INLINE int32_t ordered_bits(float x)
{
    int32_t bits = (int32_t)bpi_bits_from_float(x);
    return x == x ? bits ^ ((bits >> 31) & 0x7fffffff) : INT32_MIN;
}

/* The largest of a row, and the first place where it stands. Nothing is larger than a NaN at the front; elsewhere it is
 * passed over. First the value, then its place: both together would branch at every new largest one. */
static int32_t place_of_largest(const float *row, int64_t cols, float *largest)
{
    enum { STRIDE = 64 };
    *largest = row[0];
    if (!(row[0] == row[0]))
        return 0;
    int32_t bits = INT32_MIN;
#pragma omp simd reduction(max : bits)
    for (int64_t o = 0; o < cols; ++o) {
        int32_t here = ordered_bits(row[o]);
        bits = here > bits ? here : bits;
    }
    const float most = bpi_float_from_bits((uint32_t)(bits ^ ((bits >> 31) & 0x7fffffff)));
    *largest = most;
    int64_t first = 0;
    for (int found = 0; first + STRIDE <= cols; first += STRIDE) {
#pragma omp simd reduction(| : found)
        for (int64_t o = first; o < first + STRIDE; ++o)
            found |= row[o] == most;
        if (found)
            break;
    }
    while (first < cols - 1 && row[first] != most)
        ++first;
    return (int32_t)first;
}

/* A row's places: outputs, targets where they are values, errors (to be written, last of all: they may lie where the
 * outputs do), and room for terms, targets and exponentials. */
typedef struct wide_places {
    int64_t cols;
    const float *z, *t;
    float *e, *term, *target, *exponential;
    int32_t label;
    float largest;
} wide_places;

ALWAYS_INLINE double wide_elements(bp_loss loss, const bpi_loss_args *args, const wide_places *row)
{
    const float scale = (float)args->scale, limit = args->huber_delta;
    const float *z = row->z, *t = row->t;
    float *e = row->e, *term = row->term;
#pragma omp simd
    for (int64_t o = 0; o < row->cols; ++o) {
        float output = z[o], target = t[o];
        term[o] = element_value(loss, output, target, limit);
        e[o] = scale * element_delta(loss, output, target, limit);
    }
    return sum_of_floats(row->cols, term);
}

static double wide_classes(const bpi_loss_args *args, const wide_places *row, float sum, bpi_smoothing smoothing)
{
    const float scale = (float)args->scale, largest = row->largest;
    const float at_class = bpi_smoothed_target(1.0f, smoothing), elsewhere = bpi_smoothed_target(0.0f, smoothing);
    const float *z = row->z, *restrict exponential = row->exponential;
    float *e = row->e, *restrict term = row->term, mean = 0.0f;
    if (smoothing.eps > 0.0f) {
#pragma omp simd
        for (int64_t o = 0; o < row->cols; ++o)
            term[o] = z[o] - largest;
        mean = (float)(sum_of_floats(row->cols, term) / (double)row->cols);
    }
    float value = bpi_cross_entropy_of_class(z[row->label] - largest, mean, bpi_log(sum), smoothing);
#pragma omp simd
    for (int64_t o = 0; o < row->cols; ++o)
        e[o] = scale * bpi_cross_entropy_delta(exponential[o] / sum, elsewhere, 1.0f);
    e[row->label] = scale * bpi_cross_entropy_delta(exponential[row->label] / sum, at_class, 1.0f);
    return (double)value;
}

/* A class that cannot be has no part in the value, even at z = -inf. */
static double wide_probabilities(const bpi_loss_args *args, const wide_places *row, float sum, bpi_smoothing smoothing)
{
    const float scale = (float)args->scale, largest = row->largest, log_sum = bpi_log(sum);
    const float *z = row->z, *t = row->t, *restrict exponential = row->exponential;
    float *e = row->e, *restrict term = row->term, *restrict target = row->target;
#pragma omp simd
    for (int64_t o = 0; o < row->cols; ++o) {
        float smooth = bpi_smoothed_target(t[o], smoothing);
        float value = bpi_cross_entropy_term(smooth, z[o] - largest, log_sum);
        target[o] = smooth;
        term[o] = smooth == 0.0f ? 0.0f : value;
    }
    const float target_sum = (float)sum_of_floats(row->cols, target);
#pragma omp simd
    for (int64_t o = 0; o < row->cols; ++o)
        e[o] = scale * bpi_cross_entropy_delta(exponential[o] / sum, target[o], target_sum);
    return sum_of_floats(row->cols, term);
}

static double wide_cross_entropy(const bpi_loss_args *args, const wide_places *row)
{
    bpi_smoothing smoothing = bpi_smoothing_of((double)args->label_smoothing, row->cols);
    const float *z = row->z, largest = row->largest;
    float *restrict exponential = row->exponential;
#pragma omp simd
    for (int64_t o = 0; o < row->cols; ++o)
        exponential[o] = bpi_softmax_exp(z[o], largest);
    float sum = (float)sum_of_floats(row->cols, exponential);
    return row->t ? wide_probabilities(args, row, sum, smoothing) : wide_classes(args, row, sum, smoothing);
}

static double wide_value(const bpi_loss_args *args, const wide_places *row)
{
    switch (args->loss) {
    case BP_LOSS_SOFTMAX_CROSS_ENTROPY:
        return wide_cross_entropy(args, row);
    case BP_LOSS_BCE_WITH_LOGITS:
        return wide_elements(BP_LOSS_BCE_WITH_LOGITS, args, row);
    case BP_LOSS_MSE:
        return wide_elements(BP_LOSS_MSE, args, row);
    case BP_LOSS_HALF_MSE:
        return wide_elements(BP_LOSS_HALF_MSE, args, row);
    case BP_LOSS_HUBER:
        return wide_elements(BP_LOSS_HUBER, args, row);
    case BP_LOSS_COUNT:
        break;
    }
    return 0.0;
}

/* Row b of the batch, as loss of bpi_cpu_loops for one row. Errors that become bf16 stand in scratch until all has been
 * made of them. */
static void wide_row(const bpi_loss_args *args, bool narrow, int64_t b, float *scratch, float *restrict sums,
                     bpi_cpu_loss_sums *totals)
{
    int64_t cols = args->z.cols;
    bool in_place = args->delta.data && !narrow;
    wide_places row = {.cols = cols,
                       .z = (const float *)args->z.data + b * args->z.ld,
                       .t = args->classes ? NULL : (const float *)args->targets.data + b * args->targets.ld,
                       .e = in_place ? (float *)args->delta.data + b * args->delta.ld : scratch,
                       .term = scratch + cols,
                       .target = scratch + 2 * cols,
                       .exponential = scratch + 3 * cols};
    float largest_target;
    int32_t top = place_of_largest(row.z, cols, &row.largest);
    row.label = args->classes ? (int32_t)args->classes[b] : place_of_largest(row.t, cols, &largest_target);
    totals->correct += top == row.label;
    totals->value += wide_value(args, &row);
    if (args->delta.data && narrow)
        shorten(cols, row.e, (uint16_t *)args->delta.data + b * args->delta.ld);
    if (!sums)
        return;
    const float *restrict e = row.e;
#pragma omp simd
    for (int64_t o = 0; o < cols; ++o)
        sums[o] += e[o];
}
