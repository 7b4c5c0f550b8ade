/* The golden networks in bf16: loss and gradients of the backend against the reference, whose weights and inputs are
 * rounded as the precision says, element by element within the bound that error_bound.c derives. (The reference itself
 * is held to PyTorch's numbers by test_golden.c.) */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/error_bound.h"
#include "support/backends.h"
#include "support/judge.h"
#include "support/network.h"

typedef struct worst {
    const char *network;
    double error;
    int tensors;
} worst;

static void on_tensor(void *user, const bp_verify_tensor *tensor)
{
    worst *w = user;
    w->tensors++;
    cr_expect(tensor->passed, "%s: %s, element %lld: %g, should be %g within %g", w->network, tensor->name,
              (long long)tensor->worst_index, tensor->worst_value, tensor->worst_reference, tensor->worst_bound);
    w->error = fmax(w->error, tensor->worst_error);
}

/* The share of all elements whose bound is below a quarter of the largest gradient of their tensor. */
static double share_judged(const json_t *entry)
{
    bpt_network n = bpt_network_open(entry, "reference");
    bpi_gradient_bounds bounds = bpt_network_bounds_in(&n, BP_PRECISION_BF16);
    int64_t judged = 0, all = 0;
    const double *gradients = n.trainer->gradients;
    for (int64_t i = 0; i < n.model->tensor_count; i++) {
        const bpi_tensor *tensor = &n.model->tensors[i];
        int64_t count = tensor->ld * (tensor->cols ? tensor->rows : 1);
        double largest = bpt_largest(gradients + tensor->offset, count);
        for (int64_t k = 0; k < count; k++)
            judged += bounds.gradients[tensor->offset + k] < 0.25 * largest;
        all += count;
    }
    bpi_gradient_bounds_free(n.model, &bounds);
    bpt_network_close(&n);
    return (double)judged / (double)all;
}

/* How near to its bound the worst element is. */
static double check_network(const json_t *entry, const char *backend)
{
    bpt_network n = bpt_network_open_in(entry, backend, BP_PRECISION_BF16);
    const bpi_source *source = &n.data->source;
    worst w = {bpt_network_text(entry, "name"), 0.0, 0};
    bp_verify_options options = {.struct_size = sizeof options, .tensor = on_tensor, .user = &w};
    bool passed;
    bool classes = bpi_uses_classes(n.model, source);
    bpt_ok(n.context,
           bp_verify(n.model, source->x, classes ? source->classes : NULL, classes ? NULL : source->targets,
                     source->rows, &options, &passed),
           w.network);
    cr_expect(passed && w.tensors == 1 + bp_model_tensor_count(n.model), "%s: at %g of its bound", w.network, w.error);
    bpt_network_close(&n);
    return w.error;
}

static void check_all(const char *manifest, const char *backend)
{
    if (bpt_precision() != BP_PRECISION_BF16)
        cr_skip_test("BP_TEST_PRECISION is not bf16: the entries with bf16 in their names run this");
    json_t *list = bpt_network_manifest_of(manifest);
    double nearest = 0.0;
    for (size_t i = 0; i < json_array_size(list); i++)
        nearest = fmax(nearest, check_network(json_array_get(list, i), backend));
    /* An arithmetic as exact as f32 would mean that nothing was rounded to bf16. */
    cr_expect_gt(nearest, 0.01, "%s: the worst is at %g of its bound", manifest, nearest);
    json_decref(list);
}

Test(bf16_networks, plain_ones_are_within_their_bounds)
{
    check_all("manifest.json", getenv("BP_TEST_CUDA") ? "cuda" : "cpu");
}

Test(bf16_networks, ones_with_norms_dropout_and_skips_are_within_their_bounds)
{
    check_all("manifest_blocks.json", getenv("BP_TEST_CUDA") ? "cuda" : "cpu");
}

/* ---------------------------------------------------------------- evaluation mode */

/* After a step, so that running values are of a batch; those of the judge are then the backend's, in f32. */
static void make_equal(bpt_network *n, bpt_network *judge)
{
    bpt_ok(judge->context, bp_trainer_step_data(judge->trainer, judge->data, NULL, 0, bp_data_rows(judge->data)),
           "step");
    for (int64_t i = 0; i < n->model->tensor_count + n->model->buffer_count; i++) {
        const bpi_tensor *tensor = &n->model->tensors[i];
        int64_t count = tensor->rows * (tensor->cols ? tensor->cols : 1);
        double *values = calloc((size_t)count, sizeof *values);
        bpt_ok(judge->context, bp_model_get_tensor(judge->model, tensor->name, values, count), tensor->name);
        bpt_ok(n->context, bp_model_set_tensor(n->model, tensor->name, values, count), tensor->name);
        bpt_ok(n->context, bp_model_get_tensor(n->model, tensor->name, values, count), tensor->name);
        bpt_ok(judge->context, bp_model_set_tensor(judge->model, tensor->name, values, count), tensor->name);
        free(values);
    }
}

/* What is predicted, against the judge's outputs of the network that bf16 speaks of, which its pass holds once the
 * bounds are made; the share of outputs whose bound is below a quarter of the largest. */
static double check_outputs(const json_t *entry, const char *backend, double *nearest)
{
    bpt_network n = bpt_network_open_in(entry, backend, BP_PRECISION_BF16),
                judge = bpt_network_open(entry, "reference");
    const char *name = bpt_network_text(entry, "name");
    int64_t rows = bp_data_rows(n.data), outputs = bp_model_outputs(n.model), count = rows * outputs, judged = 0;
    const bpi_pass_layer *last = &judge.trainer->pass->layers[judge.model->layer_count - 1];
    float *x = calloc((size_t)(rows * bp_model_inputs(n.model)), sizeof *x), *y = calloc((size_t)count, sizeof *y);
    double *got = calloc((size_t)count, sizeof *got), *want = calloc((size_t)count, sizeof *want);
    double *bounds = calloc((size_t)count, sizeof *bounds);
    make_equal(&n, &judge);
    bpt_ok(n.context, bp_data_get_inputs(n.data, 0, rows, x), "inputs");
    bpt_ok(n.context, bp_model_predict(n.model, x, rows, y), name);
    bpt_ok(judge.context, bpi_output_bounds_of(judge.trainer, BP_PRECISION_BF16, &judge.data->source, 0, rows, bounds),
           name);
    for (int64_t k = 0; k < count; k++) {
        got[k] = (double)y[k];
        want[k] = ((const double *)last->out)[k / outputs * last->ld + k % outputs];
    }
    bpt_compare(got, want, bounds, count, "%s: outputs", name);
    double largest = bpt_largest(want, count);
    for (int64_t k = 0; k < count; k++) {
        judged += bounds[k] < 0.25 * largest;
        *nearest = fmax(*nearest, bounds[k] > 0.0 ? fabs(got[k] - want[k]) / bounds[k] : 0.0);
    }
    free(bounds);
    free(want);
    free(got);
    free(y);
    free(x);
    bpt_network_close(&judge);
    bpt_network_close(&n);
    return (double)judged / (double)count;
}

/* Whether the last layer has a norm, dropout or a skip: its wide outputs go through block_forward then. */
static bool ends_in_a_block(const json_t *entry)
{
    const char *layers = bpt_network_text(entry, "layers"), *last = strrchr(layers, ',');
    last = last ? last : layers;
    return strstr(last, "bn") || strstr(last, "ln") || strstr(last, "dropout") || strstr(last, "skip");
}

static void check_evaluation(const char *manifest, int least_blocks)
{
    if (bpt_precision() != BP_PRECISION_BF16)
        cr_skip_test("BP_TEST_PRECISION is not bf16: the entries with bf16 in their names run this");
    json_t *list = bpt_network_manifest_of(manifest);
    double nearest = 0.0, sum = 0.0;
    int blocks = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        sum += check_outputs(entry, getenv("BP_TEST_CUDA") ? "cuda" : "cpu", &nearest);
        blocks += ends_in_a_block(entry);
    }
    cr_expect_geq(blocks, least_blocks, "%d networks end in a block", blocks);
    double share = sum / (double)json_array_size(list);
    cr_expect_gt(share, 0.85, "%s: of %g of the outputs the bounds say something", manifest, share);
    cr_expect_gt(nearest, 0.01, "%s: the worst is at %g of its bound", manifest, nearest);
    json_decref(list);
}

Test(bf16_networks, plain_ones_predict_within_their_bounds)
{
    check_evaluation("manifest.json", 0);
}

Test(bf16_networks, ones_with_norms_dropout_and_skips_predict_within_their_bounds_also_where_they_are_last)
{
    check_evaluation("manifest_blocks.json", 8);
}

/* ---------------------------------------------------------------- bounds */

/* A bound as large as the gradients would let anything pass. */
static double mean_share_judged(const char *manifest)
{
    json_t *list = bpt_network_manifest_of(manifest);
    double sum = 0.0;
    for (size_t i = 0; i < json_array_size(list); i++)
        sum += share_judged(json_array_get(list, i));
    double mean = sum / (double)json_array_size(list);
    json_decref(list);
    return mean;
}

Test(bf16_networks, most_bounds_say_something)
{
    cr_expect_gt(mean_share_judged("manifest.json"), 0.85);
    /* 0.80: of four that are deep with batch norms, whose groups of 31 rows pass errors on, little is left to judge. */
    cr_expect_gt(mean_share_judged("manifest_blocks.json"), 0.75);
}
