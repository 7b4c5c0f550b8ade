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

#define GOLDEN BP_SOURCE_DIR "/tests/golden/"

/* Two programs in double differ by the order of their sums: a few hundred roundings of 1.1e-16 in these networks. */
#define REFERENCE_TOLERANCE 1e-12

typedef struct network {
    bp_context *context;
    bp_model *model;
    bp_data *data;
    bp_trainer *trainer;
    bpi_st_reader *golden;
} network;

static void ok(bp_context *context, bp_status status, const char *what)
{
    cr_assert_eq(status, BP_STATUS_OK, "%s: %s", what, bp_last_error(context));
}

static const char *text_of(const json_t *entry, const char *key)
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

static network open_network(const json_t *entry, const char *backend)
{
    network n = {0};
    char path[4][512];
    const char *files[4] = {"x.npy", "y.npy", "weights.safetensors", "grads.safetensors"};
    for (int i = 0; i < 4; i++)
        snprintf(path[i], sizeof path[i], "%s%s/%s", GOLDEN, text_of(entry, "name"), files[i]);
    bp_context_options context_options = {.struct_size = sizeof context_options, .backend = backend, .threads = 2};
    bp_status status = bp_context_create(&context_options, &n.context);
    ok(n.context, status, backend);
    bp_loss loss = loss_of(text_of(entry, "loss"));
    bp_model_options options = {.struct_size = sizeof options,
                                .inputs = json_integer_value(json_object_get(entry, "inputs")),
                                .layers = text_of(entry, "layers"),
                                .loss = loss,
                                .label_smoothing = (float)json_number_value(json_object_get(entry, "label_smoothing"))};
    if (loss == BP_LOSS_HUBER)
        options.huber_delta = (float)json_number_value(json_object_get(entry, "huber_delta"));
    ok(n.context, bp_model_create(n.context, &options, &n.model), options.layers);
    ok(n.context, bp_model_load_weights(n.model, path[2]), path[2]);
    ok(n.context, bp_data_load_npy(n.context, path[0], path[1], &n.data), path[0]);
    bp_trainer_options trainer = {.struct_size = sizeof trainer, .batch = bp_data_rows(n.data)};
    ok(n.context, bp_trainer_create(n.model, &trainer, &n.trainer), "trainer");
    ok(n.context, bpi_st_reader_open(n.context, path[3], &n.golden), path[3]);
    return n;
}

static void close_network(network *n)
{
    bpi_st_reader_close(n->golden);
    bp_trainer_destroy(n->trainer);
    bp_data_destroy(n->data);
    bp_model_destroy(n->model);
    bp_context_destroy(n->context);
}

static double *golden_tensor(network *n, const char *name, int64_t count)
{
    int64_t index = bpi_st_find(n->golden, name);
    cr_assert_geq(index, 0, "%s is in the golden file", name);
    cr_assert_eq(bpi_st_tensor_at(n->golden, index)->count, count);
    double *values = calloc((size_t)count, sizeof *values);
    ok(n->context, bpi_st_read_f64(n->golden, index, values), name);
    return values;
}

static double largest(const double *values, int64_t count)
{
    double most = 0.0;
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, fabs(values[i]));
    return most;
}

/* Dense bounds of the index-th tensor in file order: from `bounds`, which are laid out as the parameters of `judge`, or
 * the reference's tolerance where that is NULL. */
static double *tensor_bounds(const network *judge, int64_t index, const bpi_gradient_bounds *bounds, const double *want,
                             int64_t count)
{
    double *dense = calloc((size_t)count, sizeof *dense);
    const bpi_tensor *tensor = &judge->model->tensors[bpi_tensor_in_file_order(judge->model, index)];
    if (bounds)
        bpi_tensor_unpack(tensor, BPI_TYPE_F64, bounds->gradients + tensor->offset, dense);
    for (int64_t i = 0; !bounds && i < count; i++)
        dense[i] = REFERENCE_TOLERANCE * largest(want, count);
    return dense;
}

static void compare_all(network *n, const char *name, const network *judge, const bpi_gradient_bounds *bounds)
{
    bp_step_result result;
    ok(n->context, bp_trainer_gradients_data(n->trainer, n->data, 0, bp_data_rows(n->data)), name);
    ok(n->context, bp_trainer_result(n->trainer, &result), name);
    double *loss = golden_tensor(n, "loss", 1);
    double loss_bound = bounds ? bounds->loss : REFERENCE_TOLERANCE * fabs(*loss);
    bpt_compare(&result.loss, loss, &loss_bound, 1, "%s: loss", name);
    free(loss);
    for (int64_t i = 0; i < bp_model_tensor_count(n->model); i++) {
        bp_tensor_info info;
        ok(n->context, bp_model_tensor_info(n->model, i, &info), name);
        int64_t count = info.cols ? info.rows * info.cols : info.rows;
        double *want = golden_tensor(n, info.name, count);
        double *bound = tensor_bounds(judge, i, bounds, want, count);
        double *got = calloc((size_t)count, sizeof *got);
        ok(n->context, bp_trainer_get_gradient(n->trainer, info.name, got, count), info.name);
        bpt_compare(got, want, bound, count, "%s: %s", name, info.name);
        free(got);
        free(bound);
        free(want);
    }
}

/* Over the tensors, the most that the largest bound is of the largest gradient. */
static double width(const network *n, const bpi_gradient_bounds *bounds)
{
    double most = 0.0;
    const double *gradients = n->trainer->gradients;
    for (int64_t i = 0; i < n->model->tensor_count; i++) {
        const bpi_tensor *tensor = &n->model->tensors[i];
        int64_t count = tensor->ld * (tensor->cols ? tensor->rows : 1);
        double here = largest(bounds->gradients + tensor->offset, count) / largest(gradients + tensor->offset, count);
        most = fmax(most, here);
    }
    return most;
}

static json_t *manifest(void)
{
    json_error_t error;
    json_t *list = json_load_file(GOLDEN "manifest.json", 0, &error);
    cr_assert_not_null(list, "%s", error.text);
    cr_assert_geq(json_array_size(list), 30);
    return list;
}

Test(golden, reference_agrees_with_pytorch_to_1e_12)
{
    json_t *list = manifest();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        network n = open_network(entry, "reference");
        compare_all(&n, text_of(entry, "name"), &n, NULL);
        close_network(&n);
    }
    json_decref(list);
}

static void compare_within_bounds(const char *backend, bp_precision precision)
{
    json_t *list = manifest();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        network judge = open_network(entry, "reference"), judged = open_network(entry, backend);
        bpi_gradient_bounds bounds;
        ok(judge.context,
           bpi_gradient_bounds_of(judge.trainer, precision, &judge.data->source, 0, bp_data_rows(judge.data), &bounds),
           "bounds");
        cr_expect_eq(bounds.kinks, 0, "%s: the golden networks keep away from kinks", text_of(entry, "name"));
        /* A bound as large as the gradients would let anything pass. */
        cr_expect_lt(width(&judge, &bounds), 0.01, "%s: the bound says something", text_of(entry, "name"));
        compare_all(&judged, text_of(entry, "name"), &judge, &bounds);
        bpi_gradient_bounds_free(judge.model, &bounds);
        close_network(&judged);
        close_network(&judge);
    }
    json_decref(list);
}

Test(golden, cpu_agrees_with_pytorch_within_the_derived_f32_bound)
{
    compare_within_bounds("cpu", BP_PRECISION_F32);
}
