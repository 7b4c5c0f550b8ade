/* bf16 where an operation knows it as a second type: weights beside their parameters, and the wide arrays of the last
 * layer beside error terms. Everything else is in the operations' own tests, run with BP_TEST_PRECISION=bf16. */
#include "kernels/math/bf16.h"
#include "support/activation.h"
#include "support/judge.h"
#include "support/linear.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

TestSuite(bf16, .fini = bpt_clean);

/* The backend in bf16; a test ends here where this run is for f32. */
static bpt_device *open_short(void)
{
    if (bpt_precision() != BP_PRECISION_BF16)
        cr_skip_test("BP_TEST_PRECISION is not bf16: the entries with bf16 in their names run this");
    return bpt_open(bpt_fast(), 2);
}

/* ---------------------------------------------------------------- weights */

/* Of every upper half, the lower halves at which rounding turns: exact, around the midpoint, and the last. */
static float edge(int64_t k)
{
    static const uint32_t low[] = {0x0000, 0x0001, 0x7fff, 0x8000, 0x8001, 0xffff};
    return bpi_float_from_bits((uint32_t)(k / 6) << 16 | low[k % 6]);
}

enum { EDGES = 6 * 65536 };

/* Three counts, so that the last thread of each has another number of elements. */
Test(bf16, weights_are_the_parameters_to_nearest_even_at_every_edge)
{
    bpt_device *device = open_short();
    float *parameters = malloc(EDGES * sizeof *parameters);
    uint16_t *got = malloc(EDGES * sizeof *got);
    cr_assert(parameters && got);
    for (int64_t k = 0; k < EDGES; ++k)
        parameters[k] = edge(k);
    void *from = bpt_upload(device, parameters, EDGES * sizeof *parameters);
    for (int64_t count = EDGES - 5; count <= EDGES; count += 1 + (count == EDGES - 4) * 3) {
        memset(got, 0xab, EDGES * sizeof *got);
        void *to = bpt_upload(device, got, EDGES * sizeof *got);
        BPT_RUN(device, convert_weights, from, count, to);
        bpt_download(device, to, EDGES * sizeof *got, got);
        for (int64_t k = 0; k < EDGES; ++k) {
            bool nan = isnan(parameters[k]) && k < count;
            uint16_t want = k < count ? bpi_bf16_from_float(parameters[k]) : 0xabab;
            cr_assert(nan ? isnan(bpi_float_from_bf16(got[k])) : got[k] == want, "%a became %#x, not %#x",
                      (double)parameters[k], got[k], want);
        }
        device->ops->release(device->backend, to, EDGES * sizeof *got);
    }
    device->ops->release(device->backend, from, EDGES * sizeof *parameters);
    free(parameters);
    free(got);
    bpt_close(device);
}

/* ---------------------------------------------------------------- wide arrays */

static double *run_forward(bpt_device *device, bpt_shape shape, bp_activation activation, int64_t extra,
                           const bpt_linear_values *values, double **z)
{
    bpt_linear linear = bpt_linear_open_wide(device, shape, activation, extra, values);
    bool saves_z = bpi_activation_saves_z(activation);
    BPT_RUN(device, linear_forward, linear.plan, linear.x.view.data, linear.w.view.data,
            linear.spec.bias ? linear.bias.view.data : NULL, saves_z ? linear.z.view.data : NULL, linear.a.view.data);
    double *a = bpt_get(&linear.a);
    *z = saves_z ? bpt_get(&linear.z) : NULL;
    bpt_linear_close(&linear);
    return a;
}

static double magnitude_of(bpt_shape shape, const bpt_linear_values *values, int64_t b, int64_t o)
{
    double sum = values->bias ? fabs(values->bias[o]) : 0.0;
    for (int64_t i = 0; i < shape.inputs; ++i)
        sum += fabs(values->x[b * shape.inputs + i] * values->w[o * shape.inputs + i]);
    return sum;
}

/* As in f32: nothing of z or a is rounded to bf16. The reference keeps z of the activations that do not save it too. */
Test(bf16, forward_of_a_wide_layer_is_as_exact_as_f32)
{
    bpt_device *device = open_short(), *judge = bpt_open(bpt_reference(), 1);
    bpi_roundoff r = bpi_roundoff_of(BP_PRECISION_F32);
    for (int s = 0; s < BPT_SHAPE_COUNT; ++s) {
        bpt_shape shape = bpt_shapes[s];
        bp_activation activation = (bp_activation)(s % BP_ACTIVATION_COUNT);
        bpt_linear_values values = bpt_linear_random(BPI_TYPE_BF16, BPI_TYPE_F32, shape, s % 3 != 0, 201);
        double *want_z, *got_z, *unused;
        double *want = run_forward(judge, shape, activation, 0, &values, &want_z);
        double *exact_z = run_forward(judge, shape, BP_ACTIVATION_IDENTITY, 0, &values, &unused);
        double *got = run_forward(device, shape, activation, s % 2, &values, &got_z);
        int64_t count = shape.rows * shape.outputs;
        double *bound = bpt_doubles(count), *z_bound = bpt_doubles(count);
        for (int64_t k = 0; k < count; ++k) {
            double magnitude = magnitude_of(shape, &values, k / shape.outputs, k % shape.outputs);
            /* twice: the reference's own error, in f64, is far below the other half */
            z_bound[k] = 2.0 * bpi_linear_forward_bound(&r, shape.inputs, magnitude);
            bound[k] = bpi_activation_forward_bound(&r, activation, bpt_slope, exact_z[k], z_bound[k], want[k]) +
                       bpi_activation_bound_f64(activation, want[k], exact_z[k]);
        }
        if (count > 2)
            bpt_compare(got, want, bound, count, "%s, shape %d", bp_activation_name(activation), s);
        if (got_z)
            bpt_compare(got_z, want_z, z_bound, count, "z of %s, shape %d", bp_activation_name(activation), s);
        bpt_clean();
    }
    bpt_close(device);
    bpt_close(judge);
}

static double *run_backward(bpt_device *device, bp_activation activation, bpt_shape shape, int64_t extra,
                            const double *saved_values, const double *d_a_values, double **d_b_values)
{
    bpt_matrix saved = bpt_wide(device, shape.rows, shape.outputs, extra, saved_values);
    bpt_matrix d_a = bpt_activations(device, shape.rows, shape.outputs, extra, d_a_values);
    bpt_matrix d_b = bpt_parameters(device, 1, shape.outputs, 1, NULL);
    bpt_reserve(device, shape.rows, shape.outputs, 1);
    bpi_activation_args args = {.activation = activation,
                                .slope = bpt_slope,
                                .saved = saved.view,
                                .d_a = d_a.view,
                                .delta = d_a.view,
                                .d_b = d_b.view.data,
                                .wide = true};
    BPT_RUN(device, activation_backward, &args);
    double *delta = bpt_get(&d_a);
    *d_b_values = bpt_get(&d_b);
    bpt_release(&saved);
    bpt_release(&d_a);
    bpt_release(&d_b);
    return delta;
}

Test(bf16, backward_of_a_wide_layer_is_within_the_bound_of_the_reference)
{
    bpt_device *device = open_short(), *judge = bpt_open(bpt_reference(), 1);
    for (int s = 0; s < BPT_SHAPE_COUNT; ++s) {
        bp_activation activation = (bp_activation)((s + 1) % BP_ACTIVATION_COUNT);
        bpt_shape shape = bpt_shapes[s];
        int64_t count = shape.rows * shape.outputs;
        bpt_random random = {203};
        double *z = bpt_away_from_kinks(&random, BPI_TYPE_F32, count);
        double *saved = bpt_saved(BPI_TYPE_F32, activation, z, count);
        double *d_a = bpt_uniform(&random, BPI_TYPE_BF16, -1.0, 1.0, count), *want_b, *got_b;
        double *want = run_backward(judge, activation, shape, 0, saved, d_a, &want_b);
        double *got = run_backward(device, activation, shape, s % 2, saved, d_a, &got_b);
        double *bound = bpt_doubles(count), *b_bound = bpt_doubles(shape.outputs);
        double *magnitude = bpt_doubles(shape.outputs), *errors = bpt_doubles(shape.outputs);
        for (int64_t k = 0; k < count; ++k) {
            double derivative = d_a[k] != 0.0 ? want[k] / d_a[k] : 0.0;
            bound[k] = bpi_activation_backward_bound(&device->roundoff, activation, saved[k], d_a[k], derivative) +
                       bpi_activation_backward_bound(&judge->roundoff, activation, saved[k], d_a[k], derivative);
            magnitude[k % shape.outputs] += fabs(want[k]);
            errors[k % shape.outputs] += bound[k];
        }
        for (int64_t o = 0; o < shape.outputs; ++o)
            b_bound[o] = bpi_bias_grad_bound(&device->roundoff, shape.rows, false, magnitude[o], errors[o]);
        if (count > 2) {
            bpt_compare(got, want, bound, count, "%s, shape %d", bp_activation_name(activation), s);
            bpt_compare(got_b, want_b, b_bound, shape.outputs, "d_b of %s, shape %d", bp_activation_name(activation),
                        s);
        }
        bpt_clean();
    }
    bpt_close(device);
    bpt_close(judge);
}
