/* data_load.c: samples from files: Fashion-MNIST, IDX and CSV (NPY is in data_load_npy.c). What a format is, is known
 * to idx.c and csv.c; what is inputs and what are targets, here. The contract is backprop/data.h. */
#include "host/data_load.h"

#include <string.h>

#include "host/csv.h"
#include "host/file.h"
#include "host/idx.h"

bp_status bpi_load_begin(bp_context *context, const char *call, const char *path, const char *argument, bp_data **data,
                         bp_data **made)
{
    if (data)
        *data = NULL;
    if (!context || !data)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s: data is NULL", call);
    if (!path)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s: %s is NULL", call, argument);
    return bpi_data_new(context, path, made);
}

bp_status bpi_load_end(bp_status status, bp_data *made, bp_data **data)
{
    if (status == BP_STATUS_OK)
        status = bpi_data_inspect(made);
    if (status == BP_STATUS_OK)
        *data = made;
    else
        bp_data_destroy(made);
    return status;
}

bp_status bpi_load_set_shape(bp_data *data, const char *path, int rank, const int64_t *shape, int64_t count)
{
    if (rank < 1 || count < 1)
        return BPI_FAIL(data->context, BP_STATUS_BAD_DATA, "%s holds no samples: its shape %s", path,
                        rank < 1 ? "has no dimension" : "holds a zero");
    data->source.rows = shape[0];
    data->source.inputs = count / shape[0];
    return BP_STATUS_OK;
}

bp_status bpi_load_check_rows(const bp_data *data, const char *x_path, const char *y_path, int64_t rows)
{
    if (rows == data->source.rows)
        return BP_STATUS_OK;
    return BPI_FAIL(data->context, BP_STATUS_BAD_DATA, "%s holds %lld samples and %s %lld targets; they do not match",
                    x_path, (long long)data->source.rows, y_path, (long long)rows);
}

/* ---------------------------------------------------------------- idx */

static bp_status load_images(bp_data *data, const char *path)
{
    bpi_idx array;
    BPI_TRY(bpi_idx_read(data->context, path, &array));
    data->source.x = array.values;
    data->source.x_type = BPI_TYPE_U8;
    data->source.divisor = 255.0f;
    data->x_bytes = array.bytes;
    if (array.rank < 2)
        return BPI_FAIL(data->context, BP_STATUS_BAD_DATA,
                        "%s has 1 dimension, and images have 2 or more; is it the file of the labels?", path);
    return bpi_load_set_shape(data, path, array.rank, array.shape, array.count);
}

static bp_status load_labels(bp_data *data, const char *images, const char *path)
{
    bpi_idx array;
    BPI_TRY(bpi_idx_read(data->context, path, &array));
    bp_status status;
    if (array.rank != 1) {
        status = BPI_FAIL(data->context, BP_STATUS_BAD_DATA,
                          "%s has %d dimensions, and labels have 1; is it the file of the images?", path, array.rank);
        goto done;
    }
    BPI_TRY_GOTO(bpi_load_check_rows(data, images, path, array.count), status, done);
    void *memory;
    data->classes_bytes = (size_t)array.count * sizeof(int64_t);
    BPI_TRY_GOTO(bpi_alloc(data->context, data->classes_bytes, path, &memory), status, done);
    int64_t *classes = memory;
    for (int64_t i = 0; i < array.count; i++)
        classes[i] = array.values[i];
    data->source.classes = classes;
    data->kind = BPI_TARGETS_CLASSES;
done:
    bpi_idx_free(data->context, &array);
    return status;
}

bp_status bp_data_load_idx(bp_context *context, const char *images, const char *labels, bp_data **data)
{
    bp_data *made;
    BPI_TRY(bpi_load_begin(context, "bp_data_load_idx", images, "images", data, &made));
    bp_status status = load_images(made, images);
    if (status == BP_STATUS_OK && labels)
        status = load_labels(made, images, labels);
    return bpi_load_end(status, made, data);
}

/* ---------------------------------------------------------------- fashion-mnist */

#define DEBIAN_FOLDER "/usr/share/datasets/fashion-mnist"

static bp_status fashion_missing(bp_context *context, const char *directory, const char *prefix)
{
    if (directory)
        return BPI_FAIL(context, BP_STATUS_NOT_FOUND,
                        "Fashion-MNIST: no %s-images-idx3-ubyte.gz and %s-labels-idx1-ubyte.gz in the folder %s",
                        prefix, prefix, directory);
    return BPI_FAIL(context, BP_STATUS_NOT_FOUND,
                    "Fashion-MNIST is not in " DEBIAN_FOLDER
                    ": install Debian's package dataset-fashion-mnist, or name "
                    "the folder that holds it");
}

static bp_status check_fashion(bp_context *context, const bp_data *data)
{
    if (data->source.inputs == 784 && data->class_count <= 10)
        return BP_STATUS_OK;
    return BPI_FAIL(context, BP_STATUS_BAD_DATA,
                    "%s has %lld inputs and %lld classes: it is not Fashion-MNIST, which has 784 and 10", data->name,
                    (long long)data->source.inputs, (long long)data->class_count);
}

bp_status bp_data_load_fashion_mnist(bp_context *context, const char *directory, const char *part, bp_data **data)
{
    if (data)
        *data = NULL;
    bool train = part && strcmp(part, "train") == 0;
    if (!context || !data || !part || (!train && strcmp(part, "test") != 0))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_data_load_fashion_mnist: %s",
                        data ? "part must be \"train\" or \"test\"" : "data is NULL");
    const char *folder = directory ? directory : DEBIAN_FOLDER;
    const char *prefix = train ? "train" : "t10k";
    char images[BPI_PATH_BYTES], labels[BPI_PATH_BYTES];
    int length = snprintf(images, sizeof images, "%s/%s-images-idx3-ubyte.gz", folder, prefix);
    if (length < 0 || (size_t)length >= sizeof images)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_data_load_fashion_mnist: directory is too long");
    snprintf(labels, sizeof labels, "%s/%s-labels-idx1-ubyte.gz", folder, prefix);
    bp_status status = bp_data_load_idx(context, images, labels, data);
    if (status == BP_STATUS_NOT_FOUND)
        return fashion_missing(context, directory, prefix);
    if (status == BP_STATUS_OK && (status = check_fashion(context, *data)) != BP_STATUS_OK) {
        bp_data_destroy(*data);
        *data = NULL;
    }
    return status;
}

/* ---------------------------------------------------------------- csv */

static bp_status load_csv(bp_data *data, const char *path, const char *target)
{
    bpi_csv table;
    BPI_TRY(bpi_csv_read(data->context, path, target, &table));
    data->source.x = table.x;
    data->source.x_type = BPI_TYPE_F32;
    data->source.rows = table.rows;
    data->source.inputs = table.inputs;
    data->source.targets = table.targets;
    data->source.target_cols = table.targets ? 1 : 0;
    data->source.classes = table.classes;
    data->x_bytes = table.x_bytes;
    data->targets_bytes = table.targets_bytes;
    data->classes_bytes = table.classes_bytes;
    data->kind = !table.targets ? BPI_TARGETS_NONE : table.classes ? BPI_TARGETS_EITHER : BPI_TARGETS_VALUES;
    return BP_STATUS_OK;
}

bp_status bp_data_load_csv(bp_context *context, const char *path, const char *target, bp_data **data)
{
    bp_data *made;
    BPI_TRY(bpi_load_begin(context, "bp_data_load_csv", path, "path", data, &made));
    return bpi_load_end(load_csv(made, path, target), made, data);
}
