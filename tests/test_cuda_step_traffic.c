/* What a whole training step costs on the CUDA backend, as cuemu counts it, for 784-1024-1024-10 at a batch of 256 in
 * f32, adamw with both clippings and a schedule: one launch of a graph, no waiting, three kernels of ours for a hidden
 * layer, and each activation moved as often as forward and backward need. And what one more hidden layer costs on each
 * way that products can go. */
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
    cr_expect((double)ours <= 5.1 * layer, "our kernels move %.3f elements", (double)ours / layer);
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

typedef struct stepped {
    bp_context *context;
    bp_model *model;
    bp_data *data;
    bp_trainer *trainer;
} stepped;

/* The third step of a network, counted: the second was recorded, and all that follow are like the third. */
static stepped count_step(const char *layers, int64_t inputs, const char *ways)
{
    stepped s = {.context = bpt_context("cuda", 1)};
    if (!bpt_on_cuemu())
        cr_skip_test("this is a device, which counts nothing: cuemu does");
    bp_model_options net = {
        .struct_size = sizeof net, .inputs = inputs, .layers = layers, .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY};
    bp_trainer_options options = {.struct_size = sizeof options,
                                  .batch = BATCH,
                                  .optimizer = BP_OPTIMIZER_ADAMW,
                                  .weight_decay = 0.01,
                                  .clip_norm = 1.0,
                                  .clip_value = 0.5,
                                  .schedule = BP_SCHEDULE_COSINE,
                                  .total_steps = 10,
                                  .ways = ways};
    bpt_ok(s.context, bp_model_create(s.context, &net, &s.model), "model");
    s.data = bpt_classes(s.context, BATCH, inputs, CLASSES, 3);
    bpt_ok(s.context, bp_trainer_create(s.model, &options, &s.trainer), "trainer");
    const bpi_ops *ops = s.context->backend->ops;
    for (int step = 0; step < 3; step++) {
        bpt_ok(s.context, ops->synchronize(s.context->backend), "synchronize");
        bpt_reset_counts();
        bpt_ok(s.context, bp_trainer_step_data(s.trainer, s.data, NULL, 0, BATCH), "step");
    }
    cr_expect_eq(bpt_count("host", "synchronisations"), 0, "a step waits");
    cr_expect_eq(bpt_count("host", "allocations"), 0, "a step allocates");
    /* cuemu runs the work, and counts it, where something waits for it: that is not the step */
    bpt_ok(s.context, ops->synchronize(s.context->backend), "synchronize");
    return s;
}

static void close_step(stepped *s)
{
    bp_trainer_destroy(s->trainer);
    bp_data_destroy(s->data);
    bp_model_destroy(s->model);
    bp_context_destroy(s->context);
}

Test(cuda_step_traffic, of_784_1024_1024_10_at_a_batch_of_256_is_what_the_design_says)
{
    bpt_skip_without_cuda("cuda_test_cuda_step_traffic_lazy");
    stepped s = count_step("1024:relu,1024:relu,10", INPUTS, NULL);
    check_launches();
    check_activations();
    check_update(s.model->parameter_count);
    close_step(&s);
}

/* ---------------------------------------------------------------- one more hidden layer */

enum { LAYER_WIDTH = 256 };

typedef struct layer_cost {
    int64_t launches, gemms;
    double elements; /* of [batch, width], what products read counted too */
} layer_cost;

static layer_cost cost_of(const char *layers, const char *ways)
{
    stepped s = count_step(layers, LAYER_WIDTH, ways);
    int64_t moved = bpt_count("host", "gemm_read_bytes") + bpt_count("host", "gemm_write_bytes") +
                    bpt_count("host", "epilogue_read_bytes") + bpt_count("host", "epilogue_write_bytes") +
                    bytes("activation_forward") + bytes("activation_backward") + bytes("column_sums");
    layer_cost cost = {bpt_count("", "launches"), bpt_count("host", "gemms"),
                       (double)moved / (4.0 * BATCH * LAYER_WIDTH)};
    close_step(&s);
    return cost;
}

/* The difference between three hidden layers and two, without the weights, which are read twice and their gradient
 * written once. */
static layer_cost cost_of_a_layer(const char *ways)
{
    layer_cost two = cost_of("256:relu,256:relu,10", ways), three = cost_of("256:relu,256:relu,256:relu,10", ways);
    double weights = 3.0 * LAYER_WIDTH / BATCH;
    return (layer_cost){three.launches - two.launches, three.gemms - two.gemms,
                        three.elements - two.elements - weights};
}

/* Forward reads x and writes a, the error reads delta and writes that of the layer below, the weight gradient reads
 * both: 6. A mask of signs, written and read, is 1/16 of f32. A pass for the activation takes 2 more, one for the
 * derivative 3. Beside them biases, their gradients and partial sums. */
Test(cuda_step_traffic, of_a_hidden_layer_is_what_each_way_must_move)
{
    bpt_skip_without_cuda("cuda_test_cuda_step_traffic_lazy");
    static const struct {
        const char *ways;
        int64_t launches;
        double least, most;
    } cases[] = {
        {"plain", 3, 11.0, 11.1},
        {"weight_bias", 2, 11.0, 11.1},
        {"forward_epilogue", 2, 9.0, 9.1},
        {"forward_epilogue,weight_bias", 1, 9.0, 9.1},
        {"forward_epilogue,delta_epilogue", 0, 6.0625, 6.1},
        {"forward_epilogue,delta_epilogue,weight_bias", 0, 6.0625, 6.1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        layer_cost cost = cost_of_a_layer(cases[i].ways);
        cr_expect_eq(cost.launches, cases[i].launches, "%s: %lld kernels", cases[i].ways, (long long)cost.launches);
        cr_expect_eq(cost.gemms, 3, "%s", cases[i].ways);
        cr_expect(cost.elements >= cases[i].least && cost.elements <= cases[i].most, "%s: %.4f elements", cases[i].ways,
                  cost.elements);
    }
}
