/* predict.c: backprop predict: a model's outputs for rows of inputs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "json.h"
#include "message.h"
#include "net.h"
#include "words.h"

/* clang-format off */
static const option_spec predict_specs[] = {
    {"x", OPTION_TEXT, offsetof(settings, x), "X.npy", NULL, "inputs, NPY [N,I]", NULL, 0, 0, OPTION_REQUIRED},
    {"model", OPTION_TEXT, offsetof(settings, model), "FILE", NULL, "the model, a safetensors file", NULL, 0, 0,
     OPTION_REQUIRED},
    {"out", OPTION_TEXT, offsetof(settings, out), "Y.npy", NULL, "where the outputs go, NPY f32 [N,O]", NULL, 0, 0,
     OPTION_REQUIRED},
    {"probabilities", OPTION_FLAG, offsetof(settings, probabilities), NULL, NULL,
     "turn outputs into probabilities: softmax for softmax_cross_entropy, sigmoid for bce_with_logits", NULL, 0, 0, 0},
    {"json", OPTION_FLAG, offsetof(settings, json), NULL, NULL, "print what was done as JSON and nothing else", NULL, 0,
     0, 0},
};
/* clang-format on */

static const option_group groups[] = {OPTION_GROUP("Prediction", predict_specs),
                                      {"Model without metadata", net_brief_specs, NET_BRIEF_COUNT},
                                      COMPUTE_GROUP};

static void softmax_row(float *z, int64_t count)
{
    float most = z[0];
    for (int64_t i = 1; i < count; i++)
        if (z[i] > most)
            most = z[i];
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += exp((double)z[i] - (double)most);
    for (int64_t i = 0; i < count; i++)
        z[i] = (float)(exp((double)z[i] - (double)most) / sum);
}

static float sigmoid(float z)
{
    double e = exp(-fabs((double)z));
    return (float)(z < 0 ? e / (1 + e) : 1 / (1 + e));
}

static int to_probabilities(bp_loss loss, float *y, int64_t rows, int64_t cols)
{
    if (loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY) {
        for (int64_t i = 0; i < rows; i++)
            softmax_row(y + i * cols, cols);
        return STATUS_OK;
    }
    if (loss == BP_LOSS_BCE_WITH_LOGITS) {
        for (int64_t i = 0; i < rows * cols; i++)
            y[i] = sigmoid(y[i]);
        return STATUS_OK;
    }
    return fail(STATUS_FAILED, "the model's loss is %s, whose outputs are not probabilities; leave --probabilities out",
                bp_loss_name(loss));
}

static int write(const option_set *options, bp_context *context, bp_model *model, const bp_data *data, float *x,
                 float *y)
{
    const settings *v = &options->values;
    int64_t rows = bp_data_rows(data), cols = bp_model_outputs(model);
    TRY(check_library(context, bp_data_get_inputs(data, 0, rows, x)));
    TRY(check_library(context, bp_model_predict(model, x, rows, y)));
    if (v->probabilities)
        TRY(to_probabilities(bp_model_loss(model), y, rows, cols));
    TRY(check_library(context, bp_npy_write(context, v->out, y, rows, cols)));
    if (v->json)
        return json_print(json_pack("{ss sI sI sb}", "out", v->out, "rows", (json_int_t)rows, "outputs",
                                    (json_int_t)cols, "probabilities", v->probabilities));
    words text;
    printf("%s rows of %lld %s written to %s\n", words_count(&text, rows), (long long)cols,
           v->probabilities ? "probabilities" : "outputs", v->out);
    return STATUS_OK;
}

static int predict(const option_set *options, bp_context *context, bp_data **data, bp_model **model)
{
    TRY(check_library(context, bp_data_load_npy(context, options->values.x, NULL, data)));
    TRY(net_load(options, context, bp_data_inputs(*data), model));
    if (bp_data_inputs(*data) != bp_model_inputs(*model))
        return fail(STATUS_FAILED, "%s has %lld columns, but the model takes %lld inputs", options->values.x,
                    (long long)bp_data_inputs(*data), (long long)bp_model_inputs(*model));
    size_t rows = (size_t)bp_data_rows(*data);
    float *x = calloc(rows ? rows : 1, (size_t)bp_model_inputs(*model) * sizeof *x);
    float *y = calloc(rows ? rows : 1, (size_t)bp_model_outputs(*model) * sizeof *y);
    int status =
        x && y ? write(options, context, *model, *data, x, y) : fail(STATUS_FAILED, "out of memory for %zu rows", rows);
    free(y);
    free(x);
    return status;
}

static int run(option_set *options)
{
    TRY(options_require(options));
    bp_context *context = NULL;
    bp_data *data = NULL;
    bp_model *model = NULL;
    int status = net_context(options, &context);
    if (status == STATUS_OK)
        status = predict(options, context, &data, &model);
    bp_model_destroy(model);
    bp_data_destroy(data);
    bp_context_destroy(context);
    return status;
}

const cli_command command_predict = {
    .name = "predict",
    .usage = "--x X.npy --model FILE --out Y.npy",
    .summary = "outputs of a model for rows of inputs",
    .details =
        "Writes the network's outputs, which are logits where the loss is made from logits. Inputs are standardised "
        "as the model was trained.",
    .example = "  backprop predict --x images.npy --model runs/first/model.safetensors --out y.npy --probabilities\n",
    .groups = groups,
    .group_count = sizeof groups / sizeof *groups,
    .run = run,
};
