/* test_verify.c: the cpu backend is within its bounds, and one that is a little wrong is found. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "host/context.h"
#include "support/run.h"

enum { ROWS = 9, INPUTS = 12, OUTPUTS = 4 };

typedef struct report {
    int tensors, failed;
    char worst[32];
    double worst_error;
} report;

static void on_tensor(void *user, const bp_verify_tensor *tensor)
{
    report *r = user;
    r->tensors++;
    r->failed += !tensor->passed;
    if (!(tensor->worst_error <= r->worst_error)) {
        r->worst_error = tensor->worst_error;
        strncpy(r->worst, tensor->name, sizeof r->worst - 1);
    }
}

static bool verify(bp_context *context, const char *layers, report *r)
{
    bp_model *model;
    bp_model_options options = {.struct_size = sizeof options, .inputs = INPUTS, .layers = layers, .seed = 2};
    BPT_OK(context, bp_model_create(context, &options, &model));
    float mean[INPUTS], std[INPUTS], x[ROWS * INPUTS];
    for (int i = 0; i < INPUTS; i++) {
        mean[i] = 0.1f * (float)i;
        std[i] = 1.0f + 0.5f * (float)i;
    }
    for (int i = 0; i < ROWS * INPUTS; i++)
        x[i] = sinf((float)i);
    int64_t classes[ROWS];
    for (int i = 0; i < ROWS; i++)
        classes[i] = i % OUTPUTS;
    BPT_OK(context, bp_model_set_standardization(model, mean, std));
    *r = (report){0};
    bool passed;
    bp_verify_options verify_options = {.struct_size = sizeof verify_options, .tensor = on_tensor, .user = r};
    BPT_OK(context, bp_verify(model, x, classes, NULL, ROWS, &verify_options, &passed));
    cr_expect_eq(r->tensors, 1 + bp_model_tensor_count(model), "the loss and every tensor are reported");
    bp_model_destroy(model);
    return passed;
}

Test(verify, finds_cpu_and_reference_within_their_bounds)
{
    static const char *const backends[] = {"cpu", "reference"};
    for (int b = 0; b < 2; b++) {
        bp_context *context = bpt_context(backends[b], 2);
        report r;
        cr_expect(verify(context, "30:gelu,20:tanh,17:relu,4", &r), "%s: %s at %g of its bound", backends[b], r.worst,
                  r.worst_error);
        cr_expect_lt(r.worst_error, 1.0);
        bp_context_destroy(context);
    }
}

static const bpi_ops *right;

/* One bias gradient too small by 1e-4. */
static bp_status wrong_bias_grad(bpi_backend *backend, const bpi_loss_args *args)
{
    BPI_TRY(right->loss(backend, args));
    if (args->d_b)
        ((float *)args->d_b)[1] *= 0.9999f;
    return BP_STATUS_OK;
}

static bp_status nan_in_one_gradient(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                     const void *x, bool accumulate, void *d_w)
{
    BPI_TRY(right->linear_weight_grad(backend, plan, lane, delta, x, accumulate, d_w));
    ((float *)d_w)[0] = NAN;
    return BP_STATUS_OK;
}

Test(verify, fails_where_one_gradient_is_a_little_wrong_or_not_a_number)
{
    right = bpi_cpu_ops();
    bpi_ops wrong = *right;
    bp_context *context = bpt_context("cpu", 1);
    report r;
    wrong.loss = wrong_bias_grad;
    context->backend->ops = &wrong;
    cr_expect_not(verify(context, "30:tanh,4", &r));
    cr_expect_eq(r.failed, 1);
    cr_expect_str_eq(r.worst, "2.bias");
    wrong = *right;
    wrong.linear_weight_grad = nan_in_one_gradient;
    cr_expect_not(verify(context, "30:tanh,4", &r));
    cr_expect_eq(r.failed, 2);
    bp_context_destroy(context);
}
