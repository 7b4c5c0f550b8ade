/* data: samples from every source are looked through once, fit a model or say why not, and are standardised by the
 * formulas. tests/data/ is made by make_data.py. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/data.h"
#include "host/model.h"
#include "support/folder.h"
#include "support/hooks.h"
#include "support/random.h"
#include "support/status.h"

#define DATA BP_SOURCE_DIR "/tests/data/"

static bpt_hooks hooks;
static bp_context *context;
static bpt_folder folder;

static void set_up(void)
{
    hooks = (bpt_hooks){0};
    context = bpt_hooks_context(&hooks);
    folder = bpt_folder_make();
}

static void tear_down(void)
{
    bpt_folder_remove(&folder);
    bp_context_destroy(context);
    cr_assert_eq(hooks.live, 0);
}

TestSuite(data, .init = set_up, .fini = tear_down);

/* ---------------------------------------------------------------- from arrays */

static const float x2x3[] = {1, 2, 3, 4, 5, 6};

Test(data, arrays_are_copied)
{
    float x[] = {1, 2, 3, 4, 5, 6};
    int64_t classes[] = {0, 4};
    bp_data *data;
    BPT_OK(context, bp_data_create(context, x, 2, 3, classes, NULL, 0, &data));
    memset(x, 0, sizeof x);
    memset(classes, 0, sizeof classes);
    cr_assert(bp_data_rows(data) == 2 && bp_data_inputs(data) == 3);
    cr_assert(bp_data_class_count(data) == 5 && bp_data_target_cols(data) == 0);
    float got[6];
    BPT_OK(context, bp_data_get_inputs(data, 0, 2, got));
    cr_assert_eq(memcmp(got, x2x3, sizeof got), 0);
    BPT_OK(context, bp_data_get_inputs(data, 1, 1, got));
    cr_assert_eq(got[0], 4.0f);
    BPT_OK(context, bp_data_get_inputs(data, 2, 0, got));
    BPT_FAILS(context, bp_data_get_inputs(data, 1, 2, got), BP_STATUS_INVALID_ARGUMENT, "has 2", "past the end");
    BPT_FAILS(context, bp_data_get_inputs(data, -1, 1, got), BP_STATUS_INVALID_ARGUMENT, "row -1", "before the start");
    BPT_FAILS(context, bp_data_get_inputs(data, 0, 1, NULL), BP_STATUS_INVALID_ARGUMENT, "x is NULL", "null");
    bp_data_destroy(data);
}

Test(data, nothing_is_asked_of_null)
{
    cr_assert(bp_data_rows(NULL) == 0 && bp_data_inputs(NULL) == 0);
    cr_assert(bp_data_class_count(NULL) == 0 && bp_data_target_cols(NULL) == 0);
    cr_assert_eq(bp_data_get_inputs(NULL, 0, 0, NULL), BP_STATUS_INVALID_ARGUMENT);
    cr_assert_eq(bp_data_check(NULL, NULL), BP_STATUS_INVALID_ARGUMENT);
    cr_assert_eq(bp_data_standardize(NULL, NULL), BP_STATUS_INVALID_ARGUMENT);
    bp_data_destroy(NULL);
}

Test(data, bad_arrays_are_refused_with_the_place)
{
    static const float nan_x[] = {1, 2, 3, 4, NAN, 6}, inf_y[] = {0, -INFINITY}, y[] = {0, 1};
    static const int64_t negative[] = {0, -7}, huge[] = {0, INT64_MAX}, classes[] = {0, 1};
    const struct {
        const float *x;
        int64_t rows, inputs;
        const int64_t *classes;
        const float *targets;
        int64_t cols;
        bp_status status;
        const char *word;
    } table[] = {
        {NULL, 2, 3, classes, NULL, 0, BP_STATUS_INVALID_ARGUMENT, "x is NULL"},
        {x2x3, 0, 3, classes, NULL, 0, BP_STATUS_INVALID_ARGUMENT, "0 rows"},
        {x2x3, 2, -1, classes, NULL, 0, BP_STATUS_INVALID_ARGUMENT, "-1 inputs"},
        {x2x3, INT64_MAX, 3, NULL, NULL, 0, BP_STATUS_INVALID_ARGUMENT, "do not fit"},
        {x2x3, INT64_MAX / 8, 3, NULL, NULL, 0, BP_STATUS_INVALID_ARGUMENT, "do"},
        {x2x3, 2, 3, classes, y, 1, BP_STATUS_INVALID_ARGUMENT, "one of the two"},
        {x2x3, 2, 3, NULL, y, 0, BP_STATUS_INVALID_ARGUMENT, "target_cols is 0"},
        {nan_x, 2, 3, NULL, NULL, 0, BP_STATUS_BAD_DATA, "inputs: row 1, column 1 (from 0) is NaN"},
        {x2x3, 2, 3, NULL, inf_y, 1, BP_STATUS_BAD_DATA, "targets: row 1, column 0 (from 0) is infinite"},
        {x2x3, 2, 3, negative, NULL, 0, BP_STATUS_BAD_DATA, "row 1 (from 0) has the class -7"},
        {x2x3, 2, 3, huge, NULL, 0, BP_STATUS_BAD_DATA, "row 1"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bp_data *data = (bp_data *)&folder;
        BPT_FAILS(context,
                  bp_data_create(context, table[i].x, table[i].rows, table[i].inputs, table[i].classes,
                                 table[i].targets, table[i].cols, &data),
                  table[i].status, table[i].word, table[i].word);
        cr_assert_null(data);
    }
    bp_data *data;
    cr_assert_eq(bp_data_create(NULL, x2x3, 2, 3, NULL, NULL, 0, &data), BP_STATUS_INVALID_ARGUMENT);
    cr_assert_eq(bp_data_create(context, x2x3, 2, 3, NULL, NULL, 0, NULL), BP_STATUS_INVALID_ARGUMENT);
}

/* The search for NaN goes in blocks: the last element of a block, the first of the next, and the last of all. */
Test(data, nonfinite_number_is_found_wherever_it_stands)
{
    enum { COUNT = 10000 };
    static const int64_t places[] = {0, 4095, 4096, 8191, COUNT - 1};
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    float *x = calloc(COUNT, sizeof *x);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (size_t k = 0; k < 3; k++) {
            char word[64];
            bp_data *data;
            x[places[i]] = bad[k];
            snprintf(word, sizeof word, "row %lld, column 0", (long long)places[i]);
            BPT_FAILS(context, bp_data_create(context, x, COUNT, 1, NULL, NULL, 0, &data), BP_STATUS_BAD_DATA, word,
                      word);
        }
        x[places[i]] = 0.0f;
    }
    free(x);
}

/* ---------------------------------------------------------------- does it fit the model? */

static bp_model *make_model(int64_t inputs, const char *layers, bp_loss loss)
{
    bp_model *model;
    bp_model_options options = {.struct_size = sizeof options, .inputs = inputs, .layers = layers, .loss = loss};
    BPT_OK(context, bp_model_create(context, &options, &model));
    return model;
}

enum { NONE, CLASSES, VALUES, CSV }; /* what the targets come as */

static bp_data *make_data(int kind, const float *values, int64_t cols)
{
    bp_data *data;
    int64_t classes[2] = {(int64_t)values[0], (int64_t)values[1]};
    if (kind == CSV) {
        char text[200];
        int length = snprintf(text, sizeof text, "a,b,c,y\n1,2,3,%g\n4,5,6,%g\n", (double)values[0], (double)values[1]);
        const char *path = bpt_folder_file(&folder, "made.csv");
        bpt_file_write(path, text, (size_t)length);
        BPT_OK(context, bp_data_load_csv(context, path, "y", &data));
        return data;
    }
    BPT_OK(context, bp_data_create(context, x2x3, 2, 3, kind == CLASSES ? classes : NULL,
                                   kind == VALUES ? values : NULL, cols, &data));
    return data;
}

Test(data, targets_and_losses_are_matched_by_the_table_of_the_header)
{
#define CE BP_LOSS_SOFTMAX_CROSS_ENTROPY
#define BCE BP_LOSS_BCE_WITH_LOGITS
    static const struct {
        int kind;
        float values[8];
        int64_t cols;
        bp_loss loss;
        const char *layers;
        const char *word; /* NULL: it fits */
    } table[] = {
        {CLASSES, {0, 2}, 0, CE, "3", NULL},
        {CLASSES, {0, 3}, 0, CE, "3", "row 1 (from 0) has the class 3, and the model has 3 outputs"},
        {CLASSES, {9, 3}, 0, CE, "3", "row 0 (from 0) has the class 9"},
        {VALUES, {0.5f, 0.25f, 0.25f, 0, 1, 0}, 3, CE, "3", NULL},
        {VALUES, {0.5f, 0.25f, 0.25f, 0, 1.0009f, 0}, 3, CE, "3", "1.0009"},
        {VALUES, {0.5f, 0.25f, 0.2509f, 0, 1, 0}, 3, CE, "3", NULL},
        {VALUES, {0.5f, 0.25f, 0.2511f, 0, 1, 0}, 3, CE, "3", "row 0 (from 0) sum to 1.0011"},
        {VALUES, {1, 0, 0, 0, 0.998f, 0}, 3, CE, "3", "row 1 (from 0) sum to 0.998"},
        {VALUES, {1, 0, 0, 1.5f, -0.5f, 0}, 3, CE, "3", "row 1 (from 0) has the target -0.5"},
        {VALUES, {0.5f, 0.5f, 0.5f, 0.5f}, 2, CE, "3", "2 target columns, and the model has 3 outputs"},
        {VALUES, {0, 1}, 1, CE, "3", "class indices"},
        {CSV, {0, 2}, 1, CE, "3", NULL},
        {CSV, {0, 3}, 1, CE, "3", "has the class 3"},
        {CSV, {0.5f, 2}, 1, CE, "3", "class indices"},
        {CSV, {-1, 2}, 1, CE, "3", "class indices"},
        {NONE, {0}, 0, CE, "3", "no targets"},

        {CLASSES, {0, 1}, 0, BCE, "1", NULL},
        {CLASSES, {1, 1}, 0, BCE, "1", NULL},
        {CLASSES, {0, 0}, 0, BCE, "1", NULL},
        {CLASSES, {0, 2}, 0, BCE, "1", "class indices as targets"},
        {CLASSES, {0, 1}, 0, BCE, "2", "class indices as targets"},
        {VALUES, {0, 1}, 1, BCE, "1", NULL},
        {VALUES, {0, 0.25f}, 1, BCE, "1", NULL},
        {VALUES, {0, 1.25f}, 1, BCE, "1", "row 1 (from 0) has the target 1.25"},
        {VALUES, {-0.25f, 1}, 1, BCE, "1", "row 0 (from 0) has the target -0.25"},
        {VALUES, {1, 1, 0, 1}, 2, BCE, "2", NULL},
        {VALUES, {1, 1, 0, 1}, 2, BCE, "3", "2 target columns"},
        {CSV, {0, 1}, 1, BCE, "1", NULL},
        {CSV, {0, 0.5f}, 1, BCE, "1", NULL},
        {CSV, {0, 2}, 1, BCE, "1", "has the target 2"},
        {CSV, {0, 1}, 1, BCE, "2", "1 target columns"},
        {NONE, {0}, 0, BCE, "1", "no targets"},

        {VALUES, {-3, 50}, 1, BP_LOSS_MSE, "1", NULL},
        {VALUES, {-3, 50, 1, 1}, 2, BP_LOSS_HUBER, "2", NULL},
        {VALUES, {-3, 50, 1, 1}, 2, BP_LOSS_HALF_MSE, "1", "2 target columns"},
        {CSV, {-3, 50}, 1, BP_LOSS_MSE, "1", NULL},
        {CSV, {3, 50}, 1, BP_LOSS_HUBER, "1", NULL},
        {CSV, {3, 50}, 1, BP_LOSS_HUBER, "2", "1 target columns"},
        {CLASSES, {0, 1}, 0, BP_LOSS_MSE, "1", "class indices as targets, and mse takes values"},
        {CLASSES, {0, 2}, 0, BP_LOSS_HALF_MSE, "3", "half_mse takes values [N,3]"},
        {CLASSES, {0, 2}, 0, BP_LOSS_HUBER, "1", "float32"},
        {NONE, {0}, 0, BP_LOSS_HUBER, "1", "no targets"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char label[100];
        snprintf(label, sizeof label, "line %zu of the table", i);
        bp_data *data = make_data(table[i].kind, table[i].values, table[i].cols);
        bp_model *model = make_model(3, table[i].layers, table[i].loss);
        if (table[i].word)
            BPT_FAILS(context, bp_data_check(data, model), BP_STATUS_INVALID_ARGUMENT, table[i].word, label);
        else
            cr_assert_eq(bp_data_check(data, model), BP_STATUS_OK, "%s: %s", label, bp_last_error(context));
        bp_model_destroy(model);
        bp_data_destroy(data);
    }
}

Test(data, width_of_the_inputs_must_fit)
{
    bp_data *data = make_data(CLASSES, (const float[]){0, 1}, 0);
    bp_model *model = make_model(4, "2", BP_LOSS_SOFTMAX_CROSS_ENTROPY);
    BPT_FAILS(context, bp_data_check(data, model), BP_STATUS_INVALID_ARGUMENT, "3 inputs, and the model takes 4",
              "check");
    BPT_FAILS(context, bp_data_standardize(data, model), BP_STATUS_INVALID_ARGUMENT, "3 inputs, and the model takes 4",
              "standardize");
    BPT_FAILS(context, bp_data_check(NULL, model), BP_STATUS_INVALID_ARGUMENT, "data is NULL", "data");
    BPT_FAILS(context, bp_data_check(data, NULL), BP_STATUS_INVALID_ARGUMENT, "model is NULL", "model");
    bp_model_destroy(model);
    bp_data_destroy(data);
}

/* What the steps read: classes 0 and 1 as values for one output, a CSV column as both. */
Test(data, both_forms_of_targets_hold_the_same)
{
    bp_data *data = make_data(CLASSES, (const float[]){1, 0}, 0);
    cr_assert(data->source.targets && data->source.target_cols == 1 && bp_data_target_cols(data) == 0);
    cr_assert(data->source.targets[0] == 1.0f && data->source.targets[1] == 0.0f);
    bp_data_destroy(data);
    data = make_data(CLASSES, (const float[]){1, 2}, 0);
    cr_assert_null(data->source.targets);
    bp_data_destroy(data);
    data = make_data(CSV, (const float[]){7, 2}, 1);
    cr_assert(data->source.targets[0] == 7.0f && data->source.classes[0] == 7);
    cr_assert(bp_data_class_count(data) == 8 && bp_data_target_cols(data) == 1);
    bp_data_destroy(data);
}

/* ---------------------------------------------------------------- npy */

Test(data, every_type_of_npy_becomes_float32_inputs)
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

Test(data, targets_of_npy_are_classes_or_values_by_their_type)
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

Test(data, bad_npy_inputs_and_targets_are_refused)
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

Test(data, images_are_scaled_to_1_and_labels_are_classes)
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

Test(data, images_and_labels_that_do_not_fit_are_refused)
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

Test(data, fashion_mnist_holds_as_many_images_of_each_class)
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

Test(data, missing_fashion_mnist_names_the_folder)
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

Test(data, folder_with_other_images_is_not_fashion_mnist)
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

/* ---------------------------------------------------------------- standardisation */

/* The mean and deviation that the model keeps, over float32 inputs, are the exact ones rounded to float32, or a
 * neighbour: in double the sums of n terms carry a relative error of n 2^-53, far below the 2^-24 of the last rounding.
 */
static void assert_standardized(const bp_model *model, int64_t column, long double mean, long double std)
{
    cr_assert(fabsl((long double)model->mean[column] - mean) <= 0x1.01p-24L * fabsl(mean), "mean %g, wanted %Lg",
              (double)model->mean[column], mean);
    cr_assert(fabsl((long double)model->std[column] - std) <= 0x1.01p-24L * std, "std %g, wanted %Lg",
              (double)model->std[column], std);
}

Test(data, mean_and_deviation_are_those_of_the_columns)
{
    enum { ROWS = 1000, COLUMNS = 5 };
    static float x[ROWS * COLUMNS];
    static const double offsets[COLUMNS] = {0, 1e4, -3e-3, 12345, 0.1}, scales[COLUMNS] = {1, 1, 1e-3, 1e-1, 1e30};
    bpt_random random = {5};
    for (int i = 0; i < ROWS * COLUMNS; i++)
        x[i] = (float)(offsets[i % COLUMNS] + scales[i % COLUMNS] * bpt_random_uniform(&random, -1.0, 1.0));
    bp_data *data;
    BPT_OK(context, bp_data_create(context, x, ROWS, COLUMNS, NULL, NULL, 0, &data));
    bp_model *model = make_model(COLUMNS, "1", BP_LOSS_MSE);
    cr_assert_not(bp_model_has_standardization(model));
    BPT_OK(context, bp_data_standardize(data, model));
    cr_assert(bp_model_has_standardization(model));
    for (int column = 0; column < COLUMNS; column++) {
        long double sum = 0, squares = 0;
        for (int row = 0; row < ROWS; row++)
            sum += (long double)x[row * COLUMNS + column];
        for (int row = 0; row < ROWS; row++)
            squares += powl((long double)x[row * COLUMNS + column] - sum / ROWS, 2);
        assert_standardized(model, column, sum / ROWS, sqrtl(squares / ROWS));
    }
    bp_model_destroy(model);
    bp_data_destroy(data);
}

/* 0.1f summed seven times and divided is not 0.1f, so a deviation from squares would be tiny and not zero; and a spread
 * of denormal numbers has a deviation whose inverse overflows. */
Test(data, columns_that_do_not_vary_get_deviation_1)
{
    enum { ROWS = 7 };
    float x[3 * ROWS];
    for (int i = 0; i < ROWS; i++) {
        x[3 * i] = 0.1f;
        x[3 * i + 1] = i ? 0.0f : 1e-44f;
        x[3 * i + 2] = (float)i;
    }
    bp_data *data;
    BPT_OK(context, bp_data_create(context, x, ROWS, 3, NULL, NULL, 0, &data));
    bp_model *model = make_model(3, "1", BP_LOSS_MSE);
    BPT_OK(context, bp_data_standardize(data, model));
    cr_assert(model->mean[0] == 0.1f && model->std[0] == 1.0f);
    cr_assert_eq(model->std[1], 1.0f);
    cr_assert(model->mean[2] == 3.0f && model->std[2] == 2.0f, "0 to 6: mean 3, variance 28/7");
    bp_model_destroy(model);
    bp_data_destroy(data);
}

Test(data, images_are_standardised_as_the_values_that_they_stand_for)
{
    bp_data *data;
    BPT_OK(context, bp_data_load_idx(context, DATA "images.idx", NULL, &data));
    bp_model *model = make_model(6, "1", BP_LOSS_MSE);
    BPT_OK(context, bp_data_standardize(data, model));
    /* Column k holds (k + 6 i) / 255, i = 0 to 4: mean (k + 12) / 255, deviation 6 sqrt(2) / 255. The pixels are
     * rounded to float32 once more, which the mean and the deviation can feel in their last place. */
    for (int k = 0; k < 6; k++) {
        cr_assert(fabs((double)model->mean[k] - (k + 12) / 255.0) <= 0x1p-23 * (k + 12) / 255.0);
        cr_assert(fabs((double)model->std[k] - 6 * sqrt(2.0) / 255) <= 0x1p-21 * 6 * sqrt(2.0) / 255);
    }
    bp_model_destroy(model);
    bp_data_destroy(data);
}

/* ---------------------------------------------------------------- memory */

typedef bp_status (*loader)(bp_data **data);

static bp_status load_arrays(bp_data **data)
{
    static const int64_t classes[] = {0, 1};
    return bp_data_create(context, x2x3, 2, 3, classes, NULL, 0, data);
}

static bp_status load_values(bp_data **data)
{
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

Test(data, every_failing_allocation_is_reported_and_leaks_nothing)
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

Test(data, standardisation_without_memory_leaves_the_model_as_it_was)
{
    bp_data *data = make_data(VALUES, (const float[]){0, 1}, 1);
    bp_model *model = make_model(3, "1", BP_LOSS_MSE);
    hooks.fail_at = hooks.calls + 1;
    BPT_FAILS(context, bp_data_standardize(data, model), BP_STATUS_OUT_OF_MEMORY, "bp_data_standardize", "memory");
    cr_assert_not(bp_model_has_standardization(model));
    bp_model_destroy(model);
    bp_data_destroy(data);
}
