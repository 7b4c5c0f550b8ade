/* test_golden_blocks.c: networks with norms, dropout and skips against PyTorch's, computed in double: loss, gradients,
 * running statistics after one forward, outputs in evaluation mode (tests/golden/README.md says how to compare). */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/npy.h"
#include "support/judge.h"
#include "support/network.h"

#define MANIFEST "manifest_blocks.json"

Test(golden_blocks, reference_agrees_with_pytorch_to_1e_12)
{
    json_t *list = bpt_network_manifest_of(MANIFEST);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        bpt_network n = bpt_network_open(entry, "reference");
        bpt_network_compare(&n, &n, NULL, bpt_network_text(entry, "name"));
        bpt_network_close(&n);
    }
    json_decref(list);
}

/* The backend that is held to a bound: cuda where BP_TEST_CUDA names its plug-in, see support/backends.h. */
static const char *fast_backend(void)
{
    return getenv("BP_TEST_CUDA") ? "cuda" : "cpu";
}

Test(golden_blocks, backend_agrees_with_pytorch_within_the_derived_f32_bound)
{
    json_t *list = bpt_network_manifest_of(MANIFEST);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        bpt_network judge = bpt_network_open(entry, "reference"), judged = bpt_network_open(entry, fast_backend());
        bpi_gradient_bounds bounds = bpt_network_bounds_in(&judge, BP_PRECISION_F32);
        bpt_network_compare(&judged, &judge, &bounds, bpt_network_text(entry, "name"));
        bpi_gradient_bounds_free(judge.model, &bounds);
        bpt_network_close(&judged);
        bpt_network_close(&judge);
    }
    json_decref(list);
}

/* ---------------------------------------------------------------- running statistics */

/* So that a bound stays one that says something: the bounds of these networks are below a hundredth of that. */
static void check_tight(const double *bound, const double *want, int64_t count, const char *name, const char *what)
{
    cr_assert(bpt_largest(bound, count) <= 0.01 * bpt_largest(want, count), "%s, %s: the bound is %g, the largest %g",
              name, what, bpt_largest(bound, count), bpt_largest(want, count));
}

/* running: bounds laid out as the buffers of the array; NULL: the reference's tolerance. */
static int64_t compare_running(const json_t *entry, const char *backend, const double *running)
{
    bpt_network n = bpt_network_open(entry, backend), judge = bpt_network_open(entry, "reference");
    const char *name = bpt_network_text(entry, "name");
    bpt_ok(n.context, bp_trainer_step_data(n.trainer, n.data, NULL, 0, bp_data_rows(n.data)), "step");
    int64_t compared = n.model->buffer_count;
    for (int64_t i = 0; i < compared; i++) {
        const bpi_tensor *tensor = &judge.model->tensors[judge.model->tensor_count + i];
        double *want = bpt_network_golden(&n, tensor->name, tensor->rows);
        double *got = calloc((size_t)tensor->rows, sizeof *got), *bound = calloc((size_t)tensor->rows, sizeof *bound);
        bpt_ok(n.context, bp_model_get_tensor(n.model, tensor->name, got, tensor->rows), tensor->name);
        for (int64_t k = 0; k < tensor->rows; k++)
            bound[k] = running ? running[tensor->offset - judge.model->parameter_count + k]
                               : BPT_REFERENCE_TOLERANCE * bpt_largest(want, tensor->rows);
        bpt_compare(got, want, bound, tensor->rows, "%s: %s", name, tensor->name);
        check_tight(bound, want, tensor->rows, name, tensor->name);
        free(bound);
        free(got);
        free(want);
    }
    bpt_network_close(&judge);
    bpt_network_close(&n);
    return compared;
}

Test(golden_blocks, running_statistics_are_pytorchs)
{
    json_t *list = bpt_network_manifest_of(MANIFEST);
    int64_t compared = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        compared += compare_running(json_array_get(list, i), "reference", NULL);
    cr_assert_gt(compared, 10);
    json_decref(list);
}

Test(golden_blocks, running_statistics_of_the_backend_are_pytorchs_within_the_derived_f32_bound)
{
    json_t *list = bpt_network_manifest_of(MANIFEST);
    int64_t compared = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        bpt_network judge = bpt_network_open(entry, "reference");
        bpi_gradient_bounds bounds = bpt_network_bounds_in(&judge, BP_PRECISION_F32);
        compared += compare_running(entry, fast_backend(), bounds.running);
        cr_assert_eq(bounds.running != NULL, judge.model->has_batch_norm);
        bpi_gradient_bounds_free(judge.model, &bounds);
        bpt_network_close(&judge);
    }
    cr_assert_gt(compared, 10);
    json_decref(list);
}

/* ---------------------------------------------------------------- evaluation mode */

/* Predictions are f32: off by half a unit in the last place, beyond what the reference is off by, or within a bound. */
static void compare_outputs(const json_t *entry, const char *backend, const double *derived)
{
    bpt_network n = bpt_network_open(entry, backend);
    const char *name = bpt_network_text(entry, "name");
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/%s/outputs.npy", BP_SOURCE_DIR, name);
    bpi_npy golden;
    bpt_ok(n.context, bpi_npy_read(n.context, path, &golden), path);
    int64_t rows = bp_data_rows(n.data), inputs = bp_model_inputs(n.model);
    cr_assert_eq(golden.type, BPI_NPY_F64);
    cr_assert_eq(golden.count, rows * bp_model_outputs(n.model));
    float *x = calloc((size_t)(rows * inputs), sizeof *x), *y = calloc((size_t)golden.count, sizeof *y);
    double *got = calloc((size_t)golden.count, sizeof *got), *bound = calloc((size_t)golden.count, sizeof *bound);
    bpt_ok(n.context, bp_data_get_inputs(n.data, 0, rows, x), "inputs");
    bpt_ok(n.context, bp_model_predict(n.model, x, rows, y), "predict");
    const double *want = golden.values;
    for (int64_t i = 0; i < golden.count; i++) {
        got[i] = (double)y[i];
        bound[i] =
            derived ? derived[i] : 0x1p-24 * fabs(want[i]) + BPT_REFERENCE_TOLERANCE * bpt_largest(want, golden.count);
    }
    bpt_compare(got, want, bound, golden.count, "%s: outputs", name);
    check_tight(bound, want, golden.count, name, "outputs");
    free(bound);
    free(got);
    free(y);
    free(x);
    bpi_npy_free(n.context, &golden);
    bpt_network_close(&n);
}

static void compare_outputs_within_bound(const json_t *entry)
{
    bpt_network judge = bpt_network_open(entry, "reference");
    int64_t rows = bp_data_rows(judge.data);
    double *bounds = calloc((size_t)(rows * bp_model_outputs(judge.model)), sizeof *bounds);
    bpt_ok(judge.context, bpi_output_bounds_of(judge.trainer, BP_PRECISION_F32, &judge.data->source, 0, rows, bounds),
           "bounds");
    compare_outputs(entry, fast_backend(), bounds);
    free(bounds);
    bpt_network_close(&judge);
}

static void each_evaluation(void (*compare)(const json_t *entry))
{
    json_t *list = bpt_network_manifest_of(MANIFEST);
    int compared = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_true(json_object_get(json_array_get(list, i), "evaluation"))) {
            compare(json_array_get(list, i));
            compared++;
        }
    cr_assert_gt(compared, 4);
    json_decref(list);
}

static void compare_reference_outputs(const json_t *entry)
{
    compare_outputs(entry, "reference", NULL);
}

Test(golden_blocks, evaluation_mode_gives_pytorchs_outputs)
{
    each_evaluation(compare_reference_outputs);
}

Test(golden_blocks, evaluation_mode_of_the_backend_gives_pytorchs_outputs_within_the_derived_f32_bound)
{
    each_evaluation(compare_outputs_within_bound);
}
