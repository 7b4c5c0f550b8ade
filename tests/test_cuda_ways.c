/* The ways that the CUDA backend's products can go besides the plain one (ops.h, bpi_way), one operation at a time:
 * each is run, gives what it should, and is refused with the reason where it can't be gone. Runs where BP_TEST_CUDA
 * names the plug-in. */
#include <math.h>
#include <string.h>

#include "host/trainer.h"
#include "support/activation.h"
#include "support/cuemu.h"
#include "support/judge.h"

#include <criterion/criterion.h>

TestSuite(cuda_ways, .fini = bpt_clean);

static bpt_device *open_cuda(void)
{
    bpt_skip_without_cuda("cuda_test_cuda_ways_lazy");
    return bpt_open(bpt_fast(), 1);
}

/* ---------------------------------------------------------------- operations, on whole numbers */

/* Small whole numbers: every sum of their products is exact, in whatever order. */
static double *whole(bpt_random *random, int64_t count)
{
    double *values = bpt_doubles(count);
    for (int64_t k = 0; k < count; ++k)
        values[k] = floor(bpt_random_uniform(random, -3.0, 4.0));
    return values;
}

static bpt_linear_values whole_values(bpt_shape shape, uint64_t seed)
{
    bpt_random random = {seed};
    return (bpt_linear_values){.x = whole(&random, shape.rows * shape.inputs),
                               .w = whole(&random, shape.outputs * shape.inputs),
                               .bias = whole(&random, shape.outputs),
                               .delta = whole(&random, shape.rows * shape.outputs)};
}

/* The plan of the layer made anew with these ways. */
static void go(bpt_linear *linear, unsigned ways, bp_activation below, bool below_bias, bool keeps_mask)
{
    const bpi_ops *ops = linear->device->ops;
    ops->linear_unplan(linear->device->backend, linear->plan);
    linear->spec.ways = ways;
    linear->spec.keeps_mask = keeps_mask;
    linear->spec.below_runs = true;
    linear->spec.below = below;
    linear->spec.below_bias = below_bias;
    bpi_workspace workspace = ops->workspace_bytes(linear->device->backend, &linear->spec, 1);
    cr_assert_eq(ops->reserve(linear->device->backend, workspace), BP_STATUS_OK);
    bp_status status = ops->linear_plan(linear->device->backend, &linear->spec, &linear->plan);
    cr_assert_eq(status, BP_STATUS_OK, "%s", linear->device->error.text);
}

static void *new_mask(bpt_device *device, int64_t rows, int64_t cols)
{
    void *mask;
    cr_assert_eq(device->ops->allocate(device->backend, bpi_mask_bytes(rows, cols), &mask), BP_STATUS_OK);
    return mask;
}

static void check_signs(const unsigned char *mask, bpt_shape shape, const double *a)
{
    for (int64_t b = 0; b < shape.rows; ++b)
        for (int64_t o = 0; o < shape.outputs; ++o) {
            int64_t bit = b * bpi_mask_ld(shape.outputs) + o;
            cr_assert_eq(mask[bit / 8] >> (bit % 8) & 1, a[b * shape.outputs + o] > 0.0, "row %lld, unit %lld",
                         (long long)b, (long long)o);
        }
}

Test(cuda_ways, forward_epilogue_gives_the_numbers_of_the_plain_way_and_the_signs)
{
    bpt_device *device = open_cuda();
    for (int s = 0; s < BPT_SHAPE_COUNT; ++s)
        for (int relu = 0; relu < 2; ++relu) {
            bpt_shape shape = bpt_shapes[s];
            bpt_linear_values values = whole_values(shape, 71);
            if (relu && s % 3 == 0)
                values.bias = NULL;
            bpt_linear linear =
                bpt_linear_open(device, shape, relu ? BP_ACTIVATION_RELU : BP_ACTIVATION_IDENTITY, s % 2, &values);
            const void *x = linear.x.view.data, *w = linear.w.view.data,
                       *bias = values.bias ? linear.bias.view.data : NULL;
            BPT_RUN(device, linear_forward, linear.plan, x, w, bias, NULL, linear.a.view.data);
            double *want = bpt_get(&linear.a);
            bpt_put(&linear.a, NULL);
            go(&linear, 1u << BPI_WAY_FORWARD, BP_ACTIVATION_IDENTITY, false, false);
            BPT_RUN(device, linear_forward, linear.plan, x, w, bias, NULL, linear.a.view.data);
            int64_t count = shape.rows * shape.outputs;
            double *zeros = bpt_doubles(count), *got = bpt_get(&linear.a);
            if (bpt_says_something(want, count))
                bpt_compare(got, want, zeros, count, "shape %d, relu %d", s, relu);
            if (relu) {
                size_t bytes = bpi_mask_bytes(shape.rows, shape.outputs);
                void *mask = new_mask(device, shape.rows, shape.outputs);
                unsigned char *signs = calloc(1, bytes);
                go(&linear, 1u << BPI_WAY_FORWARD, BP_ACTIVATION_IDENTITY, false, true);
                BPT_RUN(device, linear_forward_mask, linear.plan, x, w, bias, linear.a.view.data, mask);
                bpt_same_bits(bpt_get(&linear.a), got, count, "with signs, shape %d", s);
                bpt_download(device, mask, bytes, signs);
                check_signs(signs, shape, got);
                device->ops->release(device->backend, mask, bytes);
                free(signs);
            }
            bpt_linear_close(&linear);
            bpt_clean();
        }
    bpt_close(device);
}

/* By cublasLt: NaN in one sample is in all of its outputs and in no other's. On a device this says whether its ReLU
 * keeps NaN, which is not documented. */
Test(cuda_ways, forward_epilogue_takes_nan_in_one_sample_to_all_of_its_outputs)
{
    static const bp_activation activations[] = {BP_ACTIVATION_IDENTITY, BP_ACTIVATION_RELU, BP_ACTIVATION_GELU_TANH};
    bpt_device *device = open_cuda();
    bpt_shape shape = {7, 33, 24};
    for (int f = 0; f < 3; ++f) {
        bpt_linear_values values = whole_values(shape, 72);
        double *x = bpt_doubles(shape.rows * shape.inputs);
        memcpy(x, values.x, (size_t)(shape.rows * shape.inputs) * sizeof *x);
        x[3 * shape.inputs + 20] = (double)NAN;
        values.x = x;
        bpt_linear linear = bpt_linear_open(device, shape, activations[f], 0, &values);
        go(&linear, 1u << BPI_WAY_FORWARD, BP_ACTIVATION_IDENTITY, false, false);
        BPT_RUN(device, linear_forward, linear.plan, linear.x.view.data, linear.w.view.data, linear.bias.view.data,
                f == 2 ? linear.z.view.data : NULL, linear.a.view.data);
        double *a = bpt_get(&linear.a);
        for (int64_t k = 0; k < shape.rows * shape.outputs; ++k)
            cr_assert_eq(isnan(a[k]) != 0, k / shape.outputs == 3, "%s: element %lld is %g",
                         bp_activation_name(activations[f]), (long long)k, a[k]);
        bpt_linear_close(&linear);
    }
    bpt_close(device);
}

/* delta w in long double, times 1[saved > 0]; and its column sums, added to what was there. */
static void expect_delta(bpt_shape shape, const bpt_linear_values *values, const double *saved, const double *old,
                         double *delta, double *d_b)
{
    for (int64_t i = 0; i < shape.inputs; ++i)
        d_b[i] = old ? old[i] : 0.0;
    for (int64_t b = 0; b < shape.rows; ++b)
        for (int64_t i = 0; i < shape.inputs; ++i) {
            double sum = 0.0;
            for (int64_t o = 0; o < shape.outputs; ++o)
                sum += values->delta[b * shape.outputs + o] * values->w[o * shape.inputs + i];
            delta[b * shape.inputs + i] = saved[b * shape.inputs + i] > 0.0 ? sum : 0.0;
            d_b[i] += delta[b * shape.inputs + i];
        }
}

/* The mask that cublasLt's own forward would have left. */
static void put_signs(bpt_device *device, void *mask, bpt_shape shape, const double *saved)
{
    size_t bytes = bpi_mask_bytes(shape.rows, shape.inputs);
    unsigned char *signs = calloc(1, bytes);
    for (int64_t b = 0; b < shape.rows; ++b)
        for (int64_t i = 0; i < shape.inputs; ++i) {
            int64_t bit = b * bpi_mask_ld(shape.inputs) + i;
            signs[bit / 8] |= (unsigned char)((saved[b * shape.inputs + i] > 0.0) << bit % 8);
        }
    cr_assert_eq(device->ops->upload(device->backend, signs, bytes, mask), BP_STATUS_OK);
    free(signs);
}

static void check_delta(bpt_device *device, int s, bool d_b_wanted, bool accumulate)
{
    bpt_shape shape = bpt_shapes[s];
    bpt_random random = {73};
    bpt_linear_values values = whole_values(shape, 74);
    double *saved = whole(&random, shape.rows * shape.inputs), *old = whole(&random, shape.inputs);
    bpt_linear linear = bpt_linear_open(device, shape, BP_ACTIVATION_IDENTITY, s % 2, &values);
    bpt_matrix kept = bpt_activations(device, shape.rows, shape.inputs, s % 2, saved);
    bpt_matrix d_b = bpt_parameters(device, 1, shape.inputs, 1, accumulate ? old : NULL);
    void *mask = new_mask(device, shape.rows, shape.inputs);
    put_signs(device, mask, shape, saved);
    bpt_reserve(device, shape.rows, shape.inputs, 1);
    go(&linear, 1u << BPI_WAY_DELTA, BP_ACTIVATION_RELU, d_b_wanted, false);
    bpi_activation_args args = {.activation = BP_ACTIVATION_RELU,
                                .saved = kept.view,
                                .delta = linear.d_x.view,
                                .d_b = d_b_wanted ? d_b.view.data : NULL,
                                .accumulate = accumulate,
                                .mask = mask};
    BPT_RUN(device, linear_hidden_delta, linear.plan, linear.delta.view.data, linear.w.view.data, &args);
    int64_t count = shape.rows * shape.inputs;
    double *want = bpt_doubles(count), *want_b = bpt_doubles(shape.inputs), *zeros = bpt_doubles(count);
    expect_delta(shape, &values, saved, accumulate ? old : NULL, want, want_b);
    if (bpt_says_something(want, count))
        bpt_compare(bpt_get(&linear.d_x), want, zeros, count, "delta, shape %d", s);
    if (d_b_wanted && bpt_says_something(want_b, shape.inputs))
        bpt_compare(bpt_get(&d_b), want_b, zeros, shape.inputs, "d_b, shape %d, accumulate %d", s, accumulate);
    device->ops->release(device->backend, mask, bpi_mask_bytes(shape.rows, shape.inputs));
    bpt_release(&kept);
    bpt_release(&d_b);
    bpt_linear_close(&linear);
    bpt_clean();
}

Test(cuda_ways, delta_epilogue_of_relu_is_the_product_where_the_signs_are_set_and_its_sums)
{
    bpt_device *device = open_cuda();
    for (int s = 0; s < BPT_SHAPE_COUNT; ++s)
        for (int way = 0; way < 3; ++way)
            check_delta(device, s, way > 0, way == 2);
    bpt_close(device);
}

static void check_weight_bias(bpt_device *device, int s, bool accumulate, int lane)
{
    bpt_shape shape = bpt_shapes[s];
    bpt_linear_values values = whole_values(shape, 75);
    bpt_linear linear = bpt_linear_open(device, shape, BP_ACTIVATION_IDENTITY, s % 2, &values);
    if (!accumulate) {
        bpt_put(&linear.d_w, NULL);
        bpt_put(&linear.bias, NULL);
    }
    go(&linear, 1u << BPI_WAY_BIAS, BP_ACTIVATION_IDENTITY, false, false);
    cr_assert_eq(device->ops->lane_fork(device->backend), BP_STATUS_OK);
    BPT_RUN(device, linear_weight_bias_grad, linear.plan, lane, linear.delta.view.data, linear.x.view.data, accumulate,
            linear.d_w.view.data, linear.bias.view.data);
    cr_assert_eq(device->ops->lane_join(device->backend), BP_STATUS_OK);
    int64_t count = shape.outputs * shape.inputs;
    double *want = bpt_doubles(count), *want_b = bpt_doubles(shape.outputs);
    double *zeros = bpt_doubles(count);
    for (int64_t o = 0; o < shape.outputs; ++o) {
        want_b[o] = accumulate ? values.bias[o] : 0.0;
        for (int64_t b = 0; b < shape.rows; ++b)
            want_b[o] += values.delta[b * shape.outputs + o];
        for (int64_t i = 0; i < shape.inputs; ++i) {
            double *sum = &want[o * shape.inputs + i];
            *sum = accumulate ? values.w[o * shape.inputs + i] : 0.0;
            for (int64_t b = 0; b < shape.rows; ++b)
                *sum += values.delta[b * shape.outputs + o] * values.x[b * shape.inputs + i];
        }
    }
    if (bpt_says_something(want, count))
        bpt_compare(bpt_get(&linear.d_w), want, zeros, count, "d_w, shape %d", s);
    if (bpt_says_something(want_b, shape.outputs))
        bpt_compare(bpt_get(&linear.bias), want_b, zeros, shape.outputs, "d_b, shape %d", s);
    bpt_linear_close(&linear);
    bpt_clean();
}

Test(cuda_ways, weight_bias_makes_both_gradients_new_or_added_on_either_lane)
{
    bpt_device *device = open_cuda();
    for (int s = 0; s < BPT_SHAPE_COUNT; ++s)
        for (int accumulate = 0; accumulate < 2; ++accumulate)
            check_weight_bias(device, s, accumulate, (s + accumulate) % 2);
    bpt_close(device);
}

/* In parts: d_w alone, new or added. */
static void check_split(bpt_device *device, bpt_shape shape, bool accumulate, int lane)
{
    bpt_linear_values values = whole_values(shape, 76);
    bpt_linear linear = bpt_linear_open(device, shape, BP_ACTIVATION_IDENTITY, 0, &values);
    int64_t count = shape.outputs * shape.inputs;
    const void *x = linear.x.view.data, *delta = linear.delta.view.data;
    double *want, *zeros = bpt_doubles(count);
    BPT_RUN(device, linear_weight_grad, linear.plan, 0, delta, x, accumulate, linear.d_w.view.data);
    want = bpt_get(&linear.d_w);
    bpt_put(&linear.d_w, accumulate ? values.w : NULL);
    go(&linear, 1u << BPI_WAY_SPLIT, BP_ACTIVATION_IDENTITY, false, false);
    cr_assert_eq(device->ops->lane_fork(device->backend), BP_STATUS_OK);
    BPT_RUN(device, linear_weight_grad, linear.plan, lane, delta, x, accumulate, linear.d_w.view.data);
    cr_assert_eq(device->ops->lane_join(device->backend), BP_STATUS_OK);
    bpt_compare(bpt_get(&linear.d_w), want, zeros, count, "%lld rows, accumulate %d", (long long)shape.rows,
                accumulate);
    bpt_linear_close(&linear);
    bpt_clean();
}

Test(cuda_ways, weight_split_gives_the_numbers_of_one_product)
{
    static const bpt_shape shapes[] = {{512, 32, 5}, {1024, 12, 33}, {1536, 4, 1}, {4096, 8, 16}};
    bpt_device *device = open_cuda();
    for (int s = 0; s < 4; ++s)
        for (int accumulate = 0; accumulate < 2; ++accumulate)
            check_split(device, shapes[s], accumulate, (s + accumulate) % 2);
    bpt_close(device);
}

/* ---------------------------------------------------------------- what can't be gone */

static void expect_refusal(bpt_device *device, bpi_linear_spec spec, bpi_way way, const char *words)
{
    bpi_error why = {""};
    bool can = device->ops->linear_way(device->backend, &spec, way, &why);
    cr_expect_eq(can, words == NULL, "%s: %s", bpi_way_name(way), why.text);
    if (words)
        cr_expect(strstr(why.text, words), "\"%s\" does not say \"%s\"", why.text, words);
}

Test(cuda_ways, that_cannot_be_gone_are_refused_with_the_reason)
{
    bpt_device *device = open_cuda();
    bpi_linear_spec spec = {.rows = 8,
                            .inputs = 12,
                            .outputs = 20,
                            .ld_x = 12,
                            .ld_w = 12,
                            .ld_a = 20,
                            .ld_d_x = 12,
                            .ld_delta = 20,
                            .bias = true,
                            .gradients = true,
                            .input_grad = true,
                            .below_runs = true,
                            .below_bias = true};
    for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
        bpi_linear_spec layer = spec;
        layer.activation = layer.below = (bp_activation)f;
        bool gelu = f == BP_ACTIVATION_GELU_TANH;
        bool forward = f == BP_ACTIVATION_IDENTITY || f == BP_ACTIVATION_RELU;
        expect_refusal(device, layer, BPI_WAY_FORWARD,
                       gelu      ? "multiple of 8"
                       : forward ? NULL
                                 : bp_activation_name(layer.below));
        expect_refusal(device, layer, BPI_WAY_DELTA,
                       gelu                      ? "multiple of 8"
                       : f == BP_ACTIVATION_RELU ? NULL
                                                 : bp_activation_name(layer.below));
        layer.ld_a = layer.ld_delta = 24;
        layer.ld_x = layer.ld_d_x = 16;
        expect_refusal(device, layer, BPI_WAY_FORWARD, gelu || forward ? NULL : "no epilogue for");
        expect_refusal(device, layer, BPI_WAY_DELTA, gelu || f == BP_ACTIVATION_RELU ? NULL : "no epilogue for");
    }
    bpi_linear_spec bare = spec;
    bare.bias = bare.below_runs = false;
    expect_refusal(device, spec, BPI_WAY_BIAS, NULL);
    expect_refusal(device, bare, BPI_WAY_BIAS, "no bias");
    expect_refusal(device, bare, BPI_WAY_FORWARD, "neither bias nor activation");
    expect_refusal(device, bare, BPI_WAY_DELTA, "layer below");
    expect_refusal(device, bare, BPI_WAY_ONE_LANE, NULL);
    expect_refusal(device, spec, BPI_WAY_SPLIT, "too few");
    bare.rows = 512;
    expect_refusal(device, bare, BPI_WAY_SPLIT, NULL);
    bare.ld_w = 16;
    expect_refusal(device, bare, BPI_WAY_SPLIT, "padded");
    bpt_close(device);
    static const bpt_target *target;
    target = bpt_fast();
    bpt_target bf16 = {"cuda bf16", target->ops, BP_PRECISION_BF16};
    device = bpt_open(&bf16, 1);
    expect_refusal(device, spec, BPI_WAY_FORWARD, "bf16");
    expect_refusal(device, spec, BPI_WAY_DELTA, "bf16");
    expect_refusal(device, spec, BPI_WAY_BIAS, "bf16");
    expect_refusal(device, spec, BPI_WAY_ONE_LANE, NULL);
    bpt_close(device);
}
