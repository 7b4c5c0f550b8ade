/* data: samples are looked through once, and fit a model or say why not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/data.h"
#include "support/fixture.h"

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
        {CLASSES, {0, 3}, 0, CE, "3", "give the last layer 4 units, or, where your classes count from 1"},
        {CLASSES, {9, 3}, 0, CE, "3", "row 0 (from 0) has the class 9"},
        {VALUES, {0.5f, 0.25f, 0.25f, 0, 1, 0}, 3, CE, "3", NULL},
        {VALUES, {0.5f, 0.25f, 0.25f, 0, 1.0009f, 0}, 3, CE, "3", "1.0009"},
        {VALUES, {0.5f, 0.25f, 0.2509f, 0, 1, 0}, 3, CE, "3", NULL},
        {VALUES, {0.5f, 0.25f, 0.2511f, 0, 1, 0}, 3, CE, "3", "row 0 (from 0) sum to 1.0011"},
        {VALUES, {1, 0, 0, 0, 0.998f, 0}, 3, CE, "3", "row 1 (from 0) sum to 0.998"},
        {VALUES, {1, 0, 0, 1.5f, -0.5f, 0}, 3, CE, "3", "row 1 (from 0) has the target -0.5"},
        {VALUES, {0.5f, 0.5f, 0.5f, 0.5f}, 2, CE, "3", "2 target columns, and the model has 3 outputs"},
        {VALUES, {0, 1}, 1, CE, "3", "class indices"},
        {VALUES, {-7.5f, 1}, 1, CE, "1", "for values take a loss such as mse"},
        {VALUES, {0, 1}, 1, CE, "1", "for values take a loss such as mse"},
        {VALUES, {1, 1}, 1, CE, "1", NULL},
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
        {CSV, {0, 1}, 1, BCE, "2", "1 target column, and the model has 2 outputs; give the last layer 1 unit"},
        {NONE, {0}, 0, BCE, "1", "no targets"},

        {VALUES, {-3, 50}, 1, BP_LOSS_MSE, "1", NULL},
        {VALUES, {-3, 50, 1, 1}, 2, BP_LOSS_HUBER, "2", NULL},
        {VALUES, {-3, 50, 1, 1}, 2, BP_LOSS_HALF_MSE, "1", "2 target columns"},
        {CSV, {-3, 50}, 1, BP_LOSS_MSE, "1", NULL},
        {CSV, {3, 50}, 1, BP_LOSS_HUBER, "1", NULL},
        {CSV, {3, 50}, 1, BP_LOSS_HUBER, "2", "1 target column, "},
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
