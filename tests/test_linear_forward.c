/* linear_forward: z = x w^T + b and a = f(z). The reference against sums in long double, the backends against the
 * reference, both by the bound of kernels/bounds.h. */
#include "support/exact.h"
#include "support/judge.h"
#include "support/linear.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(linear_forward, .fini = bpt_clean);

typedef struct outputs {
    double *z, *a; /* z NULL where the activation doesn't save it */
} outputs;

static outputs forward_once(bpt_linear *linear)
{
    bool saves_z = bpi_activation_saves_z(linear->spec.activation);
    BPT_RUN(linear->device, linear_forward, linear->plan, linear->x.view.data, linear->w.view.data,
            linear->spec.bias ? linear->bias.view.data : NULL, saves_z ? linear->z.view.data : NULL,
            linear->a.view.data);
    outputs got = {saves_z ? bpt_get(&linear->z) : NULL, bpt_get(&linear->a)};
    return got;
}

static outputs forward(bpt_device *device, bpt_shape shape, bp_activation activation, int64_t extra,
                       const bpt_linear_values *values)
{
    bpt_linear linear = bpt_linear_open(device, shape, activation, extra, values);
    outputs got = forward_once(&linear);
    bpt_linear_close(&linear);
    return got;
}

/* z in long double, dense; and sum |x||w| + |b|. */
static double *exact_z(bpt_shape shape, const bpt_linear_values *values, double *magnitude)
{
    double *z = bpt_doubles(shape.rows * shape.outputs);
    for (int64_t b = 0; b < shape.rows; ++b)
        for (int64_t o = 0; o < shape.outputs; ++o) {
            long double sum = values->bias ? (long double)values->bias[o] : 0.0L;
            long double sizes = fabsl(sum);
            for (int64_t i = 0; i < shape.inputs; ++i) {
                long double product =
                    (long double)values->x[b * shape.inputs + i] * (long double)values->w[o * shape.inputs + i];
                sum += product;
                sizes += fabsl(product);
            }
            z[b * shape.outputs + o] = (double)sum;
            magnitude[b * shape.outputs + o] = (double)sizes;
        }
    return z;
}

/* What `got` may be off by, the reference's own error included where it is the judge. */
static void compare(const bpi_roundoff *r, bpt_shape shape, bp_activation activation, outputs got, outputs want,
                    const double *z, const double *magnitude, const char *name)
{
    int64_t count = shape.rows * shape.outputs;
    bpi_roundoff judge = bpi_roundoff_of(BP_PRECISION_F64);
    double *z_bound = bpt_doubles(count), *a_bound = bpt_doubles(count);
    for (int64_t k = 0; k < count; ++k) {
        double off = bpi_linear_forward_bound(r, shape.inputs, magnitude[k]);
        double judge_off = bpi_linear_forward_bound(&judge, shape.inputs, magnitude[k]);
        z_bound[k] = bpi_stored_bound(r, z[k], off) + judge_off; /* of I + 1 >= 2 terms: room for rounding `want` */
        a_bound[k] = bpi_activation_forward_bound(r, activation, bpt_slope, z[k], off, want.a[k]) +
                     bpi_activation_forward_bound(&judge, activation, bpt_slope, z[k], judge_off, want.a[k]);
    }
    if (got.z)
        bpt_compare(got.z, want.z, z_bound, count, "%s z %s B=%lld I=%lld O=%lld", name, bp_activation_name(activation),
                    (long long)shape.rows, (long long)shape.inputs, (long long)shape.outputs);
    if (count > 2 || bpt_says_something(want.a, count)) /* the ReLU of one or two negative z says nothing */
        bpt_compare(got.a, want.a, a_bound, count, "%s a %s B=%lld I=%lld O=%lld", name, bp_activation_name(activation),
                    (long long)shape.rows, (long long)shape.inputs, (long long)shape.outputs);
}

Test(linear_forward, of_the_reference_is_the_sum_in_long_double)
{
    bpt_device *device = bpt_open(bpt_reference(), 1);
    for (int s = 0; s < BPT_SHAPE_COUNT; ++s) {
        bpt_shape shape = bpt_shapes[s];
        int64_t count = shape.rows * shape.outputs;
        for (int bias = 0; bias < 2; ++bias) {
            bpt_linear_values values = bpt_linear_random(BPI_TYPE_F64, BPI_TYPE_F64, shape, bias, 11);
            double *magnitude = bpt_doubles(count);
            double *z = exact_z(shape, &values, magnitude);
            for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
                if (!bpt_shape_is_for(s, f))
                    continue;
                outputs got = forward(device, shape, (bp_activation)f, s % 2, &values);
                outputs want = {z, bpt_doubles(count)};
                for (int64_t k = 0; k < count; ++k)
                    want.a[k] = (double)bpt_exact_activation((bp_activation)f, bpt_slope, (long double)z[k]);
                compare(&device->roundoff, shape, (bp_activation)f, got, want, z, magnitude, "reference");
            }
        }
        bpt_clean();
    }
    bpt_close(device);
}

Test(linear_forward, of_every_backend_is_within_the_bound_of_the_reference)
{
    bpt_device *judge = bpt_open(bpt_reference(), 1);
    for (int t = bpt_fast_index(); bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpi_traits traits = device->backend->traits;
        for (int s = 0; s < BPT_SHAPE_COUNT; ++s) {
            bpt_shape shape = bpt_shapes[s];
            for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
                if (!bpt_shape_is_for(s, f))
                    continue;
                bpt_linear_values values =
                    bpt_linear_random(traits.activation_type, traits.parameter_type, shape, (s + f) % 3 != 0, 12);
                double *magnitude = bpt_doubles(shape.rows * shape.outputs);
                double *z = exact_z(shape, &values, magnitude);
                outputs want = forward(judge, shape, (bp_activation)f, 0, &values);
                outputs got = forward(device, shape, (bp_activation)f, (s + f) % 2, &values);
                compare(&device->roundoff, shape, (bp_activation)f, got, want, z, magnitude, device->target->name);
                bpt_clean();
            }
        }
        bpt_close(device);
    }
    bpt_close(judge);
}

Test(linear_forward, gives_the_same_bits_on_every_run_and_for_1_and_2_threads)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        bpi_traits traits = one->backend->traits;
        for (int s = 0; s < BPT_SHAPE_COUNT; ++s) {
            bpt_shape shape = bpt_shapes[s];
            bp_activation activation = (bp_activation)(s % BP_ACTIVATION_COUNT);
            bpt_linear_values values =
                bpt_linear_random(traits.activation_type, traits.parameter_type, shape, true, 13);
            outputs first = forward(one, shape, activation, 1, &values);
            outputs both = forward(two, shape, activation, 1, &values);
            int64_t count = shape.rows * shape.outputs;
            bpt_same_bits(first.a, both.a, count, "%s, 1 and 2 threads, shape %d", one->target->name, s);
            bpt_clean();
        }
        bpt_close(one);
        bpt_close(two);
    }
}

Test(linear_forward, takes_nan_in_one_sample_to_all_of_its_outputs_and_to_no_other_sample)
{
    bpt_shape shape = {7, 33, 19};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpi_traits traits = device->backend->traits;
        bpt_linear_values values = bpt_linear_random(traits.activation_type, traits.parameter_type, shape, true, 14);
        double *x = bpt_doubles(shape.rows * shape.inputs);
        for (int64_t k = 0; k < shape.rows * shape.inputs; ++k)
            x[k] = values.x[k];
        x[3 * shape.inputs + 20] = (double)NAN;
        values.x = x;
        for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
            outputs got = forward(device, shape, (bp_activation)f, 1, &values);
            for (int64_t k = 0; k < shape.rows * shape.outputs; ++k)
                cr_assert_eq(isnan(got.a[k]) != 0, k / shape.outputs == 3, "%s %s: element %lld is %g",
                             device->target->name, bp_activation_name((bp_activation)f), (long long)k, got.a[k]);
        }
        bpt_close(device);
    }
}
