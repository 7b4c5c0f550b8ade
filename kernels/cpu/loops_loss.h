/* loops_loss.h: losses, values and errors of some rows. Included by loops_table.h alone.
 *
 * Rows of few outputs, ROWS at a time, are turned around in scratch memory, to [O][ROWS], so that a vector holds one
 * output of ROWS rows: nothing is added up across a vector, and each row's sums run over its outputs in their order.
 * Rows of many outputs: loops_loss_wide.h. Values are f32 per element (per narrow row for cross-entropy) and are added
 * up in f64. */
#include "kernels/cpu/loops.h"
#include "kernels/math/loss.h"

/* As many as a register holds. No result depends on it. */
#if defined(__AVX512F__)
#define ROWS BPI_CPU_LOSS_ROWS
#else
#define ROWS (BPI_CPU_LOSS_ROWS / 2)
#endif

/* Up to ROWS rows of the batch; lanes beyond `rows` compute with zeros and go nowhere. */
typedef struct row_block {
    int64_t first, rows, cols;
    float *z, *t, *e; /* [cols][ROWS]: outputs, targets where they are values, and errors */
    float largest[ROWS];
    int32_t top[ROWS], label[ROWS];
    double value[ROWS];
} row_block;

static void turn(const bpi_matrix *from, const row_block *rows, float *restrict to)
{
    const float *data = (const float *)from->data + rows->first * from->ld;
    for (int64_t o = 0; o < rows->cols; ++o)
        for (int64_t r = 0; r < ROWS; ++r)
            to[o * ROWS + r] = r < rows->rows ? data[r * from->ld + o] : 0.0f;
}

static void turn_back(const bpi_matrix *to, const row_block *rows)
{
    float *restrict data = (float *)to->data + rows->first * to->ld;
    for (int64_t o = 0; o < rows->cols; ++o)
        for (int64_t r = 0; r < rows->rows; ++r)
            data[r * to->ld + o] = rows->e[o * ROWS + r];
}

static void turn_back_short(const bpi_matrix *to, const row_block *rows)
{
    uint16_t *restrict data = (uint16_t *)to->data + rows->first * to->ld;
    for (int64_t o = 0; o < rows->cols; ++o)
        for (int64_t r = 0; r < rows->rows; ++r)
            data[r * to->ld + o] = bpi_bf16_from_float(rows->e[o * ROWS + r]);
}

static void add_columns(const row_block *rows, float *restrict sums)
{
    for (int64_t o = 0; o < rows->cols; ++o) {
        float sum = sums[o];
        for (int64_t r = 0; r < rows->rows; ++r)
            sum += rows->e[o * ROWS + r];
        sums[o] = sum;
    }
}

/* The largest of each row, and the first place where it stands. Nothing is larger than a NaN at the front. */
static void find_largest(const float *restrict tile, int64_t cols, float largest[ROWS], int32_t top[ROWS])
{
    for (int r = 0; r < ROWS; ++r) {
        largest[r] = tile[r];
        top[r] = 0;
    }
    for (int64_t o = 1; o < cols; ++o)
#pragma omp simd
        for (int r = 0; r < ROWS; ++r) {
            float z = tile[o * ROWS + r];
            bool larger = z > largest[r];
            top[r] = larger ? (int32_t)o : top[r];
            largest[r] = larger ? z : largest[r];
        }
}

static int64_t count_correct(const bpi_loss_args *args, row_block *rows)
{
    int64_t correct = 0;
    find_largest(rows->z, rows->cols, rows->largest, rows->top);
    if (!args->classes && args->loss == BP_LOSS_BCE_WITH_LOGITS && rows->cols == 1) {
        for (int64_t r = 0; r < rows->rows; ++r)
            correct += (rows->z[r] > 0.0f) == (rows->t[r] > 0.5f);
        return correct;
    }
    if (!args->classes) {
        float largest[ROWS];
        find_largest(rows->t, rows->cols, largest, rows->label);
    }
    for (int64_t r = 0; r < rows->rows; ++r)
        correct += rows->top[r] == rows->label[r];
    return correct;
}

/* ---- losses that are sums over elements ---- */

ALWAYS_INLINE void element_block(bp_loss loss, const bpi_loss_args *args, row_block *rows)
{
    const float scale = (float)args->scale, limit = args->huber_delta;
    const float *restrict z = rows->z, *restrict t = rows->t;
    float *restrict e = rows->e;
    for (int64_t o = 0; o < rows->cols; ++o) {
        float term[ROWS];
#pragma omp simd
        for (int r = 0; r < ROWS; ++r) {
            term[r] = element_value(loss, z[o * ROWS + r], t[o * ROWS + r], limit);
            e[o * ROWS + r] = scale * element_delta(loss, z[o * ROWS + r], t[o * ROWS + r], limit);
        }
        for (int r = 0; r < ROWS; ++r)
            rows->value[r] += (double)term[r];
    }
}

/* ---- softmax cross-entropy ---- */

/* e^(z - largest) into e, and its sum. */
static void softmax_exponentials(row_block *rows, float sum[ROWS])
{
    const float *restrict z = rows->z;
    float *restrict e = rows->e;
    for (int64_t o = 0; o < rows->cols; ++o)
#pragma omp simd
        for (int r = 0; r < ROWS; ++r) {
            float exponential = bpi_softmax_exp(z[o * ROWS + r], rows->largest[r]);
            e[o * ROWS + r] = exponential;
            sum[r] += exponential;
        }
}

/* The mean of z - largest over a row's outputs. */
static void mean_shifted(const row_block *rows, float mean[ROWS])
{
    for (int64_t o = 0; o < rows->cols; ++o)
#pragma omp simd
        for (int r = 0; r < ROWS; ++r)
            mean[r] += rows->z[o * ROWS + r] - rows->largest[r];
    for (int r = 0; r < ROWS; ++r)
        mean[r] /= (float)rows->cols;
}

static void class_values(row_block *rows, const float log_sum[ROWS], bpi_smoothing smoothing)
{
    float mean[ROWS] = {0.0f};
    if (smoothing.eps > 0.0f)
        mean_shifted(rows, mean);
    for (int64_t r = 0; r < rows->rows; ++r)
        rows->value[r] += (double)bpi_cross_entropy_of_class(rows->z[rows->label[r] * ROWS + r] - rows->largest[r],
                                                             mean[r], log_sum[r], smoothing);
}

/* Smooths t in place. A class that cannot be has no part in the value, even at z = -inf. */
static void probability_values(row_block *rows, const float log_sum[ROWS], bpi_smoothing smoothing,
                               float target_sum[ROWS])
{
    float value[ROWS] = {0.0f};
    float *restrict t = rows->t;
    const float *restrict z = rows->z;
    for (int64_t o = 0; o < rows->cols; ++o)
#pragma omp simd
        for (int r = 0; r < ROWS; ++r) {
            float target = bpi_smoothed_target(t[o * ROWS + r], smoothing);
            float term = bpi_cross_entropy_term(target, z[o * ROWS + r] - rows->largest[r], log_sum[r]);
            t[o * ROWS + r] = target;
            target_sum[r] += target;
            value[r] += target == 0.0f ? 0.0f : term;
        }
    for (int r = 0; r < ROWS; ++r)
        rows->value[r] += (double)value[r];
}

/* From exponentials to scaled errors, in place. */
static void class_errors(row_block *rows, const float sum[ROWS], bpi_smoothing smoothing, float scale)
{
    float at_class = bpi_smoothed_target(1.0f, smoothing), elsewhere = bpi_smoothed_target(0.0f, smoothing);
    float *restrict e = rows->e;
    for (int64_t o = 0; o < rows->cols; ++o)
#pragma omp simd
        for (int r = 0; r < ROWS; ++r) {
            float target = rows->label[r] == (int32_t)o ? at_class : elsewhere;
            e[o * ROWS + r] = scale * bpi_cross_entropy_delta(e[o * ROWS + r] / sum[r], target, 1.0f);
        }
}

static void probability_errors(row_block *rows, const float sum[ROWS], const float target_sum[ROWS], float scale)
{
    float *restrict e = rows->e;
    const float *restrict t = rows->t;
    for (int64_t o = 0; o < rows->cols; ++o)
#pragma omp simd
        for (int r = 0; r < ROWS; ++r)
            e[o * ROWS + r] = scale * bpi_cross_entropy_delta(e[o * ROWS + r] / sum[r], t[o * ROWS + r], target_sum[r]);
}

static void cross_entropy_block(const bpi_loss_args *args, row_block *rows)
{
    bpi_smoothing smoothing = bpi_smoothing_of((double)args->label_smoothing, rows->cols);
    float sum[ROWS] = {0.0f}, log_sum[ROWS], target_sum[ROWS] = {0.0f};
    softmax_exponentials(rows, sum);
#pragma omp simd
    for (int r = 0; r < ROWS; ++r)
        log_sum[r] = bpi_log(sum[r]);
    if (args->classes) {
        class_values(rows, log_sum, smoothing);
        class_errors(rows, sum, smoothing, (float)args->scale);
    } else {
        probability_values(rows, log_sum, smoothing, target_sum);
        probability_errors(rows, sum, target_sum, (float)args->scale);
    }
}

/* ---- all of them ---- */

static void block_of_loss(const bpi_loss_args *args, row_block *rows)
{
    switch (args->loss) {
    case BP_LOSS_SOFTMAX_CROSS_ENTROPY:
        cross_entropy_block(args, rows);
        break;
    case BP_LOSS_BCE_WITH_LOGITS:
        element_block(BP_LOSS_BCE_WITH_LOGITS, args, rows);
        break;
    case BP_LOSS_MSE:
        element_block(BP_LOSS_MSE, args, rows);
        break;
    case BP_LOSS_HALF_MSE:
        element_block(BP_LOSS_HALF_MSE, args, rows);
        break;
    case BP_LOSS_HUBER:
        element_block(BP_LOSS_HUBER, args, rows);
        break;
    case BP_LOSS_COUNT:
        break;
    }
}

static void loss_rows(const bpi_loss_args *args, bool narrow, int64_t first, int64_t count, float *scratch, float *sums,
                      bpi_cpu_loss_sums *totals)
{
    int64_t cols = args->z.cols;
    if (cols >= WIDE_ROW) {
        for (int64_t b = first; b < first + count; ++b)
            wide_row(args, narrow, b, scratch, sums, totals);
        return;
    }
    for (int64_t b = first; b < first + count; b += ROWS) {
        int64_t rest = first + count - b;
        row_block rows = {.first = b,
                          .rows = rest < ROWS ? rest : ROWS,
                          .cols = cols,
                          .z = scratch,
                          .t = scratch + cols * ROWS,
                          .e = scratch + 2 * cols * ROWS};
        turn(&args->z, &rows, rows.z);
        if (!args->classes)
            turn(&args->targets, &rows, rows.t);
        for (int64_t r = 0; args->classes && r < rows.rows; ++r)
            rows.label[r] = (int32_t)args->classes[b + r];
        totals->correct += count_correct(args, &rows);
        block_of_loss(args, &rows);
        if (args->delta.data && narrow)
            turn_back_short(&args->delta, &rows);
        else if (args->delta.data)
            turn_back(&args->delta, &rows);
        if (sums)
            add_columns(&rows, sums);
        for (int64_t r = 0; r < rows.rows; ++r)
            totals->value += rows.value[r];
    }
}
