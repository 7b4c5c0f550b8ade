/* source.c: see source.h. */
#include "source.h"

#include <string.h>

#include "message.h"

static const char *const data_names[] = {"fashion-mnist", NULL};

/* clang-format off */
const option_spec source_specs[SOURCE_COUNT] = {
    {"data", OPTION_WORD, offsetof(settings, data), "NAME", NULL, "a data set by name", data_names, 0, 0, 0},
    {"data-dir", OPTION_TEXT, offsetof(settings, data_dir), "DIR", NULL,
     "where its files are [where Debian's package dataset-fashion-mnist puts them]", NULL, 0, 0, OPTION_IS_PATH},
    {"x", OPTION_TEXT, offsetof(settings, x), "X.npy", NULL, "inputs, NPY [N,I]", NULL, 0, 0, OPTION_IS_PATH},
    {"y", OPTION_TEXT, offsetof(settings, y), "Y.npy", NULL,
     "targets, NPY: whole numbers [N] are classes, others [N] or [N,T] are values", NULL, 0, 0, OPTION_IS_PATH},
    {"csv", OPTION_TEXT, offsetof(settings, csv), "FILE", NULL, "a table with a line of column names, then numbers",
     NULL, 0, 0, OPTION_IS_PATH},
    {"target", OPTION_TEXT, offsetof(settings, target), "COLUMN", NULL, "the table's column to predict", NULL, 0, 0, 0},
    {"idx", OPTION_TWO_TEXTS, offsetof(settings, idx), "IMAGES LABELS", NULL, "two IDX files, plain or .gz", NULL, 0, 0,
     OPTION_IS_PATH},
};

const option_spec source_test_specs[SOURCE_TEST_COUNT] = {
    {"test-x", OPTION_TEXT, offsetof(settings, test_x), "X.npy", NULL, "inputs, as --x", NULL, 0, 0, OPTION_IS_PATH},
    {"test-y", OPTION_TEXT, offsetof(settings, test_y), "Y.npy", NULL, "targets, as --y", NULL, 0, 0, OPTION_IS_PATH},
    {"test-csv", OPTION_TEXT, offsetof(settings, test_csv), "FILE", NULL, "a table with the same columns as --csv", NULL,
     0, 0, OPTION_IS_PATH},
    {"test-idx", OPTION_TWO_TEXTS, offsetof(settings, test_idx), "IMAGES LABELS", NULL, "as --idx", NULL, 0, 0,
     OPTION_IS_PATH},
};
/* clang-format on */

static bool has_main(const settings *v)
{
    return v->data || v->x || v->y || v->csv || v->idx[0];
}

static bool has_test(const settings *v)
{
    return v->test_x || v->test_y || v->test_csv || v->test_idx[0];
}

int source_check(const option_set *options)
{
    const settings *v = &options->values;
    int sources = (v->data != NULL) + (v->x || v->y) + (v->csv != NULL) + (v->idx[0] != NULL);
    if (sources == 0)
        return fail(STATUS_USAGE, "no data: give --data fashion-mnist, --x and --y, --csv and --target, or --idx");
    if (sources > 1)
        return fail(STATUS_USAGE, "more than one source of data: give one of --data, --x and --y, --csv, --idx");
    if (v->data_dir && !v->data)
        return fail(STATUS_USAGE, "--data-dir goes with --data");
    if (!v->x != !v->y)
        return fail(STATUS_USAGE, "--x and --y go together; --%s is missing", v->x ? "y" : "x");
    if (!v->csv != !v->target)
        return fail(STATUS_USAGE, "--csv and --target go together; --%s is missing", v->csv ? "target" : "csv");
    if (!v->test_x != !v->test_y)
        return fail(STATUS_USAGE, "--test-x and --test-y go together; --%s is missing",
                    v->test_x ? "test-y" : "test-x");
    if (v->data && has_test(v))
        return fail(STATUS_USAGE, "--data %s brings its own test set; leave the --test options out", v->data);
    if ((v->test_x != NULL) + (v->test_csv != NULL) + (v->test_idx[0] != NULL) > 1)
        return fail(STATUS_USAGE, "more than one test set: give one of --test-x and --test-y, --test-csv, --test-idx");
    if (v->test_csv && !v->target)
        return fail(STATUS_USAGE, "--test-csv goes with --csv and --target");
    return STATUS_OK;
}

static void unset(option_set *options, const option_spec *specs, int count)
{
    for (int i = 0; i < count; i++) {
        int index = options_find(options, specs[i].name);
        if (index >= 0)
            options_unset(options, index);
    }
}

void source_replace(option_set *base, const option_set *options)
{
    if (has_main(&options->values)) {
        unset(base, source_specs, SOURCE_COUNT);
        unset(base, source_test_specs, SOURCE_TEST_COUNT);
    } else if (has_test(&options->values)) {
        unset(base, source_test_specs, SOURCE_TEST_COUNT);
    }
}

int source_load(const option_set *options, bp_context *context, const char *part, bp_data **data)
{
    const settings *v = &options->values;
    bp_status status;
    if (v->data)
        status = bp_data_load_fashion_mnist(context, v->data_dir, part, data);
    else if (v->x)
        status = bp_data_load_npy(context, v->x, v->y, data);
    else if (v->csv)
        status = bp_data_load_csv(context, v->csv, v->target, data);
    else
        status = bp_data_load_idx(context, v->idx[0], v->idx[1], data);
    return check_library(context, status);
}

int source_load_test(const option_set *options, bp_context *context, bp_data **data)
{
    const settings *v = &options->values;
    bp_status status = BP_STATUS_OK;
    *data = NULL;
    if (v->data)
        status = bp_data_load_fashion_mnist(context, v->data_dir, "test", data);
    else if (v->test_x)
        status = bp_data_load_npy(context, v->test_x, v->test_y, data);
    else if (v->test_csv)
        status = bp_data_load_csv(context, v->test_csv, v->target, data);
    else if (v->test_idx[0])
        status = bp_data_load_idx(context, v->test_idx[0], v->test_idx[1], data);
    return check_library(context, status);
}

const char *source_name(const option_set *options)
{
    const settings *v = &options->values;
    const char *path = v->x ? v->x : v->csv ? v->csv : v->idx[0];
    if (v->data)
        return v->data;
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}
