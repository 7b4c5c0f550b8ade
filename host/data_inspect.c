/* data_inspect.c: looks once through samples that were just loaded: refuses what no step can use, and notes what
 * bp_data_check wants to know later, so that checking a data set against a model is a handful of comparisons. */
#include <float.h>
#include <math.h>

#include "host/data.h"

/* Index of the first NaN or infinity, -1 where there is none. In blocks without a branch, so that it vectorises. */
static int64_t find_nonfinite(const float *values, int64_t count)
{
    enum { BLOCK = 4096 };
    for (int64_t first = 0; first < count; first += BLOCK) {
        int64_t part = count - first < BLOCK ? count - first : BLOCK;
        int bad = 0;
        for (int64_t i = 0; i < part; i++)
            bad |= !(fabsf(values[first + i]) <= FLT_MAX);
        for (int64_t i = 0; bad && i < part; i++)
            if (!isfinite(values[first + i]))
                return first + i;
    }
    return -1;
}

static bp_status check_finite(const bp_data *data, const char *what, const float *values, int64_t cols)
{
    int64_t at = find_nonfinite(values, data->source.rows * cols);
    if (at < 0)
        return BP_STATUS_OK;
    return BPI_FAIL(data->context, BP_STATUS_BAD_DATA,
                    "%s: %s: row %lld, column %lld (from 0) is %s; only finite numbers can be used", data->name, what,
                    (long long)(at / cols), (long long)(at % cols), isnan(values[at]) ? "NaN" : "infinite");
}

static bp_status inspect_classes(bp_data *data)
{
    const int64_t *classes = data->source.classes;
    int64_t largest = -1;
    for (int64_t row = 0; row < data->source.rows; row++) {
        if (classes[row] < 0 || classes[row] == INT64_MAX)
            return BPI_FAIL(data->context, BP_STATUS_BAD_DATA,
                            "%s: row %lld (from 0) has the class %lld; classes count from 0", data->name,
                            (long long)row, (long long)classes[row]);
        if (classes[row] > largest) {
            largest = classes[row];
            data->largest_class_row = row;
        }
    }
    data->class_count = largest + 1;
    return BP_STATUS_OK;
}

/* Classes that are all 0 or 1 are kept as values as well. */
static bp_status add_values(bp_data *data)
{
    bpi_source *source = &data->source;
    size_t bytes = 0;
    void *memory;
    BPI_TRY(bpi_matrix_bytes(data->context, source->rows, 1, sizeof(float), data->name, &bytes));
    BPI_TRY(bpi_alloc(data->context, bytes, data->name, &memory));
    float *values = memory;
    for (int64_t row = 0; row < source->rows; row++)
        values[row] = (float)source->classes[row];
    source->targets = values;
    source->target_cols = 1;
    data->targets_bytes = bytes;
    return BP_STATUS_OK;
}

static void inspect_values(bp_data *data)
{
    const bpi_source *source = &data->source;
    bpi_target_range range = {.smallest = INFINITY, .largest = -INFINITY, .worst_sum = 1.0};
    for (int64_t row = 0; row < source->rows; row++) {
        const float *values = source->targets + row * source->target_cols;
        double sum = 0.0;
        for (int64_t col = 0; col < source->target_cols; col++) {
            sum += (double)values[col];
            if (values[col] < range.smallest) {
                range.smallest = values[col];
                range.smallest_row = row;
            }
            if (values[col] > range.largest) {
                range.largest = values[col];
                range.largest_row = row;
            }
        }
        if (fabs(sum - 1.0) > fabs(range.worst_sum - 1.0)) {
            range.worst_sum = sum;
            range.worst_row = row;
        }
    }
    data->range = range;
}

bp_status bpi_data_inspect(bp_data *data)
{
    const bpi_source *source = &data->source;
    if (source->x_type == BPI_TYPE_F32)
        BPI_TRY(check_finite(data, "inputs", source->x, source->inputs));
    if (source->targets)
        BPI_TRY(check_finite(data, "targets", source->targets, source->target_cols));
    if (source->classes)
        BPI_TRY(inspect_classes(data));
    if (data->kind == BPI_TARGETS_CLASSES && data->class_count <= 2)
        BPI_TRY(add_values(data));
    if (source->targets)
        inspect_values(data);
    return BP_STATUS_OK;
}
