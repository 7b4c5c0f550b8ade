/* What a whole training step costs on the CUDA backend, as cuemu counts it, for 784-1024-1024-10 at a batch of 256 in
 * f32, adamw with both clippings and a schedule: one launch of a graph, no waiting, three kernels of ours for a hidden
 * layer, and each activation moved as often as forward and backward need. */
#include "host/trainer.h"
#include "support/cuemu.h"
#include "support/judge.h"
#include "support/run.h"

#include <criterion/criterion.h>

enum { BATCH = 256, INPUTS = 784, WIDTH = 1024, CLASSES = 10, HIDDEN = 2 };

static int64_t bytes(const char *kernel)
{
    return bpt_count(kernel, "global_read_bytes") + bpt_count(kernel, "global_write_bytes");
}

/* Launches of a kernel for hidden layers: `others` are for the output. */
static int64_t launches(const char *kernel, int64_t others)
{
    return bpt_count(kernel, "launches") - others;
}

static void check_launches(void)
{
    cr_expect_eq(bpt_count("host", "graph_launches"), 1);
    cr_expect_eq(bpt_count("host", "gemms"), 3 * (HIDDEN + 1) - 1, "the input needs no error");
    int64_t hidden = launches("activation_forward", 1) + launches("activation_backward", 0) +
                     launches("column_sums_finish", 1); /* the bias of the output, and its gradient */
    cr_expect_leq(hidden, 3 * HIDDEN, "%lld kernels for %d hidden layers", (long long)hidden, HIDDEN);
    /* and for the whole step: two for the batch, a bias, three for the loss, three for the update */
    cr_expect_leq(bpt_count("", "launches"), 3 * HIDDEN + 9);
}

/* Elements of [batch, width] that our kernels move, and that the products write, per hidden layer: z to a, a and the
 * error to delta, the two products' results; partial sums and biases beside them. What the products read is not here:
 * x, delta twice, and x again for the weight gradient. */
static void check_activations(void)
{
    const int64_t weights = (INPUTS + WIDTH + CLASSES) * WIDTH;
    int64_t output = 4 * BATCH * CLASSES;
    int64_t products = bpt_count("host", "gemm_write_bytes") - 4 * weights - output;
    int64_t ours =
        bytes("activation_forward") - 2 * output + bytes("activation_backward") + bytes("column_sums_finish");
    double layer = 4.0 * BATCH * WIDTH * HIDDEN;
    cr_expect(products == (int64_t)layer * 2, "products write %.3f elements", (double)products / layer);
    cr_expect((double)ours <= 5.25 * layer, "our kernels move %.3f elements", (double)ours / layer);
    cr_expect((double)(ours + products) <= 9.0 * layer);
}

static void check_update(int64_t count)
{
    double parameters = (double)count;
    cr_expect((double)(bytes("square_sums") + bytes("norm_finish")) <= 4.05 * parameters);
    cr_expect((double)bytes("update") <= 28.3 * parameters, "%g bytes a parameter",
              (double)bytes("update") / parameters);
    cr_expect((double)bytes("update") >= 27.9 * parameters, "the update was run");
}

Test(cuda_step_traffic, of_784_1024_1024_10_at_a_batch_of_256_is_what_the_design_says)
{
    bpt_skip_without_cuda("cuda_test_cuda_step_traffic_lazy");
    bp_context *context = bpt_context("cuda", 1);
    if (!bpt_on_cuemu())
        cr_skip_test("this is a device, which counts nothing: cuemu does");
    bp_model *model;
    bp_trainer *trainer;
    bp_model_options net = {.struct_size = sizeof net,
                            .inputs = INPUTS,
                            .layers = "1024:relu,1024:relu,10",
                            .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY};
    bpt_ok(context, bp_model_create(context, &net, &model), "model");
    bp_data *data = bpt_classes(context, BATCH, INPUTS, CLASSES, 3);
    bp_trainer_options options = {.struct_size = sizeof options,
                                  .batch = BATCH,
                                  .optimizer = BP_OPTIMIZER_ADAMW,
                                  .weight_decay = 0.01,
                                  .clip_norm = 1.0,
                                  .clip_value = 0.5,
                                  .schedule = BP_SCHEDULE_COSINE,
                                  .total_steps = 10};
    bpt_ok(context, bp_trainer_create(model, &options, &trainer), "trainer");
    const bpi_ops *ops = context->backend->ops;
    for (int step = 0; step < 3; step++) { /* the second is recorded; the third is what all others are like */
        bpt_ok(context, ops->synchronize(context->backend), "synchronize");
        bpt_reset_counts();
        bpt_ok(context, bp_trainer_step_data(trainer, data, NULL, 0, BATCH), "step");
    }
    cr_expect_eq(bpt_count("host", "synchronisations"), 0, "a step waits");
    cr_expect_eq(bpt_count("host", "allocations"), 0, "a step allocates");
    /* cuemu runs the work, and counts it, where something waits for it: that is not the step */
    bpt_ok(context, ops->synchronize(context->backend), "synchronize");
    check_launches();
    check_activations();
    check_update(model->parameter_count);
    bp_trainer_destroy(trainer);
    bp_data_destroy(data);
    bp_model_destroy(model);
    bp_context_destroy(context);
}
