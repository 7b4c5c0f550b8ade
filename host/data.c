/* data.c: samples in host memory: made from arrays, asked, destroyed. Readers are in data_load.c, the checks in
 * data_inspect.c and data_check.c. The contract is backprop/data.h. */
#include "host/data.h"

#include <string.h>

bp_status bpi_data_new(bp_context *context, const char *name, bp_data **data)
{
    void *memory;
    BPI_TRY(bpi_alloc(context, sizeof(bp_data), "data", &memory));
    *data = memory;
    (*data)->context = context;
    (*data)->source.divisor = 1.0f;
    /* Of a long path the end tells more. */
    size_t length = strlen(name), room = sizeof(*data)->name - 1;
    if (length <= room)
        memcpy((*data)->name, name, length);
    else
        snprintf((*data)->name, sizeof(*data)->name, "...%s", name + length - (room - 3));
    return BP_STATUS_OK;
}

void bp_data_destroy(bp_data *data)
{
    if (!data)
        return;
    bp_context *context = data->context;
    bpi_free(context, (void *)data->source.targets, data->targets_bytes);
    bpi_free(context, (void *)data->source.classes, data->classes_bytes);
    bpi_free(context, (void *)data->source.x, data->x_bytes);
    bpi_free(context, data, sizeof *data);
}

bp_status bpi_matrix_bytes(bp_context *context, int64_t rows, int64_t cols, size_t size, const char *what,
                           size_t *bytes)
{
    if (cols > 0 && rows > INT64_MAX / cols)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s: %lld rows of %lld columns do not fit this machine",
                        what, (long long)rows, (long long)cols);
    return bpi_array_bytes(context, rows * cols, size, what, bytes);
}

/* ---------------------------------------------------------------- from arrays */

static bp_status check_arguments(bp_context *context, const float *x, int64_t rows, int64_t inputs,
                                 const int64_t *classes, const float *targets, int64_t target_cols)
{
    if (!x)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_data_create: x is NULL");
    if (rows < 1 || inputs < 1)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_data_create: %lld rows of %lld inputs; both must be at least 1", (long long)rows,
                        (long long)inputs);
    if (classes && targets)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_data_create: classes and targets are given; give one of the two, or neither");
    if (targets && target_cols < 1)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_data_create: target_cols is %lld; it must be at least 1", (long long)target_cols);
    return BP_STATUS_OK;
}

static bp_status copy(bp_context *context, const void *array, int64_t rows, int64_t cols, size_t size, void **own,
                      size_t *bytes)
{
    BPI_TRY(bpi_matrix_bytes(context, rows, cols, size, "bp_data_create", bytes));
    BPI_TRY(bpi_alloc(context, *bytes, "bp_data_create", own));
    memcpy(*own, array, *bytes);
    return BP_STATUS_OK;
}

static bp_status fill(bp_data *data, const float *x, const int64_t *classes, const float *targets)
{
    bpi_source *source = &data->source;
    void *own;
    BPI_TRY(copy(data->context, x, source->rows, source->inputs, sizeof *x, &own, &data->x_bytes));
    source->x = own;
    if (classes) {
        BPI_TRY(copy(data->context, classes, source->rows, 1, sizeof *classes, &own, &data->classes_bytes));
        source->classes = own;
    }
    if (targets) {
        BPI_TRY(copy(data->context, targets, source->rows, source->target_cols, sizeof *targets, &own,
                     &data->targets_bytes));
        source->targets = own;
    }
    return bpi_data_inspect(data);
}

bp_status bp_data_create(bp_context *context, const float *x, int64_t rows, int64_t inputs, const int64_t *classes,
                         const float *targets, int64_t target_cols, bp_data **data)
{
    if (data)
        *data = NULL;
    if (!context || !data)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_data_create: data is NULL");
    BPI_TRY(check_arguments(context, x, rows, inputs, classes, targets, target_cols));
    bp_data *made;
    BPI_TRY(bpi_data_new(context, "data", &made));
    made->source.x_type = BPI_TYPE_F32;
    made->source.rows = rows;
    made->source.inputs = inputs;
    made->source.target_cols = targets ? target_cols : 0;
    made->kind = classes ? BPI_TARGETS_CLASSES : targets ? BPI_TARGETS_VALUES : BPI_TARGETS_NONE;
    bp_status status = fill(made, x, classes, targets);
    if (status == BP_STATUS_OK)
        *data = made;
    else
        bp_data_destroy(made);
    return status;
}

/* ---------------------------------------------------------------- asking */

int64_t bp_data_rows(const bp_data *data)
{
    return data ? data->source.rows : 0;
}

int64_t bp_data_inputs(const bp_data *data)
{
    return data ? data->source.inputs : 0;
}

int64_t bp_data_class_count(const bp_data *data)
{
    return data ? data->class_count : 0;
}

int64_t bp_data_target_cols(const bp_data *data)
{
    return data && data->kind != BPI_TARGETS_CLASSES ? data->source.target_cols : 0;
}

bp_status bp_data_get_inputs(const bp_data *data, int64_t first, int64_t rows, float *x)
{
    if (!data || !x)
        return BPI_FAIL(data ? data->context : NULL, BP_STATUS_INVALID_ARGUMENT, "bp_data_get_inputs: %s is NULL",
                        data ? "x" : "data");
    const bpi_source *source = &data->source;
    if (rows < 0 || first < 0 || first > source->rows - rows)
        return BPI_FAIL(data->context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_data_get_inputs: %lld rows from row %lld on; %s has %lld", (long long)rows,
                        (long long)first, data->name, (long long)source->rows);
    int64_t begin = first * source->inputs, count = rows * source->inputs;
    if (source->x_type == BPI_TYPE_F32) {
        memcpy(x, (const float *)source->x + begin, (size_t)count * sizeof *x);
        return BP_STATUS_OK;
    }
    const uint8_t *pixels = (const uint8_t *)source->x + begin;
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)pixels[i] / source->divisor;
    return BP_STATUS_OK;
}
