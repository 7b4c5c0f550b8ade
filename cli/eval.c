/* eval.c: backprop eval: loss and accuracy of a model on data. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "message.h"
#include "net.h"
#include "source.h"
#include "words.h"

static const char *const part_names[] = {"train", "test", NULL};

/* clang-format off */
static const option_spec eval_specs[] = {
    {"model", OPTION_TEXT, offsetof(settings, model), "FILE", NULL, "the model, a safetensors file", NULL, 0, 0,
     OPTION_REQUIRED},
    {"part", OPTION_WORD, offsetof(settings, part), "NAME", "test", "which part of --data", part_names, 0, 0, 0},
    {"json", OPTION_FLAG, offsetof(settings, json), NULL, NULL, "print the result as JSON and nothing else", NULL, 0, 0,
     0},
};
/* clang-format on */

static const option_group groups[] = {SOURCE_GROUP,
                                      OPTION_GROUP("Model", eval_specs),
                                      {"Model without metadata", net_brief_specs, NET_BRIEF_COUNT},
                                      COMPUTE_GROUP};

static int print(const option_set *options, const bp_model *model, const bp_evaluation *result)
{
    const settings *v = &options->values;
    if (v->json)
        return json_print(json_pack("{ss so sI so so}", "data", source_name(options), "part",
                                    v->data ? json_string(v->part) : json_null(), "rows", (json_int_t)result->rows,
                                    "loss", json_digits(result->loss, 17), "accuracy",
                                    json_digits(result->accuracy, 17)));
    words text;
    printf("data       %s%s%s%s, %s samples\n", source_name(options), v->data ? ", the " : "", v->data ? v->part : "",
           v->data ? " part" : "", words_count(&text, result->rows));
    printf("loss       %s (%s)\n", words_loss(&text, result->loss), bp_loss_name(bp_model_loss(model)));
    if (!isnan(result->accuracy))
        printf("accuracy   %.4f\n", result->accuracy);
    return STATUS_OK;
}

static int evaluate(const option_set *options, bp_context *context, const bp_data *data, bp_model **model)
{
    bp_evaluation result;
    TRY(net_load(options, context, bp_data_inputs(data), model));
    TRY(check_library(context, bp_data_check(data, *model)));
    TRY(check_library(context, bp_evaluate(*model, data, &result)));
    return print(options, *model, &result);
}

static int run(option_set *options)
{
    TRY(options_require(options));
    TRY(source_check(options));
    if (!options->values.data && options_origin(options, "part") != ORIGIN_PRESET)
        return fail(STATUS_USAGE, "--part goes with --data; other sources are taken whole");
    bp_context *context = NULL;
    bp_data *data = NULL;
    bp_model *model = NULL;
    int status = net_context(options, &context);
    if (status == STATUS_OK)
        status = source_load(options, context, options->values.part, &data);
    if (status == STATUS_OK)
        status = evaluate(options, context, data, &model);
    bp_model_destroy(model);
    bp_data_destroy(data);
    bp_context_destroy(context);
    return status;
}

const cli_command command_eval = {
    .name = "eval",
    .usage = "DATA --model FILE",
    .summary = "loss and accuracy of a model",
    .details = "Prints the mean loss and, where the targets are classes, the share of right answers.",
    .example = "  backprop eval --data fashion-mnist --model runs/first/model.safetensors\n",
    .groups = groups,
    .group_count = sizeof groups / sizeof *groups,
    .run = run,
};
