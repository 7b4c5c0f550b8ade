/* What cpu and cuda compute element by element is the same to the bit: both take kernels/math, where a fused operation
 * is written as one, and nothing else is contracted. Sums over several elements are cut differently and are not here.
 */
#include "support/activation.h"
#include "support/cuemu.h"
#include "support/judge.h"
#include "support/loss.h"
#include "support/shapes.h"
#include "support/update.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(cuda_bits, .fini = bpt_clean);

static const bpt_target cpu = {"cpu f32", bpi_cpu_ops, BP_PRECISION_F32};

enum { CPU, CUDA };

typedef struct pair {
    bpt_device *device[2];
} pair;

static pair open_pair(void)
{
    bpt_skip_without_cuda("cuda_test_cuda_bits_lazy");
    return (pair){{bpt_open(&cpu, 2), bpt_open(bpt_fast(), 1)}};
}

static void close_pair(pair p)
{
    bpt_close(p.device[CPU]);
    bpt_close(p.device[CUDA]);
}

/* [-range, range), with what has branches of its own: zeros of both signs, denormals, large ones, infinities. */
static double *values_with_edges(uint64_t seed, double range, int64_t count)
{
    static const double edges[] = {0.0,   -0.0,  1e-42,  -1e-42,           88.0,
                                   -88.0, 104.0, -104.0, (double)INFINITY, -(double)INFINITY};
    bpt_random random = {seed};
    double *values = bpt_uniform(&random, BPI_TYPE_F32, -range, range, count);
    for (int64_t k = 0; k < count; k += 3)
        if ((size_t)(k / 3) < sizeof edges / sizeof edges[0])
            values[k] = bpt_rounded(BPI_TYPE_F32, edges[k / 3]);
    return values;
}

/* The same bits, but for those of a NaN: a processor and a card make different ones. */
static void same(double *first, double *second, int64_t count, const char *what, const char *name, int shape)
{
    for (int64_t k = 0; k < count; k++)
        if (isnan(first[k]) && isnan(second[k]))
            first[k] = second[k] = 0.0;
    bpt_same_bits(first, second, count, "%s of %s, shape %d", what, name, shape);
}

typedef struct activated {
    double *a, *derivative, *delta;
} activated;

static activated activate(bpt_device *device, bp_activation f, bpt_shape shape, const double *z, const double *d_a)
{
    bpt_matrix from = bpt_activations(device, shape.rows, shape.outputs, 1, z);
    bpt_matrix a = bpt_activations(device, shape.rows, shape.outputs, 0, NULL);
    bpt_matrix derivative = bpt_activations(device, shape.rows, shape.outputs, 0, NULL);
    bpt_matrix error = bpt_activations(device, shape.rows, shape.outputs, 1, d_a);
    bpt_matrix d_b = bpt_parameters(device, 1, shape.outputs, 0, NULL);
    bpt_reserve(device, shape.rows, shape.outputs, 1);
    BPT_RUN(device, activation_forward, f, bpt_slope, from.view, a.view);
    bpi_matrix saved = bpi_activation_saves_z(f) ? from.view : a.view;
    BPT_RUN(device, activation_derivative, f, bpt_slope, saved, derivative.view);
    bpi_activation_args args = {.activation = f,
                                .slope = bpt_slope,
                                .saved = saved,
                                .d_a = error.view,
                                .delta = error.view,
                                .d_b = d_b.view.data};
    BPT_RUN(device, activation_backward, &args);
    activated out = {bpt_get(&a), bpt_get(&derivative), bpt_get(&error)};
    bpt_release(&from);
    bpt_release(&a);
    bpt_release(&derivative);
    bpt_release(&error);
    bpt_release(&d_b);
    return out;
}

Test(cuda_bits, of_activations_forward_and_backward_are_those_of_cpu)
{
    pair p = open_pair();
    for (int s = 0; s < BPT_SHAPE_COUNT; s++)
        for (int f = 0; f < BP_ACTIVATION_COUNT; f++) {
            bpt_shape shape = bpt_shapes[s];
            int64_t count = shape.rows * shape.outputs;
            if (count > 20000)
                continue;
            const double *z = values_with_edges(31, 9.0, count), *d_a = values_with_edges(32, 2.0, count);
            activated out[2];
            for (int d = 0; d < 2; d++)
                out[d] = activate(p.device[d], (bp_activation)f, shape, z, d_a);
            const char *name = bp_activation_name((bp_activation)f);
            cr_assert(bpt_says_something(out[CPU].a, count) || count == 1);
            same(out[CPU].a, out[CUDA].a, count, "value", name, s);
            same(out[CPU].derivative, out[CUDA].derivative, count, "derivative", name, s);
            same(out[CPU].delta, out[CUDA].delta, count, "error", name, s);
            bpt_clean();
        }
    close_pair(p);
}

Test(cuda_bits, of_hadamard_are_those_of_cpu)
{
    pair p = open_pair();
    for (int s = 0; s < BPT_SHAPE_COUNT; s++) {
        bpt_shape shape = bpt_shapes[s];
        int64_t count = shape.rows * shape.outputs;
        const double *left = values_with_edges(33, 4.0, count), *right = values_with_edges(34, 1e-3, count);
        double *out[2];
        for (int d = 0; d < 2; d++) {
            bpt_matrix l = bpt_activations(p.device[d], shape.rows, shape.outputs, 0, left);
            bpt_matrix r = bpt_activations(p.device[d], shape.rows, shape.outputs, 1, right);
            BPT_RUN(p.device[d], hadamard, l.view, r.view, r.view);
            out[d] = bpt_get(&r);
            bpt_release(&l);
            bpt_release(&r);
        }
        same(out[CPU], out[CUDA], count, "product", "hadamard", s);
        bpt_clean();
    }
    close_pair(p);
}

/* The state that one backend's update_prepare made, given to both: it holds a norm, which is a sum. */
Test(cuda_bits, of_every_optimiser_are_those_of_cpu_at_the_same_clip_factor)
{
    static const int64_t counts[] = {1, 5, 67, 4099};
    pair p = open_pair();
    for (int index = 0; index < BPT_OPTIMIZER_CASES; index++)
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            const bpi_hyper *hyper = &bpt_optimizer_cases[index].hyper;
            bpt_update_values in = bpt_update_random(BPI_TYPE_F32, hyper, counts[c], 35);
            bpi_step_state state = {.step = 4};
            bpt_update_prepare(p.device[CPU], hyper, in.gradients, counts[c], &state);
            bpt_update_values out[2] = {in, in};
            for (int d = 0; d < 2; d++)
                bpt_update_apply(p.device[d], hyper, &out[d], &state);
            const char *name = bpt_optimizer_cases[index].name;
            bpt_same_bits(out[CPU].parameters, out[CUDA].parameters, counts[c], "%s", name);
            cr_assert(memcmp(out[CPU].parameters, in.parameters, (size_t)counts[c] * sizeof(double)) != 0, "%s", name);
            if (in.state1)
                bpt_same_bits(out[CPU].state1, out[CUDA].state1, counts[c], "%s, first state", name);
            if (in.state2)
                bpt_same_bits(out[CPU].state2, out[CUDA].state2, counts[c], "%s, second state", name);
            bpt_clean();
        }
    close_pair(p);
}

/* The errors of the losses whose elements stand alone; of softmax they hang on the sum over the row. */
Test(cuda_bits, of_errors_of_losses_over_elements_are_those_of_cpu)
{
    static const bpt_shape shapes[] = {{1, 1, 1}, {33, 1, 7}, {13, 1, 53}, {31, 1, 36}, {5, 1, 1028}};
    pair p = open_pair();
    for (int index = 0; index < BPT_LOSS_CASES; index++)
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            const bpt_loss_case *what = &bpt_loss_cases[index];
            if (what->loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY)
                continue;
            bpt_loss_inputs in = bpt_loss_random(&p.device[CPU]->backend->traits, what, shapes[s], 36);
            bpt_loss_outputs out[2];
            for (int d = 0; d < 2; d++)
                out[d] = bpt_loss_run(p.device[d], &in);
            int64_t count = shapes[s].rows * shapes[s].outputs;
            cr_assert(bpt_says_something(out[CPU].delta, count));
            bpt_same_bits(out[CPU].delta, out[CUDA].delta, count, "%s, shape %zu", what->name, s);
            cr_assert_eq(out[CPU].state.correct, out[CUDA].state.correct);
            bpt_clean();
        }
    close_pair(p);
}

typedef struct batch {
    double *x, *targets;
    int64_t *classes;
} batch;

enum { SAMPLES = 29, TARGETS = 3, BATCH = 23 };

static batch load(bpt_device *device, bpi_source source, const int64_t *index, const float *statistics)
{
    const size_t bytes = (size_t)source.inputs * sizeof(float), class_bytes = BATCH * sizeof(int64_t);
    batch out = {.classes = (int64_t *)(void *)bpt_doubles(BATCH)};
    float *mean = bpt_upload(device, statistics, bytes),
          *inv_std = bpt_upload(device, statistics + source.inputs, bytes);
    int64_t *classes = bpt_upload(device, out.classes, class_bytes);
    bpt_matrix x = bpt_activations(device, BATCH, source.inputs, 0, NULL);
    bpt_matrix targets = bpt_parameters(device, BATCH, TARGETS, 0, NULL);
    bpi_load_args args = {.source = &source,
                          .index = index,
                          .rows = BATCH,
                          .mean = mean,
                          .inv_std = inv_std,
                          .x = x.view,
                          .classes = classes,
                          .targets = targets.view};
    BPT_RUN(device, load, &args);
    bpt_matrix whole = x;
    whole.view.cols = (source.inputs + 3) / 4 * 4; /* with the padding that both have */
    out.x = bpt_get(&whole);
    out.targets = bpt_get(&targets);
    bpt_download(device, classes, class_bytes, out.classes);
    device->ops->release(device->backend, mean, bytes);
    device->ops->release(device->backend, inv_std, bytes);
    device->ops->release(device->backend, classes, class_bytes);
    bpt_release(&x);
    bpt_release(&targets);
    return out;
}

/* Widths with and without a remainder of 4; samples as bytes and as floats. */
Test(cuda_bits, of_a_loaded_batch_are_those_of_cpu)
{
    static const int64_t widths[] = {1, 4, 31, 132, 784};
    pair p = open_pair();
    for (size_t w = 0; w < 2 * sizeof widths / sizeof widths[0]; w++) {
        const int64_t inputs = widths[w / 2], padded = (inputs + 3) / 4 * 4;
        bpt_random random = {37};
        float *x = calloc((size_t)(SAMPLES * inputs), sizeof *x), *statistics = calloc((size_t)(2 * inputs), sizeof *x);
        unsigned char *bytes = calloc((size_t)(SAMPLES * inputs), 1);
        float targets[SAMPLES * TARGETS];
        int64_t classes[SAMPLES], index[BATCH];
        for (int64_t k = 0; k < SAMPLES * inputs; k++) {
            x[k] = (float)bpt_random_uniform(&random, -3.0, 3.0);
            bytes[k] = (unsigned char)bpt_random_below(&random, 256);
        }
        for (int64_t k = 0; k < 2 * inputs; k++)
            statistics[k] = (float)bpt_random_uniform(&random, 0.1, 2.0);
        for (int64_t k = 0; k < SAMPLES * TARGETS; k++)
            targets[k] = (float)bpt_random_uniform(&random, -1.0, 1.0);
        for (int64_t b = 0; b < SAMPLES; b++)
            classes[b] = bpt_random_below(&random, 1000);
        for (int64_t b = 0; b < BATCH; b++)
            index[b] = bpt_random_below(&random, SAMPLES);
        bpi_source source = {.x = w % 2 ? (const void *)bytes : x,
                             .x_type = w % 2 ? BPI_TYPE_U8 : BPI_TYPE_F32,
                             .divisor = 255.0f,
                             .rows = SAMPLES,
                             .inputs = inputs,
                             .classes = classes,
                             .targets = targets,
                             .target_cols = TARGETS};
        batch out[2];
        for (int d = 0; d < 2; d++)
            out[d] = load(p.device[d], source, index, statistics);
        bpt_same_bits(out[CPU].x, out[CUDA].x, BATCH * padded, "%lld inputs, bytes %d", (long long)inputs,
                      (int)(w % 2));
        bpt_same_bits(out[CPU].targets, out[CUDA].targets, BATCH * TARGETS, "targets");
        cr_assert_eq(memcmp(out[CPU].classes, out[CUDA].classes, BATCH * sizeof(int64_t)), 0, "classes");
        free(x);
        free(bytes);
        free(statistics);
        bpt_clean();
    }
    close_pair(p);
}
