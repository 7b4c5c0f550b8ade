/* bp_trainer_plan on the CUDA backend: to the byte what a model and its trainer then allocate on the device, in every
 * precision, with and without blocks, for every way of the products; and nothing more once steps are made, also of
 * fewer rows. On cuemu, which counts bytes; runs where BP_TEST_CUDA names the plug-in. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "host/context.h"
#include "support/cuemu.h"
#include "support/folder.h"
#include "support/run.h"

enum { INPUTS = 32, CLASSES = 4, ROWS = 1040 };

static const bp_precision precisions[] = {BP_PRECISION_F32, BP_PRECISION_TF32, BP_PRECISION_BF16};

typedef struct wanted {
    const char *layers, *ways, *plan;
    bool averages;       /* and observed */
    int64_t batch, last; /* rows of the first step and of the second */
} wanted;

/* What was allocated since the counters were reset; nothing may have been given back, which this would not see. */
static int64_t allocated(const char *what)
{
    cr_assert_eq(bpt_count("host", "frees"), 0, "%s: device memory was released", what);
    return bpt_count("host", "allocated_bytes");
}

static bp_memory_plan check(const wanted *w, bp_precision precision)
{
    char what[200];
    snprintf(what, sizeof what, "%s, %s, %s", w->layers, w->ways ? w->ways : "a plan", bp_precision_name(precision));
    bp_context_options where = {
        .struct_size = sizeof where, .backend = "cuda", .precision = precision, .plugin_dir = BP_BINARY_DIR};
    bp_context *context;
    bp_status status = bp_context_create(&where, &context);
    bpt_ok(context, status, what);
    if (!bpt_on_cuemu())
        cr_skip_test("this is a device, which counts nothing: cuemu does");
    bp_model_options net = {.struct_size = sizeof net, .inputs = INPUTS, .layers = w->layers};
    bp_trainer_options options = {.struct_size = sizeof options,
                                  .batch = w->batch,
                                  .optimizer = BP_OPTIMIZER_ADAM,
                                  .clip_norm = 1.0,
                                  .ways = w->ways,
                                  .plan = w->plan,
                                  .ema_decay = w->averages ? 0.9 : 0.0,
                                  .observed = w->averages};
    bp_data *data = bpt_classes(context, ROWS, INPUTS, CLASSES, 3);
    bp_model *model;
    bp_trainer *trainer;
    bp_memory_plan plan;
    bpt_reset_counts();
    bpt_ok(context, bp_model_create(context, &net, &model), what);
    int64_t of_model = allocated(what);
    bpt_ok(context, bp_trainer_plan(model, &options, &plan), what);
    cr_expect_eq(of_model, (int64_t)plan.parameter_bytes, "%s: the model took %lld bytes of %zu", what,
                 (long long)of_model, plan.parameter_bytes);
    cr_expect_eq(allocated(what), of_model, "%s: to plan takes memory", what);
    bpt_ok(context, bp_trainer_create(model, &options, &trainer), what);
    bp_observe_options observe = {.struct_size = sizeof observe, .every = 2};
    if (w->averages)
        bpt_ok(context, bp_trainer_observe(trainer, &observe), what);
    int64_t of_trainer = allocated(what) - of_model;
    cr_expect_eq(of_trainer, (int64_t)plan.total_bytes, "%s: the trainer took %lld bytes of %zu", what,
                 (long long)of_trainer, plan.total_bytes);
    const int64_t rows[] = {w->batch, w->last, 1 + w->last / 2};
    for (size_t s = 0; s < sizeof rows / sizeof *rows; s++)
        bpt_ok(context, bp_trainer_step_data(trainer, data, NULL, 0, rows[s]), what);
    int64_t of_steps = allocated(what) - of_model - of_trainer;
    cr_expect_eq(of_steps, 0, "%s: steps took %lld bytes more", what, (long long)of_steps);
    bp_trainer_destroy(trainer);
    bp_model_destroy(model);
    bp_data_destroy(data);
    bp_context_destroy(context);
    return plan;
}

/* Of 1040 rows, slices of rows are twice as long as of 1024, and half as many: the fewer rows want more workspace. */
Test(cuda_memory_plan, is_what_is_allocated_to_the_byte_in_every_precision_with_and_without_blocks)
{
    bpt_skip_without_cuda("cuda_test_cuda_memory_plan_lazy");
    static const char *const networks[] = {
        "40:relu,24:tanh,4",
        "40:relu:bn,40:gelu:ln:dropout=0.2:skip,33:sigmoid:nobias:ln,33:silu:dropout=0.1:skip,4",
        "48:relu,48:identity:bn:skip=1,4:tanh:dropout=0.1",
    };
    for (size_t n = 0; n < sizeof networks / sizeof *networks; n++)
        for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
            check(&(wanted){networks[n], "plain", NULL, false, ROWS, 1024}, precisions[p]);
            check(&(wanted){networks[n], "plain", NULL, true, 37, 2}, precisions[p]);
        }
}

/* The parts of a weight gradient are planned: bytes that the plain way has not. */
Test(cuda_memory_plan, holds_what_every_way_of_the_products_takes)
{
    bpt_skip_without_cuda("cuda_test_cuda_memory_plan_lazy");
    const char *layers = "24:relu,16:gelu_tanh,16:relu:bn,16:identity:nobias,4";
    static const struct {
        const char *ways;
        bool in_bf16;
    } cases[] = {
        {"forward_epilogue", false},
        {"forward_epilogue,delta_epilogue", false},
        {"weight_bias", false},
        {"weight_split", true},
        {"one_stream", true},
        {"forward_epilogue,delta_epilogue,weight_split,one_stream", false},
        {"forward_epilogue,delta_epilogue,weight_bias,weight_split", false},
    };
    for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
        size_t plain = check(&(wanted){layers, "plain", NULL, false, 1024, 1000}, precisions[p]).workspace_bytes;
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            bool all = c == sizeof cases / sizeof *cases - 1; /* tf32 takes what f32 does */
            if ((precisions[p] == BP_PRECISION_BF16 && !cases[c].in_bf16) ||
                (precisions[p] == BP_PRECISION_TF32 && !all))
                continue;
            wanted w = {layers, cases[c].ways, NULL, false, 1024, 1000};
            size_t workspace = check(&w, precisions[p]).workspace_bytes;
            bool parts = strstr(cases[c].ways, "weight_") != NULL;
            cr_expect(parts ? workspace > plain : workspace == plain, "%s: %zu bytes of workspace, plain %zu",
                      cases[c].ways, workspace, plain);
            /* 4 parts of 256 rows of the largest weights, 24 x 32 in f32 */
            if (strstr(cases[c].ways, "weight_split"))
                cr_expect_eq(workspace, plain + 4 * 24 * 32 * 4, "%s: %zu bytes of workspace, plain %zu", cases[c].ways,
                             workspace, plain);
        }
    }
}

/* 1040 rows make 4 parts of 260 at most, 1000 two of 500, and 333 can't be cut: then all layers go plain. */
Test(cuda_memory_plan, of_split_weight_gradients_holds_for_every_number_of_rows)
{
    bpt_skip_without_cuda("cuda_test_cuda_memory_plan_lazy");
    for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
        check(&(wanted){"24:relu,16:relu,4", "weight_split", NULL, true, ROWS, 1000}, precisions[p]);
        check(&(wanted){"24:relu,16:relu,4", "weight_split", NULL, false, 1030, 1024}, precisions[p]);
    }
}

/* A plan file may name any way: there is room for all. */
Test(cuda_memory_plan, of_a_plan_file_has_room_for_any_way)
{
    bpt_skip_without_cuda("cuda_test_cuda_memory_plan_lazy");
    bpt_folder folder = bpt_folder_make();
    for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
        char name[32];
        snprintf(name, sizeof name, "plan%zu.json", p);
        wanted w = {"24:relu,16:gelu_tanh,16:relu:ln,4", NULL, bpt_folder_file(&folder, name), false, 1024, 1000};
        for (int again = 0; again < 2; again++)
            check(&w, precisions[p]);
    }
    bpt_folder_remove(&folder);
}

/* What is free once a trainer is made by a plan file. */
static size_t free_with(const char *path, bool timed)
{
    bp_context *context = bpt_context("cuda", 1);
    if (!bpt_on_cuemu())
        cr_skip_test("this is a device, of which others may take memory meanwhile");
    bpi_backend *backend = context->backend;
    backend->traits.timed = timed;
    bp_model_options net = {.struct_size = sizeof net, .inputs = INPUTS, .layers = "8:relu,16:gelu_tanh,24:relu,4"};
    bp_trainer_options options = {.struct_size = sizeof options, .batch = 1024, .plan = path};
    bp_model *model;
    bp_trainer *trainer;
    size_t bytes;
    BPT_OK(context, bp_model_create(context, &net, &model));
    BPT_OK(context, bp_trainer_create(model, &options, &trainer));
    BPT_OK(context, backend->ops->memory_free(backend, &bytes));
    bp_trainer_destroy(trainer);
    bp_model_destroy(model);
    bp_context_destroy(context);
    return bytes;
}

/* Layers whose weights grow: a workspace that grew with them would leave the smaller ones behind. */
Test(cuda_memory_plan, is_not_exceeded_once_the_ways_were_measured)
{
    bpt_skip_without_cuda("cuda_test_cuda_memory_plan_lazy");
    bpt_folder folder = bpt_folder_make();
    const char *path = bpt_folder_file(&folder, "plan.json");
    size_t measured = free_with(path, true), read = free_with(path, false);
    cr_expect_eq(measured, read, "%zu bytes free after measuring, %zu where the file was read", measured, read);
    bpt_folder_remove(&folder);
}
