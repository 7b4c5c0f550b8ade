/* test_golden.c: loss and gradients of whole networks against PyTorch's, computed in double (tests/golden/README.md).
 * The reference agrees to 1e-12 of each tensor's largest entry; cpu to the bound that error_bound.c derives for f32. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backprop/backprop.h"
#include "host/error_bound.h"
#include "host/safetensors.h"
#include "support/judge.h"
#include "support/network.h"

static void compare_all(bpt_network *n, const char *name, const bpt_network *judge, const bpi_gradient_bounds *bounds)
{
    bp_step_result result;
    bpt_ok(n->context, bp_trainer_gradients_data(n->trainer, n->data, 0, bp_data_rows(n->data)), name);
    bpt_ok(n->context, bp_trainer_result(n->trainer, &result), name);
    double *loss = bpt_network_golden(n, "loss", 1);
    double loss_bound = bounds ? bounds->loss : BPT_REFERENCE_TOLERANCE * fabs(*loss);
    bpt_compare(&result.loss, loss, &loss_bound, 1, "%s: loss", name);
    free(loss);
    for (int64_t i = 0; i < bp_model_tensor_count(n->model); i++) {
        bp_tensor_info info;
        bpt_ok(n->context, bp_model_tensor_info(n->model, i, &info), name);
        int64_t count = info.cols ? info.rows * info.cols : info.rows;
        double *want = bpt_network_golden(n, info.name, count);
        double *bound = bpt_network_bounds(judge, i, bounds, want, count);
        double *got = calloc((size_t)count, sizeof *got);
        bpt_ok(n->context, bp_trainer_get_gradient(n->trainer, info.name, got, count), info.name);
        bpt_compare(got, want, bound, count, "%s: %s", name, info.name);
        free(got);
        free(bound);
        free(want);
    }
}

/* Over the tensors, the most that the largest bound is of the largest gradient. */
static double width(const bpt_network *n, const bpi_gradient_bounds *bounds)
{
    double most = 0.0;
    const double *gradients = n->trainer->gradients;
    for (int64_t i = 0; i < n->model->tensor_count; i++) {
        const bpi_tensor *tensor = &n->model->tensors[i];
        int64_t count = tensor->ld * (tensor->cols ? tensor->rows : 1);
        double here =
            bpt_largest(bounds->gradients + tensor->offset, count) / bpt_largest(gradients + tensor->offset, count);
        most = fmax(most, here);
    }
    return most;
}

Test(golden, reference_agrees_with_pytorch_to_1e_12)
{
    json_t *list = bpt_network_manifest();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        bpt_network n = bpt_network_open(entry, "reference");
        compare_all(&n, bpt_network_text(entry, "name"), &n, NULL);
        bpt_network_close(&n);
    }
    json_decref(list);
}

static void compare_within_bounds(const char *backend, bp_precision precision)
{
    json_t *list = bpt_network_manifest();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        bpt_network judge = bpt_network_open(entry, "reference"), judged = bpt_network_open(entry, backend);
        bpi_gradient_bounds bounds;
        bpt_ok(
            judge.context,
            bpi_gradient_bounds_of(judge.trainer, precision, &judge.data->source, 0, bp_data_rows(judge.data), &bounds),
            "bounds");
        cr_expect_eq(bounds.kinks, 0, "%s: the golden networks keep away from kinks", bpt_network_text(entry, "name"));
        /* A bound as large as the gradients would let anything pass. */
        cr_expect_lt(width(&judge, &bounds), 0.01, "%s: the bound says something", bpt_network_text(entry, "name"));
        compare_all(&judged, bpt_network_text(entry, "name"), &judge, &bounds);
        bpi_gradient_bounds_free(judge.model, &bounds);
        bpt_network_close(&judged);
        bpt_network_close(&judge);
    }
    json_decref(list);
}

/* Of cuda where BP_TEST_CUDA names its plug-in, see support/backends.h. */
Test(golden, backend_agrees_with_pytorch_within_the_derived_f32_bound)
{
    compare_within_bounds(getenv("BP_TEST_CUDA") ? "cuda" : "cpu", BP_PRECISION_F32);
}
