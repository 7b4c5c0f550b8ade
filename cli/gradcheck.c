/* gradcheck.c: backprop gradcheck: analytic gradients against central differences, on random inputs and targets. */
#include <stdio.h>

#include "commands.h"
#include "json.h"
#include "message.h"
#include "net.h"
#include "samples.h"

static const char *const backend_names[] = {"reference", "auto", "cpu", "cuda", NULL};

/* clang-format off */
static const option_spec gradcheck_specs[] = {
    {"inputs", OPTION_COUNT, offsetof(settings, inputs), "I", "8", "width of the random inputs", NULL, 1, 1e6, 0},
    {"batch", OPTION_COUNT, offsetof(settings, batch), "B", "5", "random samples", NULL, 1, 1e6, 0},
    {"max-per-tensor", OPTION_COUNT, offsetof(settings, max_per_tensor), "N", NULL,
     "elements compared of each tensor, spread evenly [all]", NULL, 1, OPTION_UNLIMITED, 0},
    {"json", OPTION_FLAG, offsetof(settings, json), NULL, NULL, "print the result as JSON and nothing else", NULL, 0, 0,
     0},
    {"backend", OPTION_WORD, offsetof(settings, backend), "NAME", "reference",
     "what computes; differences need the reference's double precision", backend_names, 0, 0, 0},
};
/* clang-format on */

static const option_group groups[] = {NET_GROUP, OPTION_GROUP("Check", gradcheck_specs)};

typedef struct check {
    bp_context *context;
    bp_model *model;
    random_batch batch;
    json_t *tensors; /* NULL: a table on standard output */
} check;

static void on_tensor(void *user, const bp_gradcheck_tensor *t)
{
    check *c = user;
    if (!c->tensors) {
        printf("%-16s %9lld %9lld %9lld  %9.3g  %s\n", t->name, (long long)t->elements, (long long)t->checked,
               (long long)t->skipped, t->worst_error, t->passed ? "passed" : "FAILED");
        if (!t->passed)
            printf("  element %lld: analytic %.17g, numeric %.17g\n", (long long)t->worst_index, t->worst_analytic,
                   t->worst_numeric);
        return;
    }
    json_array_append_new(c->tensors, json_pack("{ss sI sI sI so so so sI sb}", "name", t->name, "elements",
                                                (json_int_t)t->elements, "checked", (json_int_t)t->checked, "skipped",
                                                (json_int_t)t->skipped, "worst_error", json_digits(t->worst_error, 6),
                                                "worst_analytic", json_digits(t->worst_analytic, 17), "worst_numeric",
                                                json_digits(t->worst_numeric, 17), "worst_index",
                                                (json_int_t)t->worst_index, "passed", t->passed));
}

static int compare(const option_set *options, check *c)
{
    const settings *v = &options->values;
    bool passed = false;
    TRY(net_model(options, c->context, v->inputs, &c->model));
    TRY(samples_draw(c->model, v->batch, v->inputs, (uint64_t)v->seed, &c->batch));
    if (v->json)
        c->tensors = json_array();
    else
        printf("%-16s %9s %9s %9s  %9s\n", "tensor", "elements", "checked", "kinks", "err/bound");
    bp_gradcheck_options check_options = {
        .struct_size = sizeof check_options, .max_per_tensor = v->max_per_tensor, .tensor = on_tensor, .user = c};
    TRY(check_library(c->context, bp_gradcheck(c->model, c->batch.x, c->batch.classes, c->batch.targets, v->batch,
                                               &check_options, &passed)));
    if (v->json)
        TRY(json_print(json_pack("{ss ss sI sI sO sb}", "layers", bp_model_layers(c->model), "loss",
                                 bp_loss_name(bp_model_loss(c->model)), "inputs", (json_int_t)v->inputs, "batch",
                                 (json_int_t)v->batch, "tensors", c->tensors, "passed", passed)));
    if (!passed)
        return fail(STATUS_FAILED, "the analytic gradient and the central differences disagree");
    if (!v->json)
        printf("all gradients agree with central differences\n");
    return STATUS_OK;
}

static int run(option_set *options)
{
    TRY(options_require(options));
    check c = {0};
    int status = net_context(options, &c.context);
    if (status == STATUS_OK)
        status = compare(options, &c);
    json_decref(c.tensors);
    samples_free(&c.batch);
    bp_model_destroy(c.model);
    bp_context_destroy(c.context);
    return status;
}

const cli_command command_gradcheck = {
    .name = "gradcheck",
    .usage = "NET [--inputs I] [--batch B]",
    .summary = "analytic gradients against central differences",
    .details =
        "Compares every gradient of a network with central differences of the loss in double precision, on random "
        "inputs and targets. err/bound is the largest disagreement over the bound that rounding and truncation "
        "allow; at kinks of ReLU and its kin no difference exists, and the element is left out.",
    .example = "  backprop gradcheck --layers 7:gelu,5:tanh,3 --loss mse\n",
    .groups = groups,
    .group_count = sizeof groups / sizeof *groups,
    .run = run,
};
