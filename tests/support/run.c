/* run.c: see run.h. */
#include "support/run.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "kernels/math/philox.h"

void bpt_ok(bp_context *context, bp_status status, const char *what)
{
    cr_assert_eq(status, BP_STATUS_OK, "%s: %s: %s", what, bp_status_name(status), bp_last_error(context));
}

bp_context *bpt_context(const char *backend, int threads)
{
    bp_context_options options = {
        .struct_size = sizeof options, .backend = backend, .threads = threads, .plugin_dir = BP_BINARY_DIR};
    bp_context *context;
    bp_status status = bp_context_create(&options, &context);
    bpt_ok(context, status, backend);
    return context;
}

static float number(uint64_t seed, uint64_t stream, int64_t index)
{
    return 2.0f * bpi_uniform_from_0(bpi_philox(seed, stream, (uint64_t)index).word[0]) - 1.0f;
}

bp_data *bpt_classes(bp_context *context, int64_t rows, int64_t inputs, int64_t classes, uint64_t seed)
{
    float *x = calloc((size_t)(rows * inputs), sizeof *x);
    int64_t *labels = calloc((size_t)rows, sizeof *labels);
    for (int64_t i = 0; i < rows * inputs; i++)
        x[i] = number(seed, 1, i);
    for (int64_t b = 0; b < rows; b++) {
        float best = -1e30f;
        for (int64_t c = 0; c < classes; c++) {
            float score = 0.0f;
            for (int64_t i = 0; i < inputs; i++)
                score += x[b * inputs + i] * number(12345, 2, c * inputs + i);
            if (score > best) {
                best = score;
                labels[b] = c;
            }
        }
    }
    bp_data *data;
    BPT_OK(context, bp_data_create(context, x, rows, inputs, labels, NULL, 0, &data));
    free(labels);
    free(x);
    return data;
}

double *bpt_model_parameters(bp_context *context, const bp_model *model, int64_t *count)
{
    *count = bp_model_parameter_count(model);
    double *values = calloc((size_t)*count, sizeof *values);
    int64_t at = 0;
    for (int64_t i = 0; i < bp_model_tensor_count(model); i++) {
        bp_tensor_info info;
        BPT_OK(context, bp_model_tensor_info(model, i, &info));
        int64_t elements = info.cols ? info.rows * info.cols : info.rows;
        BPT_OK(context, bp_model_get_tensor(model, info.name, values + at, elements));
        at += elements;
    }
    return values;
}
