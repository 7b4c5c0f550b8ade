/* arrays.c: arrays with random numbers on any backend; see ops.h. */
#include <stdlib.h>
#include <string.h>

#include "benchmarks/core/harness.h"
#include "benchmarks/ops/ops.h"

static bp_status hold(bpb_arrays *arrays, size_t bytes, void **memory)
{
    if (arrays->held_count == BPB_MOST_ARRAYS)
        return bpi_fail(arrays->backend->error, BP_STATUS_INVALID_ARGUMENT, "more than %d arrays", BPB_MOST_ARRAYS);
    BPI_TRY(arrays->ops->allocate(arrays->backend, bytes, memory));
    arrays->held[arrays->held_count].memory = *memory;
    arrays->held[arrays->held_count++].bytes = bytes;
    return BP_STATUS_OK;
}

static bp_status out_of_memory(bpb_arrays *arrays, size_t bytes)
{
    return bpi_fail(arrays->backend->error, BP_STATUS_OUT_OF_MEMORY, "no memory for %zu bytes", bytes);
}

/* ---------------------------------------------------------------- random numbers */

/* An activation: f32 in host memory, through `load` into the backend's type. */
static bp_status fill_activation(bpb_arrays *arrays, bpi_matrix to, uint64_t seed)
{
    size_t bytes = (size_t)(to.rows * to.cols) * sizeof(float);
    float *values = malloc(bytes);
    if (!values)
        return out_of_memory(arrays, bytes);
    bpb_fill(values, to.rows * to.cols, seed);
    bpi_source source = {.x = values, .x_type = BPI_TYPE_F32, .divisor = 1.0f, .rows = to.rows, .inputs = to.cols};
    bpi_load_args args = {.source = &source, .rows = to.rows, .x = to};
    bp_status status = arrays->ops->load(arrays->backend, &args);
    if (status == BP_STATUS_OK)
        status = arrays->ops->synchronize(arrays->backend);
    free(values);
    return status;
}

/* Parameters are f32 or f64: uploaded as they lie, zero between cols and ld. Uniform in [least, least + 1). */
static bp_status fill_parameters(bpb_arrays *arrays, bpb_array to, uint64_t seed, float least)
{
    int64_t count = to.at.rows * to.at.ld;
    size_t size = bpi_type_bytes(to.type);
    float *values = malloc((size_t)(to.at.rows * to.at.cols) * sizeof *values);
    char *image = calloc((size_t)count, size);
    bp_status status = BP_STATUS_OUT_OF_MEMORY;
    if (values && image) {
        bpb_fill(values, to.at.rows * to.at.cols, seed);
        for (int64_t row = 0; row < to.at.rows; ++row)
            for (int64_t col = 0; col < to.at.cols; ++col) {
                float value = values[row * to.at.cols + col] + 0.5f + least;
                double wide = (double)value;
                memcpy(image + (size_t)(row * to.at.ld + col) * size, size == 8 ? (void *)&wide : (void *)&value, size);
            }
        status = arrays->ops->upload(arrays->backend, image, (size_t)count * size, to.at.data);
    } else {
        status = out_of_memory(arrays, (size_t)count * size);
    }
    free(image);
    free(values);
    return status;
}

static bp_status make_rows(bpb_arrays *arrays, int64_t cols, bool of_errors, uint64_t seed, bpb_array *made)
{
    int64_t rows = arrays->shape.batch, ld = bpi_ld_of(arrays->backend, cols, of_errors);
    *made = (bpb_array){{NULL, rows, cols, ld}, arrays->backend->traits.activation_type};
    BPI_TRY(hold(arrays, (size_t)(rows * ld) * bpi_type_bytes(made->type), &made->at.data));
    return seed ? fill_activation(arrays, made->at, seed) : BP_STATUS_OK;
}

static bp_status make_activation(bpb_arrays *arrays, int64_t cols, uint64_t seed, bpb_array *made)
{
    return make_rows(arrays, cols, false, seed, made);
}

static bp_status make_errors(bpb_arrays *arrays, int64_t cols, uint64_t seed, bpb_array *made)
{
    return make_rows(arrays, cols, true, seed, made);
}

static bp_status make_parameters(bpb_arrays *arrays, int64_t rows, int64_t cols, uint64_t seed, float least,
                                 bpb_array *made)
{
    int64_t ld = rows > 1 ? bpi_ld_of(arrays->backend, cols, false) : cols;
    *made = (bpb_array){{NULL, rows, cols, ld}, arrays->backend->traits.parameter_type};
    BPI_TRY(hold(arrays, (size_t)(rows * ld) * bpi_type_bytes(made->type), &made->at.data));
    return seed ? fill_parameters(arrays, *made, seed, least) : BP_STATUS_OK;
}

/* ---------------------------------------------------------------- all of them */

static bp_status make_activations(bpb_arrays *a)
{
    BPI_TRY(make_activation(a, a->shape.inputs, 1, &a->x));
    BPI_TRY(make_errors(a, a->shape.inputs, 0, &a->d_x));
    BPI_TRY(make_activation(a, a->shape.outputs, 2, &a->z));
    BPI_TRY(make_activation(a, a->shape.outputs, 0, &a->a));
    BPI_TRY(make_errors(a, a->shape.outputs, 3, &a->d_a));
    BPI_TRY(make_errors(a, a->shape.outputs, 4, &a->delta));
    return make_activation(a, a->shape.outputs, 0, &a->out);
}

static bp_status make_vectors(bpb_arrays *a)
{
    int64_t outputs = a->shape.outputs, most = a->shape.batch > outputs ? a->shape.batch : outputs;
    most = most > a->shape.inputs ? most : a->shape.inputs;
    BPI_TRY(make_parameters(a, 1, outputs, 5, -0.5f, &a->bias));
    BPI_TRY(make_parameters(a, 1, outputs, 6, 0.5f, &a->gamma));
    BPI_TRY(make_parameters(a, 1, outputs, 7, -0.5f, &a->beta));
    BPI_TRY(make_parameters(a, 1, outputs, 8, -0.5f, &a->running_mean));
    BPI_TRY(make_parameters(a, 1, outputs, 9, 0.5f, &a->running_var));
    BPI_TRY(make_parameters(a, 1, outputs, 0, 0, &a->d_b));
    BPI_TRY(make_parameters(a, 1, outputs, 0, 0, &a->d_gamma));
    BPI_TRY(make_parameters(a, 1, outputs, 0, 0, &a->d_beta));
    BPI_TRY(make_parameters(a, 1, most, 0, 0, &a->mean));
    return make_parameters(a, 1, most, 0, 0, &a->inv_std);
}

static bp_status make_matrices(bpb_arrays *a)
{
    BPI_TRY(make_parameters(a, a->shape.outputs, a->shape.inputs, 10, -0.5f, &a->w));
    BPI_TRY(make_parameters(a, a->shape.outputs, a->shape.inputs, 0, 0, &a->d_w));
    BPI_TRY(make_parameters(a, a->shape.batch, a->shape.outputs, 11, -0.5f, &a->parameters));
    BPI_TRY(make_parameters(a, a->shape.batch, a->shape.outputs, 12, -0.5f, &a->gradients));
    BPI_TRY(make_parameters(a, a->shape.batch, a->shape.outputs, 13, 0.5f, &a->state1));
    BPI_TRY(make_parameters(a, a->shape.batch, a->shape.outputs, 14, 0.5f, &a->state2));
    BPI_TRY(make_parameters(a, a->shape.batch, a->shape.outputs, 15, 0, &a->targets));
    a->weights = a->parameters;
    a->weights.type = a->backend->traits.weight_type;
    size_t weight_bytes = (size_t)(a->weights.at.rows * a->weights.at.ld) * bpi_type_bytes(a->weights.type);
    BPI_TRY(hold(a, weight_bytes, &a->weights.at.data));
    a->targets.at.ld = a->delta.at.ld; /* the host gives targets the leading dimension of the outputs: they are equal */
    return BP_STATUS_OK;
}

static bp_status make_samples(bpb_arrays *a)
{
    int64_t rows = a->shape.batch, inputs = a->shape.inputs;
    size_t bytes = (size_t)rows * sizeof *a->classes, x_bytes = (size_t)(rows * inputs) * sizeof *a->host_x;
    int64_t *classes = malloc(bytes);
    a->host_x = malloc(x_bytes);
    bp_status status = classes && a->host_x ? BP_STATUS_OK : out_of_memory(a, bytes + x_bytes);
    for (int64_t row = 0; status == BP_STATUS_OK && row < rows; ++row)
        classes[row] = row * 7 % a->shape.outputs;
    if (status == BP_STATUS_OK)
        status = hold(a, bytes, (void **)&a->classes);
    if (status == BP_STATUS_OK)
        status = a->ops->upload(a->backend, classes, bytes, a->classes);
    free(classes);
    BPI_TRY(status);
    bpb_fill(a->host_x, rows * inputs, 1);
    a->source = (bpi_source){
        .x = a->host_x, .x_type = BPI_TYPE_F32, .divisor = 1.0f, .rows = rows, .inputs = inputs, .target_cols = 0};
    return BP_STATUS_OK;
}

/* What an observed step looks at: the parameters as one tensor, and units. */
static bp_status make_observed(bpb_arrays *a)
{
    int64_t count = a->parameters.at.rows * a->parameters.at.ld;
    bpi_observed_range whole = {0, count};
    void *ranges, *sums;
    a->observe.tensors = 1;
    BPI_TRY(hold(a, sizeof whole, &ranges));
    BPI_TRY(a->ops->upload(a->backend, &whole, sizeof whole, ranges));
    BPI_TRY(hold(a, sizeof *a->observe.sums, &sums));
    BPI_TRY(hold(a, a->ops->observe_scratch_bytes(a->backend, count, 1), &a->observe.scratch));
    a->observe.ranges = ranges;
    a->observe.sums = sums;
    return hold(a, (size_t)a->shape.outputs * sizeof *a->unit_counts, (void **)&a->unit_counts);
}

bp_status bpb_arrays_create(bpi_backend *backend, bpb_shape shape, bpb_arrays *arrays)
{
    memset(arrays, 0, sizeof *arrays);
    arrays->backend = backend;
    arrays->ops = backend->ops;
    arrays->shape = shape;
    BPI_TRY(make_activations(arrays));
    BPI_TRY(make_vectors(arrays));
    BPI_TRY(make_matrices(arrays));
    BPI_TRY(make_samples(arrays));
    BPI_TRY(make_observed(arrays));
    BPI_TRY(hold(arrays, sizeof *arrays->state, (void **)&arrays->state));
    bpi_linear_spec spec = {.rows = shape.batch,
                            .inputs = shape.inputs,
                            .outputs = shape.outputs,
                            .ld_x = arrays->x.at.ld,
                            .ld_w = arrays->w.at.ld,
                            .ld_a = arrays->a.at.ld,
                            .ld_d_x = arrays->d_x.at.ld,
                            .ld_delta = arrays->delta.at.ld,
                            .bias = true,
                            .activation = BP_ACTIVATION_RELU,
                            .gradients = true,
                            .input_grad = true};
    int64_t count = shape.batch * arrays->parameters.at.ld;
    BPI_TRY(arrays->ops->reserve(backend, arrays->ops->workspace_bytes(backend, &spec, count)));
    return arrays->ops->linear_plan(backend, &spec, &arrays->plan);
}

void bpb_arrays_destroy(bpb_arrays *arrays)
{
    if (!arrays->backend)
        return;
    arrays->ops->linear_unplan(arrays->backend, arrays->plan);
    for (int i = 0; i < arrays->held_count; ++i)
        arrays->ops->release(arrays->backend, arrays->held[i].memory, arrays->held[i].bytes);
    free(arrays->host_x);
}
