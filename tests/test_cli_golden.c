/* Every golden network through `backprop grads`, against PyTorch's gradients in double; see golden/README.md.
 *
 * Reference: per tensor, max |ours - golden| <= 1e-12 * max |golden|, the loss included. Both are computed in double
 * from the same float32 inputs; the constant leaves room for two orders of summation over at most 257 samples and 12
 * layers. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/safetensors.h"
#include "support/program.h"
#include "support/sandbox.h"

TestSuite(cli_golden, .init = bpt_sandbox_enter, .fini = bpt_sandbox_leave);

static const double REFERENCE_LIMIT = 1e-12;

#define GOLDEN BP_SOURCE_DIR "/tests/golden/"

static double largest(const double *values, int64_t count)
{
    double most = 0;
    for (int64_t i = 0; i < count; i++)
        most = fabs(values[i]) > most ? fabs(values[i]) : most;
    return most;
}

/* The largest difference over the largest golden value; infinite where NaN is in it. */
static double disagreement(const char *where, const double *ours, const double *golden, int64_t count)
{
    double scale = largest(golden, count), worst = 0;
    cr_assert(scale > 0, "%s: a tensor of zeros shows nothing", where);
    for (int64_t i = 0; i < count; i++) {
        double error = fabs(ours[i] - golden[i]) / scale;
        if (!(error <= worst))
            worst = isnan(error) ? (double)INFINITY : error;
    }
    return worst;
}

static double *read(bpi_st_reader *reader, const char *where, const char *name, int64_t *count)
{
    int64_t index = bpi_st_find(reader, name);
    cr_assert(index >= 0, "%s: no tensor %s", where, name);
    const bpi_st_tensor *tensor = bpi_st_tensor_at(reader, index);
    cr_assert(tensor->type == BPI_ST_F64, "%s: %s is not in double", where, name);
    double *values = calloc((size_t)tensor->count, sizeof *values);
    cr_assert(values && bpi_st_read_f64(reader, index, values) == BP_STATUS_OK);
    *count = tensor->count;
    return values;
}

static double compare_files(bp_context *context, const char *name, const char *ours, const char *golden)
{
    bpi_st_reader *a, *b;
    cr_assert(bpi_st_reader_open(context, ours, &a) == BP_STATUS_OK, "%s", bp_last_error(context));
    cr_assert(bpi_st_reader_open(context, golden, &b) == BP_STATUS_OK, "%s", bp_last_error(context));
    cr_assert(bpi_st_tensor_count(a) == bpi_st_tensor_count(b), "%s: %lld tensors instead of %lld", name,
              (long long)bpi_st_tensor_count(a), (long long)bpi_st_tensor_count(b));
    double worst = 0;
    for (int64_t i = 0; i < bpi_st_tensor_count(b); i++) {
        const char *tensor = bpi_st_tensor_at(b, i)->name;
        int64_t our_count, count;
        double *got = read(a, name, tensor, &our_count), *want = read(b, name, tensor, &count);
        cr_assert(our_count == count, "%s: %s has another size", name, tensor);
        double error = disagreement(name, got, want, count);
        cr_assert(error <= REFERENCE_LIMIT, "%s: %s is off by %.3g of its largest entry", name, tensor, error);
        worst = error > worst ? error : worst;
        free(got);
        free(want);
    }
    bpi_st_reader_close(a);
    bpi_st_reader_close(b);
    return worst;
}

static void run_grads(const json_t *network, const char *name, const char *backend, const char *out)
{
    char options[128] = "";
    double smoothing = json_number_value(json_object_get(network, "label_smoothing"));
    double delta = json_number_value(json_object_get(network, "huber_delta"));
    const char *loss = json_string_value(json_object_get(network, "loss"));
    if (smoothing != 0)
        snprintf(options, sizeof options, " --label-smoothing %.9g", smoothing);
    if (strcmp(loss, "huber") == 0)
        snprintf(options, sizeof options, " --huber-delta %.9g", delta);
    free(bpt_succeed("grads --x " GOLDEN "%s/x.npy --y " GOLDEN "%s/y.npy --layers %s --loss %s%s --weights " GOLDEN
                     "%s/weights.safetensors --out %s --backend %s",
                     name, name, json_string_value(json_object_get(network, "layers")), loss, options, name, out,
                     backend));
}

Test(cli_golden, reference_agrees_with_pytorch_to_1e_minus_12)
{
    bp_context *context;
    cr_assert(bp_context_create(&(bp_context_options){.backend = "reference"}, &context) == BP_STATUS_OK);
    json_t *manifest = json_load_file(GOLDEN "manifest.json", 0, NULL);
    double worst = 0;
    cr_assert(json_array_size(manifest) >= 30, "the golden networks are missing");
    for (size_t i = 0; i < json_array_size(manifest); i++) {
        const json_t *network = json_array_get(manifest, i);
        const char *name = json_string_value(json_object_get(network, "name"));
        char golden[512];
        snprintf(golden, sizeof golden, GOLDEN "%s/grads.safetensors", name);
        run_grads(network, name, "reference", "ours.safetensors");
        double error = compare_files(context, name, "ours.safetensors", golden);
        worst = error > worst ? error : worst;
    }
    printf("%zu golden networks, largest disagreement of the reference: %.2g\n", json_array_size(manifest), worst);
    json_decref(manifest);
    bp_context_destroy(context);
}
