/* network.c: see network.h. */
#include "support/network.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/judge.h"

#define GOLDEN BP_SOURCE_DIR "/tests/golden/"

const char *bpt_network_text(const json_t *entry, const char *key)
{
    const char *text = json_string_value(json_object_get(entry, key));
    cr_assert_not_null(text, "manifest: %s", key);
    return text;
}

static bp_loss loss_of(const char *name)
{
    for (int i = 0; i < BP_LOSS_COUNT; i++)
        if (strcmp(name, bp_loss_name((bp_loss)i)) == 0)
            return (bp_loss)i;
    cr_assert_fail("manifest: loss %s", name);
    return BP_LOSS_COUNT;
}

bpt_network bpt_network_open(const json_t *entry, const char *backend)
{
    return bpt_network_open_in(entry, backend, BP_PRECISION_DEFAULT);
}

bpt_network bpt_network_open_in(const json_t *entry, const char *backend, bp_precision precision)
{
    bpt_network n = {0};
    char path[4][512];
    const char *files[4] = {"x.npy", "y.npy", "weights.safetensors", "grads.safetensors"};
    for (int i = 0; i < 4; i++)
        snprintf(path[i], sizeof path[i], "%s%s/%s", GOLDEN, bpt_network_text(entry, "name"), files[i]);
    bp_context_options context_options = {.struct_size = sizeof context_options,
                                          .backend = backend,
                                          .precision = precision,
                                          .emulate_bf16 = true,
                                          .threads = 2,
                                          .plugin_dir = BP_BINARY_DIR};
    bp_status status = bp_context_create(&context_options, &n.context);
    bpt_ok(n.context, status, backend);
    bp_loss loss = loss_of(bpt_network_text(entry, "loss"));
    bp_model_options options = {.struct_size = sizeof options,
                                .inputs = json_integer_value(json_object_get(entry, "inputs")),
                                .layers = bpt_network_text(entry, "layers"),
                                .loss = loss,
                                .label_smoothing = (float)json_number_value(json_object_get(entry, "label_smoothing"))};
    if (loss == BP_LOSS_HUBER)
        options.huber_delta = (float)json_number_value(json_object_get(entry, "huber_delta"));
    bpt_ok(n.context, bp_model_create(n.context, &options, &n.model), options.layers);
    bpt_ok(n.context, bp_model_load_weights(n.model, path[2]), path[2]);
    bpt_ok(n.context, bp_data_load_npy(n.context, path[0], path[1], &n.data), path[0]);
    bp_trainer_options trainer = {.struct_size = sizeof trainer,
                                  .batch = bp_data_rows(n.data),
                                  .seed = (uint64_t)json_integer_value(json_object_get(entry, "seed"))};
    bpt_ok(n.context, bp_trainer_create(n.model, &trainer, &n.trainer), "trainer");
    bpt_ok(n.context, bpi_st_reader_open(n.context, path[3], &n.golden), path[3]);
    return n;
}

void bpt_network_close(bpt_network *n)
{
    bpi_st_reader_close(n->golden);
    bp_trainer_destroy(n->trainer);
    bp_data_destroy(n->data);
    bp_model_destroy(n->model);
    bp_context_destroy(n->context);
}

double *bpt_network_golden(bpt_network *n, const char *name, int64_t count)
{
    int64_t index = bpi_st_find(n->golden, name);
    cr_assert_geq(index, 0, "%s is in the golden file", name);
    cr_assert_eq(bpi_st_tensor_at(n->golden, index)->count, count);
    double *values = calloc((size_t)count, sizeof *values);
    bpt_ok(n->context, bpi_st_read_f64(n->golden, index, values), name);
    return values;
}

double bpt_largest(const double *values, int64_t count)
{
    double most = 0.0;
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, fabs(values[i]));
    return most;
}

bpi_gradient_bounds bpt_network_bounds_in(const bpt_network *n, bp_precision precision)
{
    bpi_gradient_bounds bounds;
    bpt_ok(n->context,
           bpi_gradient_bounds_of(n->trainer, precision, &n->data->source, 0, bp_data_rows(n->data), &bounds),
           "bounds");
    return bounds;
}

double *bpt_network_bounds(const bpt_network *judge, int64_t index, const bpi_gradient_bounds *bounds,
                           const double *want, int64_t count)
{
    double *dense = calloc((size_t)count, sizeof *dense);
    const bpi_tensor *tensor = &judge->model->tensors[bpi_tensor_in_file_order(judge->model, index)];
    if (bounds)
        bpi_tensor_unpack(tensor, BPI_TYPE_F64, bounds->gradients + tensor->offset, dense);
    for (int64_t i = 0; !bounds && i < count; i++)
        dense[i] = BPT_REFERENCE_TOLERANCE * bpt_largest(want, count);
    return dense;
}

/* A bias before batch norm: the norm takes out what it adds, and its gradient is what rounding left. */
static bool is_dead_bias(const bp_model *model, int64_t tensor)
{
    const bpi_layer *layer = &model->layers[model->tensors[tensor].block];
    return layer->block.norm == BP_NORM_BATCH && layer->bias == tensor;
}

static double *gradient_of(bpt_network *n, int64_t tensor, int64_t count)
{
    double *values = calloc((size_t)count, sizeof *values);
    bpt_ok(n->context, bp_trainer_get_gradient(n->trainer, n->model->tensors[tensor].name, values, count), "gradient");
    return values;
}

/* The largest entry of PyTorch's gradient that a tensor is measured by: its own, or its layer's weight's. */
static double measure_of(bpt_network *n, int64_t tensor)
{
    const bp_model *model = n->model;
    int64_t by = is_dead_bias(model, tensor) ? model->layers[model->tensors[tensor].block].weight : tensor;
    int64_t count = bpi_tensor_elements(&model->tensors[by]);
    double *want = bpt_network_golden(n, model->tensors[by].name, count), largest = bpt_largest(want, count);
    free(want);
    return largest;
}

static void compare_tensor(bpt_network *n, const bpt_network *judge, const bpi_gradient_bounds *bounds, int64_t index,
                           const char *name)
{
    int64_t tensor = bpi_tensor_in_file_order(n->model, index);
    int64_t count = bpi_tensor_elements(&n->model->tensors[tensor]);
    double *want = bpt_network_golden(n, n->model->tensors[tensor].name, count);
    double *got = gradient_of(n, tensor, count);
    double *bound = bpt_network_bounds(judge, index, bounds, want, count);
    for (int64_t i = 0; !bounds && i < count; i++)
        bound[i] = BPT_REFERENCE_TOLERANCE * measure_of(n, tensor);
    if (is_dead_bias(n->model, tensor))
        for (int64_t i = 0; i < count; i++)
            cr_expect(bpt_within(got[i], want[i], bound[i]), "%s: dead bias %lld: %g", name, (long long)i, got[i]);
    else
        bpt_compare(got, want, bound, count, "%s: %s", name, n->model->tensors[tensor].name);
    free(bound);
    free(got);
    free(want);
}

void bpt_network_compare(bpt_network *n, const bpt_network *judge, const bpi_gradient_bounds *bounds, const char *name)
{
    bp_step_result result;
    bpt_ok(n->context, bp_trainer_gradients_data(n->trainer, n->data, 0, bp_data_rows(n->data)), name);
    bpt_ok(n->context, bp_trainer_result(n->trainer, &result), name);
    double *loss = bpt_network_golden(n, "loss", 1);
    double loss_bound = bounds ? bounds->loss : BPT_REFERENCE_TOLERANCE * fabs(*loss);
    bpt_compare(&result.loss, loss, &loss_bound, 1, "%s: loss", name);
    free(loss);
    for (int64_t i = 0; i < bp_model_tensor_count(n->model); i++)
        compare_tensor(n, judge, bounds, i, name);
}

json_t *bpt_network_manifest(void)
{
    return bpt_network_manifest_of("manifest.json");
}

json_t *bpt_network_manifest_of(const char *file)
{
    json_error_t error;
    char path[512];
    snprintf(path, sizeof path, "%s%s", GOLDEN, file);
    json_t *list = json_load_file(path, 0, &error);
    cr_assert_not_null(list, "%s", error.text);
    cr_assert_geq(json_array_size(list), 30);
    return list;
}
