/* data_load: inputs and targets out of NPY, IDX and CSV files and Fashion-MNIST, and what is refused. tests/data/ is
 * made by make_data.py. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/data.h"
#include "support/fixture.h"

#define DATA BP_SOURCE_DIR "/tests/data/"

TestSuite(data_load, .init = set_up, .fini = tear_down);

/* ---------------------------------------------------------------- npy */

Test(data_load, every_type_of_npy_becomes_float32_inputs)
{
    static const char *const paths[] = {DATA "float32.npy", DATA "float64.npy", DATA "uint8.npy", DATA "int32.npy",
                                        DATA "int64.npy"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        bp_data *data;
        float got[24];
        BPT_OK(context, bp_data_load_npy(context, paths[i], NULL, &data));
        cr_assert(bp_data_rows(data) == 2 && bp_data_inputs(data) == 12, "%s", paths[i]);
        cr_assert(bp_data_class_count(data) == 0 && bp_data_target_cols(data) == 0);
        BPT_OK(context, bp_data_get_inputs(data, 0, 2, got));
        for (int k = 0; k < 24; k++)
            cr_assert_eq(got[k], (float)k);
        bp_data_destroy(data);
    }
}

/* An NPY file of version 1.0. */
static const char *npy(const char *name, const char *type, const char *shape, const void *values, size_t bytes)
{
    char content[600];
    int length = snprintf(content + 10, 500, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", type, shape);
    memcpy(content, "\x93NUMPY\x01\x00", 8);
    content[8] = (char)length;
    content[9] = 0;
    memcpy(content + 10 + length, values, bytes);
    const char *path = bpt_folder_file(&folder, name);
    bpt_file_write(path, content, (size_t)(10 + length) + bytes);
    return path;
}

Test(data_load, targets_of_npy_are_classes_or_values_by_their_type)
{
    static const float x[3] = {1, 2, 3}, f32[6] = {0.5f, 1, 2, 3, 4, 5};
    static const double f64[3] = {0.5, 1, 2};
    static const int64_t i64[3] = {4, 0, 1};
    static const int32_t i32[3] = {4, 0, 1};
    static const uint8_t u8[3] = {4, 0, 1};
    const struct {
        const char *type, *shape;
        const void *values;
        size_t bytes;
        int64_t class_count, target_cols;
    } table[] = {
        {"<i8", "(3,)", i64, sizeof i64, 5, 0},   {"<i4", "(3,)", i32, sizeof i32, 5, 0},
        {"|u1", "(3,)", u8, sizeof u8, 5, 0},     {"<f4", "(3,)", f32, sizeof x, 0, 1},
        {"<f4", "(3, 2)", f32, sizeof f32, 0, 2}, {"<f8", "(3, 1)", f64, sizeof f64, 0, 1},
    };
    const char *x_path = npy("x.npy", "<f4", "(3,)", x, sizeof x);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bp_data *data;
        BPT_OK(context,
               bp_data_load_npy(context, x_path,
                                npy("y.npy", table[i].type, table[i].shape, table[i].values, table[i].bytes), &data));
        cr_assert_eq(bp_data_inputs(data), 1);
        cr_assert_eq(bp_data_class_count(data), table[i].class_count, "%s", table[i].type);
        cr_assert_eq(bp_data_target_cols(data), table[i].target_cols, "%s", table[i].type);
        if (table[i].class_count)
            cr_assert(data->source.classes[0] == 4 && data->source.classes[2] == 1);
        else
            cr_assert(data->source.targets[0] == 0.5f && data->source.targets[1] == 1.0f);
        bp_data_destroy(data);
    }
}

Test(data_load, bad_npy_inputs_and_targets_are_refused)
{
    static const float x[3] = {1, 2, 3}, nan_x[3] = {1, NAN, 3};
    static const double large[3] = {1, 2, -1e39}, infinite[3] = {1, (double)INFINITY, 2};
    static const int64_t negative[3] = {4, 0, -1};
    const struct {
        const char *type, *shape;
        const void *values;
        size_t bytes;
        const char *word;
    } inputs[] =
        {
            {"<f4", "()", x, 4, "no dimension"},
            {"<f4", "(0, 3)", x, 0, "no samples"},
            {"<f4", "(3, 0)", x, 0, "no samples"},
            {"<f4", "(3,)", nan_x, sizeof nan_x, "row 1, column 0 (from 0) is NaN"},
            {"<f8", "(3,)", large, sizeof large, "element 2 (from 0) is -1e+39, beyond the range of float32"},
            {"<f8", "(3,)", infinite, sizeof infinite, "row 1, column 0 (from 0) is infinite"},
            {"<f2", "(3,)", x, 6, "<f2"},
        },
      targets[] = {
          {"<f4", "()", x, 4, "[N] or [N,T]"},
          {"<f4", "(3, 1, 1)", x, sizeof x, "[N] or [N,T]"},
          {"<f4", "(3, 0)", x, 0, "[N] or [N,T]"},
          {"<i8", "(3, 1)", negative, sizeof negative, "integers of 2 dimensions"},
          {"<i8", "(3,)", negative, sizeof negative, "row 2 (from 0) has the class -1"},
          {"<f4", "(2,)", x, 8, "3 samples and"},
          {"<f4", "(3,)", nan_x, sizeof nan_x, "targets: row 1"},
          {"<f8", "(3,)", large, sizeof large, "beyond the range"},
      };
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        bp_data *data;
        const char *path = npy("x.npy", inputs[i].type, inputs[i].shape, inputs[i].values, inputs[i].bytes);
        BPT_FAILS(context, bp_data_load_npy(context, path, NULL, &data), BP_STATUS_BAD_DATA, inputs[i].word,
                  inputs[i].word);
        cr_assert_null(data);
    }
    const char *x_path = npy("x.npy", "<f4", "(3,)", x, sizeof x);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        bp_data *data;
        const char *path = npy("y.npy", targets[i].type, targets[i].shape, targets[i].values, targets[i].bytes);
        BPT_FAILS(context, bp_data_load_npy(context, x_path, path, &data), BP_STATUS_BAD_DATA, targets[i].word,
                  targets[i].word);
        cr_assert_null(data);
    }
}

/* ---------------------------------------------------------------- idx and fashion-mnist */

Test(data_load, images_are_scaled_to_1_and_labels_are_classes)
{
    bp_data *data;
    BPT_OK(context, bp_data_load_idx(context, DATA "images.idx.gz", DATA "labels.idx", &data));
    cr_assert(bp_data_rows(data) == 5 && bp_data_inputs(data) == 6 && bp_data_class_count(data) == 4);
    float got[30];
    BPT_OK(context, bp_data_get_inputs(data, 0, 5, got));
    for (int i = 0; i < 30; i++)
        cr_assert_eq(got[i], (float)i / 255.0f);
    static const int64_t labels[] = {0, 3, 1, 2, 3};
    cr_assert_eq(memcmp(data->source.classes, labels, sizeof labels), 0);
    bp_data_destroy(data);
    BPT_OK(context, bp_data_load_idx(context, DATA "images.idx", NULL, &data));
    cr_assert(bp_data_rows(data) == 5 && bp_data_class_count(data) == 0);
    bp_data_destroy(data);
}

Test(data_load, images_and_labels_that_do_not_fit_are_refused)
{
    static const unsigned char four_labels[] = {0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3, 4},
                               no_images[] = {0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 3};
    const char *four = bpt_folder_file(&folder, "four.idx"), *none = bpt_folder_file(&folder, "none.idx");
    bpt_file_write(four, four_labels, sizeof four_labels);
    bpt_file_write(none, no_images, sizeof no_images);
    const struct {
        const char *images, *labels;
        bp_status status;
        const char *word;
    } table[] = {
        {DATA "labels.idx", DATA "images.idx", BP_STATUS_BAD_DATA, "is it the file of the labels?"},
        {DATA "images.idx", DATA "images.idx", BP_STATUS_BAD_DATA, "is it the file of the images?"},
        {DATA "images.idx", four, BP_STATUS_BAD_DATA, "5 samples and"},
        {none, NULL, BP_STATUS_BAD_DATA, "no samples"},
        {DATA "absent.idx", DATA "labels.idx", BP_STATUS_NOT_FOUND, "absent.idx"},
        {DATA "images.idx", DATA "absent.idx", BP_STATUS_NOT_FOUND, "absent.idx"},
        {DATA "images.idx", DATA "table.csv", BP_STATUS_BAD_DATA, "table.csv is no IDX file"},
        {NULL, DATA "labels.idx", BP_STATUS_INVALID_ARGUMENT, "images is NULL"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bp_data *data;
        BPT_FAILS(context, bp_data_load_idx(context, table[i].images, table[i].labels, &data), table[i].status,
                  table[i].word, table[i].word);
        cr_assert_null(data);
    }
}

Test(data_load, fashion_mnist_holds_as_many_images_of_each_class)
{
    if (access("/usr/share/datasets/fashion-mnist", R_OK) != 0)
        cr_skip_test("Debian's package dataset-fashion-mnist is not installed");
    static const struct {
        const char *part;
        int64_t rows;
    } parts[] = {{"train", 60000}, {"test", 10000}};
    for (int i = 0; i < 2; i++) {
        bp_data *data;
        BPT_OK(context, bp_data_load_fashion_mnist(context, NULL, parts[i].part, &data));
        cr_assert(bp_data_rows(data) == parts[i].rows && bp_data_inputs(data) == 784 &&
                  bp_data_class_count(data) == 10);
        int64_t seen[10] = {0};
        for (int64_t row = 0; row < parts[i].rows; row++)
            seen[data->source.classes[row]]++;
        for (int k = 0; k < 10; k++)
            cr_assert_eq(seen[k], parts[i].rows / 10);
        bp_data_destroy(data);
    }
}

Test(data_load, missing_fashion_mnist_names_the_folder)
{
    bp_data *data;
    BPT_FAILS(context, bp_data_load_fashion_mnist(context, folder.path, "train", &data), BP_STATUS_NOT_FOUND,
              folder.path, "folder");
    BPT_FAILS(context, bp_data_load_fashion_mnist(context, NULL, "training", &data), BP_STATUS_INVALID_ARGUMENT,
              "\"test\"", "part");
    BPT_FAILS(context, bp_data_load_fashion_mnist(context, NULL, NULL, &data), BP_STATUS_INVALID_ARGUMENT, "part",
              "null");
    if (access("/usr/share/datasets/fashion-mnist", R_OK) != 0)
        BPT_FAILS(context, bp_data_load_fashion_mnist(context, NULL, "train", &data), BP_STATUS_NOT_FOUND,
                  "dataset-fashion-mnist", "package");
}

Test(data_load, folder_with_other_images_is_not_fashion_mnist)
{
    static const char *const names[][2] = {{DATA "images.idx.gz", "train-images-idx3-ubyte.gz"},
                                           {DATA "labels.idx.gz", "train-labels-idx1-ubyte.gz"}};
    for (int i = 0; i < 2; i++) {
        size_t count;
        char *content = bpt_file_read(names[i][0], &count);
        bpt_file_write(bpt_folder_file(&folder, names[i][1]), content, count);
        free(content);
    }
    bp_data *data;
    BPT_FAILS(context, bp_data_load_fashion_mnist(context, folder.path, "train", &data), BP_STATUS_BAD_DATA,
              "6 inputs and 4 classes", "shape");
    cr_assert_null(data);
}

/* ---------------------------------------------------------------- names and arguments */

Test(data_load, end_of_a_long_path_names_the_data)
{
    static const float nan_x[] = {NAN};
    char name[240];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    memcpy(name + sizeof name - 1 - strlen("/the_end.npy"), "_the_end.npy", strlen("_the_end.npy"));
    bp_data *data;
    BPT_FAILS(context, bp_data_load_npy(context, npy(name, "<f4", "(1,)", nan_x, sizeof nan_x), NULL, &data),
              BP_STATUS_BAD_DATA, "nnn_the_end.npy: inputs: row 0", "name");
    cr_assert_eq(strncmp(bp_last_error(context), "...", 3), 0);
}

Test(data_load, missing_arguments_are_refused)
{
    bp_data *data;
    BPT_FAILS(context, bp_data_load_npy(context, NULL, NULL, &data), BP_STATUS_INVALID_ARGUMENT, "x_path is NULL",
              "npy");
    BPT_FAILS(context, bp_data_load_csv(context, NULL, "y", &data), BP_STATUS_INVALID_ARGUMENT, "path is NULL", "csv");
    BPT_FAILS(context, bp_data_load_csv(context, "a.csv", "y", NULL), BP_STATUS_INVALID_ARGUMENT, "data is NULL",
              "data");
    cr_assert_eq(bp_data_load_csv(NULL, "a.csv", "y", &data), BP_STATUS_INVALID_ARGUMENT);
    cr_assert_null(data);
}

/* ---------------------------------------------------------------- memory */

typedef bp_status (*loader)(bp_data **data);

static bp_status load_arrays(bp_data **data)
{
    static const float x2x3[] = {1, 2, 3, 4, 5, 6};
    static const int64_t classes[] = {0, 1};
    return bp_data_create(context, x2x3, 2, 3, classes, NULL, 0, data);
}

static bp_status load_values(bp_data **data)
{
    static const float x2x3[] = {1, 2, 3, 4, 5, 6};
    return bp_data_create(context, x2x3, 2, 3, NULL, x2x3, 2, data);
}

static bp_status load_idx(bp_data **data)
{
    return bp_data_load_idx(context, DATA "images.idx.gz", DATA "labels.idx.gz", data);
}

static bp_status load_csv(bp_data **data)
{
    return bp_data_load_csv(context, DATA "table.csv", "kind", data);
}

static bp_status load_npy(bp_data **data)
{
    static const int32_t x[3] = {1, 2, 3}, classes[3] = {1, 0, 1};
    return bp_data_load_npy(context, npy("x.npy", "<i4", "(3,)", x, sizeof x),
                            npy("y.npy", "<i4", "(3,)", classes, sizeof classes), data);
}

static bp_status load_npy_values(bp_data **data)
{
    static const float x[3] = {1, 2, 3};
    static const double y[3] = {1, 0, 1};
    return bp_data_load_npy(context, npy("x.npy", "<f4", "(3,)", x, sizeof x), npy("y.npy", "<f8", "(3,)", y, sizeof y),
                            data);
}

Test(data_load, every_failing_allocation_is_reported_and_leaks_nothing)
{
    static const struct {
        loader load;
        int allocations; /* at least */
    } loaders[] = {{load_arrays, 4}, {load_values, 3}, {load_idx, 4},
                   {load_csv, 6},    {load_npy, 6},    {load_npy_values, 4}};
    for (size_t i = 0; i < sizeof loaders / sizeof loaders[0]; i++) {
        int64_t before = hooks.live, failures = 0;
        for (bp_status status = BP_STATUS_OUT_OF_MEMORY; status != BP_STATUS_OK; failures++) {
            bp_data *data;
            hooks.fail_at = hooks.calls + failures + 1;
            status = loaders[i].load(&data);
            cr_assert(status == BP_STATUS_OK || status == BP_STATUS_OUT_OF_MEMORY, "%s", bp_last_error(context));
            cr_assert_eq(!data, status != BP_STATUS_OK);
            bp_data_destroy(data);
            cr_assert_eq(hooks.live, before, "loader %zu", i);
        }
        cr_assert_gt(failures, loaders[i].allocations, "loader %zu: %d failures", i, (int)failures);
    }
}
