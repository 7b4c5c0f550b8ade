/* verify.c: backprop verify: one batch's loss and gradients on a backend against the reference, judged by an error
 * bound. */
#include <stdio.h>

#include "commands.h"
#include "json.h"
#include "message.h"
#include "net.h"
#include "samples.h"

/* clang-format off */
static const option_spec verify_specs[] = {
    {"inputs", OPTION_COUNT, offsetof(settings, inputs), "I", "8", "width of the random inputs", NULL, 1, 1e6, 0},
    {"batch", OPTION_COUNT, offsetof(settings, batch), "B", "5", "random samples", NULL, 1, 1e6, 0},
    {"ways", OPTION_TEXT, offsetof(settings, ways), "NAME[,NAME...]", NULL,
     "how products are run, as for train", NULL, 0, 0, 0},
    {"json", OPTION_FLAG, offsetof(settings, json), NULL, NULL, "print the result as JSON and nothing else", NULL, 0, 0,
     0},
};
/* clang-format on */

static const option_group groups[] = {NET_GROUP, OPTION_GROUP("Check", verify_specs), COMPUTE_GROUP};

typedef struct verification {
    bp_context *context;
    bp_model *model;
    random_batch batch;
    json_t *tensors; /* NULL: a table on standard output */
} verification;

static void on_tensor(void *user, const bp_verify_tensor *t)
{
    verification *v = user;
    if (!v->tensors) {
        printf("%-16s %9lld  %9.3g %9lld  %14.7g %14.7g  %9.2g  %s\n", t->name, (long long)t->elements, t->worst_error,
               (long long)t->worst_index, t->worst_value, t->worst_reference, t->worst_bound,
               t->passed ? "passed" : "FAILED");
        return;
    }
    json_array_append_new(v->tensors,
                          json_pack("{ss sI so sI so so so sb}", "name", t->name, "elements", (json_int_t)t->elements,
                                    "worst_error", json_digits(t->worst_error, 6), "worst_index",
                                    (json_int_t)t->worst_index, "worst_value", json_digits(t->worst_value, 17),
                                    "worst_reference", json_digits(t->worst_reference, 17), "worst_bound",
                                    json_digits(t->worst_bound, 6), "passed", t->passed));
}

static int compare(const option_set *options, verification *v)
{
    const settings *s = &options->values;
    bool passed = false;
    TRY(net_model(options, v->context, s->inputs, &v->model));
    TRY(samples_draw(v->model, s->batch, s->inputs, (uint64_t)s->seed, &v->batch));
    const char *precision = bp_precision_name(bp_context_precision(v->context));
    if (s->json)
        v->tensors = json_array();
    else
        printf("backend %s (%s), %s, against reference, f64\n%-16s %9s  %9s %9s  %14s %14s  %9s\n",
               bp_context_backend(v->context), bp_context_engine(v->context), precision, "tensor", "elements",
               "err/bound", "worst at", "value", "reference", "bound");
    bp_verify_options verify_options = {
        .struct_size = sizeof verify_options, .tensor = on_tensor, .user = v, .ways = s->ways};
    TRY(check_library(v->context, bp_verify(v->model, v->batch.x, v->batch.classes, v->batch.targets, s->batch,
                                            &verify_options, &passed)));
    if (s->json)
        TRY(json_print(json_pack("{ss ss ss ss sI sI sO sb}", "backend", bp_context_backend(v->context), "precision",
                                 precision, "layers", bp_model_layers(v->model), "loss",
                                 bp_loss_name(bp_model_loss(v->model)), "inputs", (json_int_t)s->inputs, "batch",
                                 (json_int_t)s->batch, "tensors", v->tensors, "passed", passed)));
    if (!passed)
        return fail(STATUS_FAILED, "backend %s is further from the reference than %s allows",
                    bp_context_backend(v->context), precision);
    if (!s->json)
        printf("loss and all gradients are within the bounds of %s\n", precision);
    return STATUS_OK;
}

static int run(option_set *options)
{
    TRY(options_require(options));
    verification v = {0};
    int status = net_context(options, &v.context);
    if (status == STATUS_OK)
        status = compare(options, &v);
    json_decref(v.tensors);
    samples_free(&v.batch);
    bp_model_destroy(v.model);
    bp_context_destroy(v.context);
    return status;
}

const cli_command command_verify = {
    .name = "verify",
    .usage = "NET --backend B [--inputs I] [--batch B]",
    .summary = "one batch on a backend against the reference",
    .details =
        "Computes loss and gradients of a network on a backend and on the reference in double precision, on random "
        "inputs and targets, and judges every element by an error bound that follows from the precision, the network "
        "and the batch. err/bound is the worst of each tensor; up to 1 passes.",
    .example = "  backprop verify --layers 256:gelu,64:tanh,10 --inputs 100 --batch 32 --backend cpu\n",
    .groups = groups,
    .group_count = sizeof groups / sizeof *groups,
    .run = run,
};
