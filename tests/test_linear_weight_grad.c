/* linear_weight_grad: d_w = delta^T x, or added to what stands there; on either lane; its padding stays zero. */
#include "support/judge.h"
#include "support/linear.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(linear_weight_grad, .fini = bpt_clean);

/* d_w begins as w. */
static double *weight_grad(bpt_device *device, bpt_shape shape, int64_t extra, const bpt_linear_values *values,
                           bool accumulate, int lane)
{
    bpt_linear linear = bpt_linear_open(device, shape, BP_ACTIVATION_IDENTITY, extra, values);
    const bpi_ops *ops = device->ops;
    if (!accumulate)
        bpt_put(&linear.d_w, NULL);
    cr_assert_eq(ops->lane_fork(device->backend), BP_STATUS_OK);
    BPT_RUN(device, linear_weight_grad, linear.plan, lane, linear.delta.view.data, linear.x.view.data, accumulate,
            linear.d_w.view.data);
    cr_assert_eq(ops->lane_join(device->backend), BP_STATUS_OK);
    double *d_w = bpt_get(&linear.d_w);
    bpt_linear_close(&linear);
    return d_w;
}

static double *exact(bpt_shape shape, const bpt_linear_values *values, bool accumulate, double *magnitude)
{
    double *d_w = bpt_doubles(shape.outputs * shape.inputs);
    for (int64_t o = 0; o < shape.outputs; ++o)
        for (int64_t i = 0; i < shape.inputs; ++i) {
            int64_t at = o * shape.inputs + i;
            long double sum = accumulate ? (long double)values->w[at] : 0.0L;
            long double sizes = fabsl(sum);
            for (int64_t b = 0; b < shape.rows; ++b) {
                long double product =
                    (long double)values->delta[b * shape.outputs + o] * (long double)values->x[b * shape.inputs + i];
                sum += product;
                sizes += fabsl(product);
            }
            d_w[at] = (double)sum;
            magnitude[at] = (double)sizes;
        }
    return d_w;
}

static void check_shape(bpt_device *device, bpt_device *judge, int s, bool accumulate)
{
    bpt_shape shape = bpt_shapes[s];
    bpi_traits traits = device->backend->traits;
    int64_t count = shape.outputs * shape.inputs;
    bpt_linear_values values = bpt_linear_random(traits.activation_type, traits.parameter_type, shape, true, 31);
    double *magnitude = bpt_doubles(count), *bound = bpt_doubles(count);
    double *want = exact(shape, &values, accumulate, magnitude);
    for (int64_t k = 0; k < count; ++k)
        bound[k] = bpi_linear_weight_grad_bound(&device->roundoff, shape.rows, accumulate, magnitude[k]) +
                   0x1p-53 * fabs(want[k]); /* `want` itself is rounded to double */
    double *got = weight_grad(device, shape, s % 2, &values, accumulate, s % 3 == 0);
    bpt_compare(got, want, bound, count, "%s against long double, shape %d, accumulate %d", device->target->name, s,
                accumulate);
    for (int64_t k = 0; k < count; ++k)
        bound[k] += bpi_linear_weight_grad_bound(&judge->roundoff, shape.rows, accumulate, magnitude[k]);
    bpt_compare(got, weight_grad(judge, shape, 0, &values, accumulate, 0), bound, count,
                "%s against the reference, shape %d, accumulate %d", device->target->name, s, accumulate);
    bpt_clean();
}

Test(linear_weight_grad, of_every_backend_is_within_the_bound_new_or_added)
{
    bpt_device *judge = bpt_open(bpt_reference(), 1);
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int s = 0; s < BPT_SHAPE_COUNT; ++s)
            for (int accumulate = 0; accumulate < 2; ++accumulate)
                if (!bpt_shape_is_large(s) || accumulate == s % 2)
                    check_shape(device, judge, s, accumulate);
        bpt_close(device);
    }
    bpt_close(judge);
}

Test(linear_weight_grad, gives_the_same_bits_on_every_run_on_both_lanes_and_for_1_and_2_threads)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        bpi_traits traits = one->backend->traits;
        for (int s = 0; s < BPT_SHAPE_COUNT; ++s) {
            bpt_shape shape = bpt_shapes[s];
            int64_t count = shape.outputs * shape.inputs;
            bpt_linear_values values =
                bpt_linear_random(traits.activation_type, traits.parameter_type, shape, true, 32);
            double *first = weight_grad(one, shape, 1, &values, true, 0);
            bpt_same_bits(first, weight_grad(one, shape, 1, &values, true, 1), count, "%s, two lanes, shape %d",
                          one->target->name, s);
            bpt_same_bits(first, weight_grad(two, shape, 1, &values, true, 0), count, "%s, 1 and 2 threads, shape %d",
                          one->target->name, s);
            bpt_clean();
        }
        bpt_close(one);
        bpt_close(two);
    }
}

Test(linear_weight_grad, takes_nan_in_one_error_to_all_weights_of_that_output_and_to_no_other)
{
    bpt_shape shape = {33, 18, 9};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpi_traits traits = device->backend->traits;
        bpt_linear_values values = bpt_linear_random(traits.activation_type, traits.parameter_type, shape, true, 33);
        double *delta = bpt_doubles(shape.rows * shape.outputs);
        for (int64_t k = 0; k < shape.rows * shape.outputs; ++k)
            delta[k] = values.delta[k];
        delta[32 * shape.outputs + 8] = (double)NAN;
        values.delta = delta;
        double *d_w = weight_grad(device, shape, 1, &values, false, 0);
        for (int64_t k = 0; k < shape.outputs * shape.inputs; ++k)
            cr_assert_eq(isnan(d_w[k]) != 0, k / shape.inputs == 8, "%s: element %lld is %g", device->target->name,
                         (long long)k, d_w[k]);
        bpt_close(device);
    }
}
