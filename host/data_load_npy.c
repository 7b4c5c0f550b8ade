/* data_load_npy.c: samples from NPY files: any readable type becomes float32 inputs; integers become classes, floats
 * values. The format itself is in npy.c. The contract is backprop/data.h. */
#include <math.h>

#include "host/data_load.h"
#include "host/npy.h"

static float npy_float(const bpi_npy *array, int64_t index)
{
    switch (array->type) {
    case BPI_NPY_F64:
        return (float)((const double *)array->values)[index];
    case BPI_NPY_U8:
        return (float)((const uint8_t *)array->values)[index];
    case BPI_NPY_I32:
        return (float)((const int32_t *)array->values)[index];
    case BPI_NPY_I64:
        return (float)((const int64_t *)array->values)[index];
    default:
        return ((const float *)array->values)[index];
    }
}

/* Takes the elements as float32. A double beyond its range is told apart from an infinity that the file holds. */
static bp_status take_floats(bp_context *context, const char *path, bpi_npy *array, const float **values, size_t *bytes)
{
    if (array->type == BPI_NPY_F32) {
        *values = array->values;
        *bytes = array->bytes;
        array->values = NULL;
        return BP_STATUS_OK;
    }
    void *memory;
    BPI_TRY(bpi_array_bytes(context, array->count, sizeof(float), path, bytes));
    BPI_TRY(bpi_alloc(context, *bytes, path, &memory));
    float *floats = memory;
    *values = floats;
    for (int64_t i = 0; i < array->count; i++) {
        floats[i] = npy_float(array, i);
        if (isinf(floats[i]) && array->type == BPI_NPY_F64 && isfinite(((const double *)array->values)[i]))
            return BPI_FAIL(context, BP_STATUS_BAD_DATA, "%s: element %lld (from 0) is %g, beyond the range of float32",
                            path, (long long)i, ((const double *)array->values)[i]);
    }
    return BP_STATUS_OK;
}

static bp_status take_classes(bp_data *data, const char *path, bpi_npy *array)
{
    if (array->type == BPI_NPY_I64) {
        data->source.classes = array->values;
        data->classes_bytes = array->bytes;
        array->values = NULL;
        return BP_STATUS_OK;
    }
    void *memory;
    BPI_TRY(bpi_array_bytes(data->context, array->count, sizeof(int64_t), path, &data->classes_bytes));
    BPI_TRY(bpi_alloc(data->context, data->classes_bytes, path, &memory));
    int64_t *classes = memory;
    for (int64_t i = 0; i < array->count; i++)
        classes[i] =
            array->type == BPI_NPY_U8 ? ((const uint8_t *)array->values)[i] : ((const int32_t *)array->values)[i];
    data->source.classes = classes;
    return BP_STATUS_OK;
}

static bp_status take_inputs(bp_data *data, const char *path, bpi_npy *array)
{
    BPI_TRY(bpi_load_set_shape(data, path, array->rank, array->shape, array->count));
    const float *values = NULL;
    bp_status status = take_floats(data->context, path, array, &values, &data->x_bytes);
    data->source.x = values;
    data->source.x_type = BPI_TYPE_F32;
    return status;
}

static bp_status take_targets(bp_data *data, const char *x_path, const char *path, bpi_npy *array)
{
    bool floats = array->type == BPI_NPY_F32 || array->type == BPI_NPY_F64;
    if (array->rank < 1 || array->rank > 2 || array->count < 1)
        return BPI_FAIL(data->context, BP_STATUS_BAD_DATA,
                        "%s: targets have the shape [N] or [N,T]; it has %d dimensions", path, array->rank);
    if (!floats && array->rank == 2)
        return BPI_FAIL(data->context, BP_STATUS_BAD_DATA,
                        "%s holds integers of 2 dimensions; class indices are integers [N], values are float32 [N,T]",
                        path);
    BPI_TRY(bpi_load_check_rows(data, x_path, path, array->shape[0]));
    data->kind = floats ? BPI_TARGETS_VALUES : BPI_TARGETS_CLASSES;
    if (!floats)
        return take_classes(data, path, array);
    data->source.target_cols = array->count / array->shape[0];
    return take_floats(data->context, path, array, &data->source.targets, &data->targets_bytes);
}

static bp_status load_npy(bp_data *data, const char *x_path, const char *y_path)
{
    bpi_npy array;
    BPI_TRY(bpi_npy_read(data->context, x_path, &array));
    bp_status status = take_inputs(data, x_path, &array);
    bpi_npy_free(data->context, &array);
    if (status != BP_STATUS_OK || !y_path)
        return status;
    BPI_TRY(bpi_npy_read(data->context, y_path, &array));
    status = take_targets(data, x_path, y_path, &array);
    bpi_npy_free(data->context, &array);
    return status;
}

bp_status bp_data_load_npy(bp_context *context, const char *x_path, const char *y_path, bp_data **data)
{
    bp_data *made;
    BPI_TRY(bpi_load_begin(context, "bp_data_load_npy", x_path, "x_path", data, &made));
    return bpi_load_end(load_npy(made, x_path, y_path), made, data);
}
