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
        bpt_network_compare(&n, &n, NULL, bpt_network_text(entry, "name"));
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
        bpi_gradient_bounds bounds = bpt_network_bounds_in(&judge, precision);
        cr_expect_eq(bounds.kinks, 0, "%s: the golden networks keep away from kinks", bpt_network_text(entry, "name"));
        /* A bound as large as the gradients would let anything pass. */
        cr_expect_lt(width(&judge, &bounds), 0.01, "%s: the bound says something", bpt_network_text(entry, "name"));
        bpt_network_compare(&judged, &judge, &bounds, bpt_network_text(entry, "name"));
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
