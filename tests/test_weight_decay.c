/* Weight decay on every backend: it shrinks the weights of the linear layers, and biases and norms where asked to.
 * PyTorch's word on it is test_training_golden. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/judge.h"
#include "support/run.h"

enum { ROWS = 24, INPUTS = 7, CLASSES = 5, WIDEST = 11 * 13 };

/* With norms and with biases alone. */
static const char *const networks[] = {"11:relu:bn,13:tanh:ln,5", "11:relu,13:tanh,5"};

typedef struct run {
    bp_context *context;
    bp_model *model;
    bp_trainer *trainer;
} run;

static bool is_linear_weight(const bp_tensor_info *info)
{
    return info->cols > 0;
}

/* A network with no parameter at 0, where decay would not be seen. */
static run open_run(const char *backend, const char *layers, const bp_trainer_options *options)
{
    run r = {.context = bpt_context(backend, 2)};
    bp_model_options network = {.struct_size = sizeof network, .inputs = INPUTS, .layers = layers};
    bpt_ok(r.context, bp_model_create(r.context, &network, &r.model), layers);
    for (int64_t i = 0; i < bp_model_tensor_count(r.model); i++) {
        bp_tensor_info info;
        BPT_OK(r.context, bp_model_tensor_info(r.model, i, &info));
        int64_t count = info.cols ? info.rows * info.cols : info.rows;
        double values[WIDEST];
        for (int64_t k = 0; k < count; k++)
            values[k] = 0.5 - (double)((k * 7 + i) % 16) / 20.0;
        BPT_OK(r.context, bp_model_set_tensor(r.model, info.name, values, count));
    }
    BPT_OK(r.context, bp_trainer_create(r.model, options, &r.trainer));
    bp_data *data = bpt_classes(r.context, ROWS, INPUTS, CLASSES, 3);
    BPT_OK(r.context, bp_trainer_step_data(r.trainer, data, NULL, 0, ROWS));
    bp_data_destroy(data);
    return r;
}

static void close_run(run *r)
{
    bp_trainer_destroy(r->trainer);
    bp_model_destroy(r->model);
    bp_context_destroy(r->context);
}

/* After one step: the same bits with decay as without it in what is not decayed, and other values elsewhere. */
static void compare_tensors(const run *with, const run *without, bool all, const char *what)
{
    for (int64_t i = 0; i < bp_model_tensor_count(with->model); i++) {
        bp_tensor_info info;
        BPT_OK(with->context, bp_model_tensor_info(with->model, i, &info));
        int64_t count = info.cols ? info.rows * info.cols : info.rows, differ = 0;
        double decayed[WIDEST], plain[WIDEST];
        BPT_OK(with->context, bp_model_get_tensor(with->model, info.name, decayed, count));
        BPT_OK(without->context, bp_model_get_tensor(without->model, info.name, plain, count));
        for (int64_t k = 0; k < count; k++)
            differ += decayed[k] != plain[k];
        if (all || is_linear_weight(&info))
            cr_expect_gt(differ, count / 2, "%s: %s is decayed", what, info.name);
        else
            bpt_same_bits(decayed, plain, count, "%s: %s", what, info.name);
    }
}

static void check_backend(const char *backend, const char *layers)
{
    for (int k = 0; k < BP_OPTIMIZER_COUNT; k++)
        for (int all = 0; all < 2; all++) {
            /* an epsilon beside which gradients count: else Adam's first step is lr, whatever they are */
            bp_trainer_options options = {
                .struct_size = sizeof options, .batch = ROWS, .optimizer = (bp_optimizer)k, .lr = 0.1, .epsilon = 0.1};
            run without = open_run(backend, layers, &options);
            options.weight_decay = 0.5;
            options.decay_all = all;
            run with = open_run(backend, layers, &options);
            char what[128];
            snprintf(what, sizeof what, "%s %s %s%s", backend, layers, bp_optimizer_name(options.optimizer),
                     all ? ", all" : "");
            compare_tensors(&with, &without, all, what);
            close_run(&with);
            close_run(&without);
        }
}

Test(weight_decay, leaves_biases_and_norms_alone_unless_asked)
{
    const char *const backends[] = {"reference", "cpu", getenv("BP_TEST_CUDA") ? "cuda" : NULL};
    for (size_t b = 0; b < sizeof backends / sizeof *backends && backends[b]; b++)
        for (size_t n = 0; n < sizeof networks / sizeof *networks; n++)
            check_backend(backends[b], networks[n]);
}

Test(weight_decay, of_all_wants_a_decay)
{
    bp_context *context = bpt_context("reference", 1);
    bp_model_options network = {.struct_size = sizeof network, .inputs = INPUTS, .layers = "5"};
    bp_trainer_options options = {.struct_size = sizeof options, .decay_all = true};
    bp_model *model;
    bp_trainer *trainer;
    BPT_OK(context, bp_model_create(context, &network, &model));
    cr_expect_eq(bp_trainer_create(model, &options, &trainer), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_null(trainer);
    cr_expect_not_null(strstr(bp_last_error(context), "decay_all"), "%s", bp_last_error(context));
    bp_model_destroy(model);
    bp_context_destroy(context);
}
