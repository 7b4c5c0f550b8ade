/* test_workspace.c: the workspace is large enough for every number of rows that comes up, also where fewer rows need
 * more of it: rows are cut into a limited number of groups, and what just fits the limit has more than what does not.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "host/trainer.h"
#include "support/run.h"

enum { MANY = 1040, FEW = 1024, INPUTS = 8, WIDTH = 1024, CLASSES = 4 };

static bpi_ops spy;
static const bpi_ops *real;
static size_t reserved;

static bp_status reserve(bpi_backend *backend, bpi_workspace workspace)
{
    reserved = workspace.bytes > reserved ? workspace.bytes : reserved;
    return real->reserve(backend, workspace);
}

static size_t wanted(bp_context *context, const bp_model *model, int64_t rows)
{
    bpi_linear_spec spec = {.rows = rows,
                            .inputs = INPUTS,
                            .outputs = WIDTH,
                            .ld_x = bpi_leading_dimension(context->backend, INPUTS),
                            .ld_w = bpi_leading_dimension(context->backend, INPUTS),
                            .ld_a = bpi_leading_dimension(context->backend, WIDTH),
                            .ld_d_x = bpi_error_ld(context->backend, INPUTS),
                            .ld_delta = bpi_error_ld(context->backend, WIDTH),
                            .gradients = true};
    return real->workspace_bytes(context->backend, &spec, model->parameter_count).bytes;
}

Test(workspace, is_large_enough_for_a_smaller_batch_that_needs_more)
{
    bp_context *context = bpt_context("cpu", 2);
    bp_model *model;
    bp_trainer *trainer;
    bp_model_options options = {.struct_size = sizeof options, .inputs = INPUTS, .layers = "1024:relu:bn,4"};
    bp_trainer_options trainer_options = {.struct_size = sizeof trainer_options, .batch = MANY};
    real = context->backend->ops;
    spy = *real;
    spy.reserve = reserve;
    context->backend->ops = &spy;
    BPT_OK(context, bp_model_create(context, &options, &model));
    BPT_OK(context, bp_trainer_create(model, &trainer_options, &trainer));
    cr_assert_gt(wanted(context, model, FEW), wanted(context, model, MANY), "the case that this test is about");
    bp_data *data = bpt_classes(context, MANY + FEW, INPUTS, CLASSES, 3);
    BPT_OK(context, bp_trainer_step_data(trainer, data, NULL, 0, MANY));
    BPT_OK(context, bp_trainer_step_data(trainer, data, NULL, MANY, FEW));
    cr_assert_geq(reserved, wanted(context, model, FEW));
    context->backend->ops = real;
    bp_data_destroy(data);
    bp_trainer_destroy(trainer);
    bp_model_destroy(model);
    bp_context_destroy(context);
}
