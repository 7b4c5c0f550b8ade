/* test_gradcheck.c: the gradient check passes on every activation with every loss, and fails on a wrong derivative. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "backprop/backprop.h"
#include "host/context.h"
#include "kernels/math/philox.h"

enum { ROWS = 5, INPUTS = 4, OUTPUTS = 3 };

static void ok(bp_context *context, bp_status status)
{
    cr_assert_eq(status, BP_STATUS_OK, "%s", bp_last_error(context));
}

static bp_context *reference(void)
{
    bp_context *context;
    bp_context_options options = {.struct_size = sizeof options, .backend = "reference"};
    bp_status status = bp_context_create(&options, &context);
    ok(context, status);
    return context;
}

/* A batch: inputs in [-1,1), classes, and values in [0,1). */
typedef struct batch {
    float x[ROWS * INPUTS], targets[ROWS * OUTPUTS];
    int64_t classes[ROWS];
} batch;

static batch random_batch(uint64_t seed)
{
    batch b;
    for (int i = 0; i < ROWS * INPUTS; i++)
        b.x[i] = 2.0f * bpi_uniform_from_0(bpi_philox(seed, 0, (uint64_t)i).word[0]) - 1.0f;
    for (int i = 0; i < ROWS * OUTPUTS; i++)
        b.targets[i] = bpi_uniform_from_0(bpi_philox(seed, 1, (uint64_t)i).word[0]);
    for (int i = 0; i < ROWS; i++)
        b.classes[i] = i % OUTPUTS;
    return b;
}

static bp_model *model_of(bp_context *context, const char *layers, bp_loss loss)
{
    bp_model *model;
    bp_model_options options = {
        .struct_size = sizeof options, .inputs = INPUTS, .layers = layers, .loss = loss, .seed = 3};
    ok(context, bp_model_create(context, &options, &model));
    return model;
}

static void count_tensor(void *user, const bp_gradcheck_tensor *tensor)
{
    int64_t *informative = user;
    *informative += tensor->checked - tensor->skipped;
}

static bool check(bp_context *context, const char *layers, bp_loss loss, int64_t *informative)
{
    bp_model *model = model_of(context, layers, loss);
    batch b = random_batch(7);
    bool classes = loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY, passed;
    *informative = 0;
    bp_gradcheck_options options = {.struct_size = sizeof options, .tensor = count_tensor, .user = informative};
    ok(context,
       bp_gradcheck(model, b.x, classes ? b.classes : NULL, classes ? NULL : b.targets, ROWS, &options, &passed));
    bp_model_destroy(model);
    return passed;
}

Test(gradcheck, passes_on_every_activation_with_every_loss)
{
    bp_context *context = reference();
    for (int a = 0; a < BP_ACTIVATION_COUNT; a++)
        for (int l = 0; l < BP_LOSS_COUNT; l++)
            for (int output = 0; output < 2; output++) {
                char layers[128];
                const char *name = bp_activation_name((bp_activation)a);
                snprintf(layers, sizeof layers, output ? "6:tanh,3:%s" : "6:%s,5:%s,3", name, name);
                int64_t informative;
                cr_expect(check(context, layers, (bp_loss)l, &informative), "%s with %s", layers,
                          bp_loss_name((bp_loss)l));
                cr_expect_geq(informative, output ? 25 : 50, "%s with %s", layers, bp_loss_name((bp_loss)l));
            }
    bp_context_destroy(context);
}

/* ---------------------------------------------------------------- injected mistakes */

static const bpi_ops *right;

/* One in a million too large. */
static bp_status wrong_activation_backward(bpi_backend *backend, const bpi_activation_args *args)
{
    BPI_TRY(right->activation_backward(backend, args));
    double *delta = args->delta.data;
    for (int64_t b = 0; b < args->delta.rows; b++)
        for (int64_t o = 0; o < args->delta.cols; o++)
            delta[b * args->delta.ld + o] *= 1.000001;
    return BP_STATUS_OK;
}

/* One sample's error term has the wrong sign. */
static bp_status wrong_loss(bpi_backend *backend, const bpi_loss_args *args)
{
    BPI_TRY(right->loss(backend, args));
    if (args->delta.data)
        *(double *)args->delta.data *= -1.0;
    return BP_STATUS_OK;
}

static bp_status wrong_weight_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                   const void *x, bool accumulate, void *d_w)
{
    BPI_TRY(right->linear_weight_grad(backend, plan, lane, delta, x, accumulate, d_w));
    ((double *)d_w)[0] += 1e-6;
    return BP_STATUS_OK;
}

static bp_status nan_weight_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                 const void *x, bool accumulate, void *d_w)
{
    BPI_TRY(right->linear_weight_grad(backend, plan, lane, delta, x, accumulate, d_w));
    ((double *)d_w)[0] = (double)NAN;
    return BP_STATUS_OK;
}

static bool check_with(bpi_ops wrong)
{
    bp_context *context = reference();
    context->backend->ops = &wrong;
    int64_t informative;
    bool passed = check(context, "6:tanh,5:sigmoid,3", BP_LOSS_SOFTMAX_CROSS_ENTROPY, &informative);
    bp_context_destroy(context);
    return passed;
}

Test(gradcheck, fails_on_a_wrong_derivative)
{
    right = bpi_reference_ops();
    cr_assert(check_with(*right));
    bpi_ops wrong = *right;
    wrong.activation_backward = wrong_activation_backward;
    cr_expect_not(check_with(wrong), "f' too large by 1e-6");
    wrong = *right;
    wrong.loss = wrong_loss;
    cr_expect_not(check_with(wrong), "one error term negated");
    wrong = *right;
    wrong.linear_weight_grad = wrong_weight_grad;
    cr_expect_not(check_with(wrong), "one weight gradient off by 1e-6");
    wrong.linear_weight_grad = nan_weight_grad;
    cr_expect_not(check_with(wrong), "one weight gradient is not a number");
}

Test(gradcheck, leaves_the_parameters_as_they_were)
{
    bp_context *context = reference();
    bp_model *model = model_of(context, "6:gelu,3", BP_LOSS_MSE);
    batch b = random_batch(11);
    double before[6 * INPUTS], after[6 * INPUTS];
    bool passed;
    ok(context, bp_model_get_tensor(model, "0.weight", before, 6 * INPUTS));
    ok(context, bp_gradcheck(model, b.x, NULL, b.targets, ROWS, NULL, &passed));
    ok(context, bp_model_get_tensor(model, "0.weight", after, 6 * INPUTS));
    cr_assert(passed);
    cr_assert_arr_eq(before, after, sizeof before);
    bp_model_destroy(model);
    bp_context_destroy(context);
}

Test(gradcheck, refuses_another_backend)
{
    bp_context *context;
    bp_context_options options = {.struct_size = sizeof options, .backend = "cpu"};
    bp_status status = bp_context_create(&options, &context);
    ok(context, status);
    bp_model *model = model_of(context, "3", BP_LOSS_MSE);
    batch b = random_batch(1);
    bool passed = true;
    cr_assert_eq(bp_gradcheck(model, b.x, NULL, b.targets, ROWS, NULL, &passed), BP_STATUS_UNSUPPORTED);
    cr_assert_not(passed);
    bp_model_destroy(model);
    bp_context_destroy(context);
}
