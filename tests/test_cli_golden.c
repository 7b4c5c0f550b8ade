/* Every golden network through `backprop grads`: what its file says against PyTorch, as test_golden.c judges the
 * library. Per tensor, the loss included: on the reference max |ours - golden| <= 1e-12 max |golden|; on cpu and
 * cuda each element within the bound that error_bound.c derives for f32. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cuemu.h"
#include "support/judge.h"
#include "support/network.h"
#include "support/program.h"
#include "support/sandbox.h"

TestSuite(cli_golden, .init = bpt_sandbox_enter, .fini = bpt_sandbox_leave);

#define GOLDEN BP_SOURCE_DIR "/tests/golden/"

static void run_grads(const json_t *entry, const char *backend)
{
    char options[128] = "";
    const char *name = bpt_network_text(entry, "name"), *loss = bpt_network_text(entry, "loss");
    double smoothing = json_number_value(json_object_get(entry, "label_smoothing"));
    double delta = json_number_value(json_object_get(entry, "huber_delta"));
    if (smoothing != 0)
        snprintf(options, sizeof options, " --label-smoothing %.9g", smoothing);
    if (strcmp(loss, "huber") == 0)
        snprintf(options, sizeof options, " --huber-delta %.9g", delta);
    free(bpt_succeed("grads --x " GOLDEN "%s/x.npy --y " GOLDEN "%s/y.npy --layers %s --loss %s%s --weights " GOLDEN
                     "%s/weights.safetensors --out g.safetensors --backend %s",
                     name, name, bpt_network_text(entry, "layers"), loss, options, name, backend));
}

/* One tensor of the program's file. */
static void compare(const char *name, bpi_st_reader *ours, bpi_st_type type, const char *tensor, const double *golden,
                    const double *bound, int64_t count)
{
    int64_t index = bpi_st_find(ours, tensor);
    cr_assert(index >= 0, "%s: no tensor %s", name, tensor);
    cr_assert(bpi_st_tensor_at(ours, index)->type == type, "%s: %s is of another type", name, tensor);
    cr_assert(bpi_st_tensor_at(ours, index)->count == count, "%s: %s has another size", name, tensor);
    double *got = calloc((size_t)count, sizeof *got);
    cr_assert(got && bpi_st_read_f64(ours, index, got) == BP_STATUS_OK);
    bpt_compare(got, golden, bound, count, "%s: %s", name, tensor);
    free(got);
}

/* g.safetensors against the golden file that `judge` has open; bounds NULL: the reference's tolerance. */
static void compare_file(bpt_network *judge, const char *name, bpi_st_type type, const bpi_gradient_bounds *bounds)
{
    bpi_st_reader *ours;
    int64_t tensors = bp_model_tensor_count(judge->model);
    bpt_ok(judge->context, bpi_st_reader_open(judge->context, "g.safetensors", &ours), name);
    cr_assert(bpi_st_tensor_count(ours) == tensors + 1, "%s: a loss and a tensor a parameter, no more", name);
    double *loss = bpt_network_golden(judge, "loss", 1);
    /* the loss is stored in the file's type: a rounding more than the bound knows of */
    double loss_bound = bounds ? bounds->loss + 0x1p-24 * fabs(*loss) : BPT_REFERENCE_TOLERANCE * fabs(*loss);
    compare(name, ours, type, "loss", loss, &loss_bound, 1);
    free(loss);
    for (int64_t i = 0; i < tensors; i++) {
        bp_tensor_info info;
        bpt_ok(judge->context, bp_model_tensor_info(judge->model, i, &info), name);
        int64_t count = info.cols ? info.rows * info.cols : info.rows;
        double *golden = bpt_network_golden(judge, info.name, count);
        double *bound = bpt_network_bounds(judge, i, bounds, golden, count);
        compare(name, ours, type, info.name, golden, bound, count);
        free(bound);
        free(golden);
    }
    bpi_st_reader_close(ours);
}

Test(cli_golden, reference_agrees_with_pytorch_to_1e_minus_12_and_writes_f64)
{
    json_t *list = bpt_network_manifest();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        bpt_network judge = bpt_network_open(entry, "reference");
        run_grads(entry, "reference");
        compare_file(&judge, bpt_network_text(entry, "name"), BPI_ST_F64, NULL);
        bpt_network_close(&judge);
    }
    json_decref(list);
}

/* On a backend in f32. */
static void agrees_in_f32(const char *backend)
{
    json_t *list = bpt_network_manifest();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        bpt_network judge = bpt_network_open(entry, "reference");
        bpi_gradient_bounds bounds = bpt_network_bounds_in(&judge, BP_PRECISION_F32);
        run_grads(entry, backend);
        compare_file(&judge, bpt_network_text(entry, "name"), BPI_ST_F32, &bounds);
        bpi_gradient_bounds_free(judge.model, &bounds);
        bpt_network_close(&judge);
    }
    json_decref(list);
}

Test(cli_golden, cpu_agrees_with_pytorch_within_the_derived_bound_and_writes_f32)
{
    agrees_in_f32("cpu");
}

Test(cli_golden, cuda_agrees_with_pytorch_within_the_derived_bound_and_writes_f32)
{
    bpt_skip_without_cuda("cuda_test_cli_golden_lazy");
    agrees_in_f32("cuda");
}
