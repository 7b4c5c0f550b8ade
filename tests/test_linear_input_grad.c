/* linear_input_grad: d_x = delta w. */
#include "support/judge.h"
#include "support/linear.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(linear_input_grad, .fini = bpt_clean);

static double *input_grad(bpt_device *device, bpt_shape shape, int64_t extra, const bpt_linear_values *values)
{
    bpt_linear linear = bpt_linear_open(device, shape, BP_ACTIVATION_IDENTITY, extra, values);
    BPT_RUN(device, linear_input_grad, linear.plan, linear.delta.view.data, linear.w.view.data, linear.d_x.view.data);
    double *d_x = bpt_get(&linear.d_x);
    bpt_linear_close(&linear);
    return d_x;
}

static double *exact(bpt_shape shape, const bpt_linear_values *values, double *magnitude)
{
    double *d_x = bpt_doubles(shape.rows * shape.inputs);
    for (int64_t b = 0; b < shape.rows; ++b)
        for (int64_t i = 0; i < shape.inputs; ++i) {
            long double sum = 0.0L, sizes = 0.0L;
            for (int64_t o = 0; o < shape.outputs; ++o) {
                long double product =
                    (long double)values->delta[b * shape.outputs + o] * (long double)values->w[o * shape.inputs + i];
                sum += product;
                sizes += fabsl(product);
            }
            d_x[b * shape.inputs + i] = (double)sum;
            magnitude[b * shape.inputs + i] = (double)sizes;
        }
    return d_x;
}

Test(linear_input_grad, of_every_backend_is_within_the_bound)
{
    bpt_device *judge = bpt_open(bpt_reference(), 1);
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpi_traits traits = device->backend->traits;
        for (int s = 0; s < BPT_SHAPE_COUNT; ++s) {
            bpt_shape shape = bpt_shapes[s];
            int64_t count = shape.rows * shape.inputs;
            bpt_linear_values values =
                bpt_linear_random(traits.activation_type, traits.parameter_type, shape, true, 21);
            double *magnitude = bpt_doubles(count), *bound = bpt_doubles(count);
            double *want = exact(shape, &values, magnitude);
            for (int64_t k = 0; k < count; ++k)
                bound[k] = bpi_linear_input_grad_bound(&device->roundoff, shape.outputs, want[k], magnitude[k]) +
                           0x1p-53 * fabs(want[k]); /* `want` itself is rounded to double */
            double *got = input_grad(device, shape, s % 2, &values);
            bpt_compare(got, want, bound, count, "%s against long double, B=%lld I=%lld O=%lld", device->target->name,
                        (long long)shape.rows, (long long)shape.inputs, (long long)shape.outputs);
            for (int64_t k = 0; k < count; ++k)
                bound[k] += bpi_linear_input_grad_bound(&judge->roundoff, shape.outputs, want[k], magnitude[k]);
            bpt_compare(got, input_grad(judge, shape, 0, &values), bound, count,
                        "%s against the reference, B=%lld I=%lld O=%lld", device->target->name, (long long)shape.rows,
                        (long long)shape.inputs, (long long)shape.outputs);
            bpt_clean();
        }
        bpt_close(device);
    }
    bpt_close(judge);
}

Test(linear_input_grad, gives_the_same_bits_on_every_run_and_for_1_and_2_threads)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        bpi_traits traits = one->backend->traits;
        for (int s = 0; s < BPT_SHAPE_COUNT; ++s) {
            bpt_shape shape = bpt_shapes[s];
            bpt_linear_values values =
                bpt_linear_random(traits.activation_type, traits.parameter_type, shape, true, 22);
            double *first = input_grad(one, shape, 1, &values);
            int64_t count = shape.rows * shape.inputs;
            bpt_same_bits(first, input_grad(two, shape, 1, &values), count, "%s, 1 and 2 threads, shape %d",
                          one->target->name, s);
            bpt_clean();
        }
        bpt_close(one);
        bpt_close(two);
    }
}

Test(linear_input_grad, takes_nan_in_one_samples_error_to_all_of_its_row_and_to_no_other)
{
    bpt_shape shape = {6, 21, 35};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpi_traits traits = device->backend->traits;
        bpt_linear_values values = bpt_linear_random(traits.activation_type, traits.parameter_type, shape, true, 23);
        double *delta = bpt_doubles(shape.rows * shape.outputs);
        for (int64_t k = 0; k < shape.rows * shape.outputs; ++k)
            delta[k] = values.delta[k];
        delta[5 * shape.outputs + 34] = (double)NAN;
        values.delta = delta;
        double *d_x = input_grad(device, shape, 1, &values);
        for (int64_t k = 0; k < shape.rows * shape.inputs; ++k)
            cr_assert_eq(isnan(d_x[k]) != 0, k / shape.inputs == 5, "%s: element %lld is %g", device->target->name,
                         (long long)k, d_x[k]);
        bpt_close(device);
    }
}
