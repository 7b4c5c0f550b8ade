/* grads.c: backprop grads: loss and every gradient of one batch, as a file that others compare with. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "json.h"
#include "message.h"
#include "net.h"
#include "nonfinite.h"

/* clang-format off */
static const option_spec grads_specs[] = {
    {"x", OPTION_TEXT, offsetof(settings, x), "X.npy", NULL, "inputs of the batch, NPY [B,I]", NULL, 0, 0,
     OPTION_REQUIRED},
    {"y", OPTION_TEXT, offsetof(settings, y), "Y.npy", NULL,
     "targets, NPY: whole numbers [B] are classes, others [B] or [B,O] are values", NULL, 0, 0, OPTION_REQUIRED},
    {"weights", OPTION_TEXT, offsetof(settings, weights), "W.safetensors", NULL,
     "parameters, named as in torch.nn.Sequential", NULL, 0, 0, OPTION_REQUIRED},
    {"out", OPTION_TEXT, offsetof(settings, out), "G.safetensors", NULL,
     "where the gradients go: a tensor a parameter, under its name, and loss", NULL, 0, 0, OPTION_REQUIRED},
    {"batch", OPTION_COUNT, offsetof(settings, batch), "B", NULL,
     "samples of a micro-batch, over which batch norm takes its means [all]", NULL, 1, OPTION_UNLIMITED, 0},
    {"step", OPTION_COUNT, offsetof(settings, step), "N", "1",
     "step of a training, from 1, whose masks of dropout to take", NULL, 1, OPTION_UNLIMITED, 0},
    {"ways", OPTION_TEXT, offsetof(settings, ways), "NAME[,NAME...]", NULL,
     "how products are run, as for train", NULL, 0, 0, 0},
    {"plan", OPTION_TEXT, offsetof(settings, plan), "FILE", NULL,
     "the ways of all layers, as for train", NULL, 0, 0, OPTION_IS_PATH},
    {"json", OPTION_FLAG, offsetof(settings, json), NULL, NULL, "print the loss as JSON and nothing else", NULL, 0, 0,
     0},
};
/* clang-format on */

static const option_group groups[] = {OPTION_GROUP("Batch", grads_specs), NET_GROUP, COMPUTE_GROUP};

typedef struct gradients {
    bp_context *context;
    bp_data *data;
    bp_model *model;
    bp_trainer *trainer;
    bool finite;        /* the loss, and all gradients */
    bp_nonfinite place; /* where they are not: the first value of the kind */
} gradients;

/* Of the loss and of all gradients. */
static int look_at_values(gradients *g, double loss)
{
    g->finite = isfinite(loss);
    for (int64_t i = 0; g->finite && i < bp_model_tensor_count(g->model); i++) {
        bp_tensor_info info;
        TRY(check_library(g->context, bp_model_tensor_info(g->model, i, &info)));
        int64_t count = info.cols ? info.rows * info.cols : info.rows;
        double *values = malloc((size_t)count * sizeof *values);
        if (!values)
            return fail(STATUS_FAILED, "no memory for %lld numbers", (long long)count);
        int status = check_library(g->context, bp_trainer_get_gradient(g->trainer, info.name, values, count));
        for (int64_t k = 0; status == STATUS_OK && g->finite && k < count; k++)
            g->finite = isfinite(values[k]);
        free(values);
        TRY(status);
    }
    return STATUS_OK;
}

static int locate(gradients *g, double loss)
{
    g->place = (bp_nonfinite){.struct_size = sizeof g->place};
    TRY(look_at_values(g, loss));
    if (g->finite)
        return STATUS_OK;
    return check_library(g->context, bp_trainer_locate_data(g->trainer, g->data, 0, bp_data_rows(g->data), &g->place));
}

static int print(const option_set *options, const gradients *g, double loss)
{
    const settings *v = &options->values;
    /* as many digits as the backend's type holds */
    int digits = bp_context_precision(g->context) == BP_PRECISION_F64 ? 17 : 9;
    if (v->json) {
        json_t *root = json_pack("{so sI ss}", "loss", json_digits(loss, digits), "rows",
                                 (json_int_t)bp_data_rows(g->data), "out", v->out);
        if (!g->finite)
            json_object_set_new(root, "nonfinite_value", nonfinite_json(&g->place, -1));
        return json_print(root);
    }
    printf("loss %.*g\n%lld gradients of %lld samples written to %s\n", digits, loss,
           (long long)bp_model_tensor_count(g->model), (long long)bp_data_rows(g->data), v->out);
    if (!g->finite) {
        char text[512];
        bp_nonfinite_text(&g->place, -1, text, sizeof text);
        printf("%s\n", text);
    }
    return STATUS_OK;
}

static int compute(const option_set *options, gradients *g)
{
    const settings *v = &options->values;
    bp_step_result result;
    TRY(check_library(g->context, bp_data_load_npy(g->context, v->x, v->y, &g->data)));
    TRY(net_model(options, g->context, bp_data_inputs(g->data), &g->model));
    TRY(check_library(g->context, bp_data_check(g->data, g->model)));
    TRY(check_library(g->context, bp_model_load_weights(g->model, v->weights)));
    int64_t rows = bp_data_rows(g->data), batch = v->batch > 0 ? v->batch : rows;
    bp_trainer_options trainer_options = {.struct_size = sizeof trainer_options,
                                          .batch = batch,
                                          .accumulate = (rows + batch - 1) / batch,
                                          .seed = (uint64_t)v->seed,
                                          .ways = v->ways,
                                          .plan = v->plan,
                                          .steps_done = v->step - 1};
    TRY(check_library(g->context, bp_trainer_create(g->model, &trainer_options, &g->trainer)));
    TRY(check_library(g->context, bp_trainer_gradients_data(g->trainer, g->data, 0, rows)));
    TRY(check_library(g->context, bp_trainer_result(g->trainer, &result)));
    TRY(check_library(g->context, bp_trainer_save_gradients(g->trainer, v->out)));
    TRY(locate(g, result.loss));
    return print(options, g, result.loss);
}

static int run(option_set *options)
{
    TRY(options_require(options));
    gradients g = {0};
    int status = net_context(options, &g.context);
    if (status == STATUS_OK)
        status = compute(options, &g);
    bp_trainer_destroy(g.trainer);
    bp_model_destroy(g.model);
    bp_data_destroy(g.data);
    bp_context_destroy(g.context);
    return status;
}

const cli_command command_grads = {
    .name = "grads",
    .usage = "--x X.npy --y Y.npy NET --weights W.safetensors --out G.safetensors",
    .summary = "loss and every gradient of one batch",
    .details =
        "Computes the gradients of one batch in training mode, without clipping and without an update, and writes "
        "them under the parameters' names: f64 from the reference backend, f32 from the others. Where the loss or a "
        "gradient is NaN or infinite, it says where that began.",
    .example =
        "  backprop grads --x x.npy --y y.npy --layers 64:relu,10 --weights w.safetensors --out g.safetensors \\\n"
        "                 --backend reference\n",
    .groups = groups,
    .group_count = sizeof groups / sizeof *groups,
    .run = run,
};
