/* activation_derivative: f'(z) from what the forward saved: the reference against central differences of f in long
 * double, the backends against the reference. */
#include "support/activation.h"
#include "support/judge.h"

#include <criterion/criterion.h>

TestSuite(activation_derivative, .fini = bpt_clean);

static double *derive(bpt_device *device, bpt_shape shape, int64_t extra, bp_activation activation, const double *saved,
                      bool in_place)
{
    bpt_matrix input = bpt_activations(device, shape.rows, shape.outputs, extra, saved);
    bpt_matrix output = bpt_activations(device, shape.rows, shape.outputs, extra ? extra + 1 : 8, NULL);
    bpt_matrix *derivative = in_place ? &input : &output;
    BPT_RUN(device, activation_derivative, activation, bpt_slope, input.view, derivative->view);
    double *values = bpt_get(derivative);
    bpt_release(&input);
    bpt_release(&output);
    return values;
}

Test(activation_derivative, of_the_reference_is_the_central_difference)
{
    bpt_device *device = bpt_open(bpt_reference(), 1);
    bpt_shape shape = {37, 1, 41};
    int64_t count = shape.rows * shape.outputs;
    for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
        bpt_random random = {51};
        double *z = bpt_away_from_kinks(&random, BPI_TYPE_F64, count);
        double *want = bpt_doubles(count), *bound = bpt_doubles(count);
        for (int64_t k = 0; k < count; ++k) {
            want[k] = (double)bpt_exact_difference((bp_activation)f, bpt_slope, (long double)z[k]);
            bound[k] = BPT_DIFFERENCE_BOUND;
        }
        double *saved = bpt_saved(BPI_TYPE_F64, (bp_activation)f, z, count);
        bpt_compare(derive(device, shape, 1, (bp_activation)f, saved, false), want, bound, count, "%s",
                    bp_activation_name((bp_activation)f));
    }
    bpt_close(device);
}

Test(activation_derivative, of_every_backend_is_within_the_bound_of_the_reference)
{
    bpt_device *judge = bpt_open(bpt_reference(), 1);
    for (int t = bpt_fast_index(); bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int s = 0; s < BPT_SHAPE_COUNT; ++s)
            for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
                if (!bpt_shape_is_for(s, f))
                    continue;
                bpt_shape shape = bpt_shapes[s];
                bp_activation activation = (bp_activation)f;
                int64_t count = shape.rows * shape.outputs;
                bpt_random random = {52};
                bpi_type type = device->backend->traits.activation_type;
                double *z = bpt_away_from_kinks(&random, type, count);
                double *saved = bpt_saved(type, activation, z, count), *bound = bpt_doubles(count);
                double *want = derive(judge, shape, 0, activation, saved, false);
                for (int64_t k = 0; k < count; ++k)
                    bound[k] = bpi_activation_derivative_bound(&device->roundoff, activation, saved[k], want[k]) +
                               bpi_activation_derivative_bound(&judge->roundoff, activation, saved[k], want[k]);
                bpt_compare(derive(device, shape, s % 2, activation, saved, s % 3 == 0), want, bound, count,
                            "%s %s, shape %d", device->target->name, bp_activation_name(activation), s);
                bpt_clean();
            }
        bpt_close(device);
    }
    bpt_close(judge);
}

Test(activation_derivative, of_rows_that_a_thread_takes_in_several_rounds_is_that_of_each_element)
{
    bpt_shape shape = bpt_wide_shape;
    int64_t count = shape.rows * shape.outputs;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpt_random random = {54};
        double *a = bpt_uniform(&random, device->backend->traits.activation_type, -1.0, 1.0, count);
        double *got = derive(device, shape, 1, BP_ACTIVATION_RELU, a, true);
        for (int64_t k = 0; k < count; ++k)
            cr_assert(got[k] == (a[k] > 0.0 ? 1.0 : 0.0), "%s: relu' of %g is %g", device->target->name, a[k], got[k]);
        bpt_close(device);
    }
}

Test(activation_derivative, is_that_of_the_left_side_at_a_kink)
{
    static const struct {
        bp_activation activation;
        double at_zero;
    } kinks[] = {{BP_ACTIVATION_RELU, 0.0}, {BP_ACTIVATION_LEAKY_RELU, (double)0.2f}, {BP_ACTIVATION_ELU, 1.0}};
    const double zeros[2] = {0.0, -0.0};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        for (size_t k = 0; k < sizeof kinks / sizeof kinks[0]; ++k) {
            double *got = derive(device, (bpt_shape){1, 1, 2}, 0, kinks[k].activation, zeros, false);
            double want = bpt_rounded(device->backend->traits.activation_type, kinks[k].at_zero);
            cr_assert(got[0] == want && got[1] == want, "%s %s'(0) is %g and %g", device->target->name,
                      bp_activation_name(kinks[k].activation), got[0], got[1]);
        }
        bpt_close(device);
    }
}

Test(activation_derivative, has_the_right_limits_and_keeps_nan)
{
    double inf = (double)INFINITY;
    const double z[7] = {-inf, -3e38, -300.0, 300.0, 3e38, inf, (double)NAN};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
            bp_activation activation = (bp_activation)f;
            double *saved = bpt_saved(BPI_TYPE_F64, activation, z, 7);
            if (bpi_activation_saves_z(activation)) /* the definition is NaN at infinity, z itself is what is saved */
                saved[0] = -inf, saved[5] = inf;
            if (activation == BP_ACTIVATION_TANH) /* infinity over infinity in its definition */
                saved[0] = saved[1] = saved[2] = -1.0, saved[3] = saved[4] = saved[5] = 1.0;
            double *got = derive(device, (bpt_shape){1, 1, 7}, 0, activation, saved, false);
            bool flat_below = activation != BP_ACTIVATION_IDENTITY && activation != BP_ACTIVATION_LEAKY_RELU;
            bool flat_above = activation == BP_ACTIVATION_SIGMOID || activation == BP_ACTIVATION_TANH;
            double below = activation == BP_ACTIVATION_LEAKY_RELU
                               ? bpt_rounded(device->backend->traits.activation_type, (double)bpt_slope)
                               : 1.0;
            for (int k = 0; k < 6; ++k) {
                double want = k < 3 ? (flat_below ? 0.0 : below) : (flat_above ? 0.0 : 1.0);
                cr_assert(fabs(got[k] - want) <= 1e-30, "%s %s'(%g) is %g", device->target->name,
                          bp_activation_name(activation), z[k], got[k]);
            }
            cr_assert(activation == BP_ACTIVATION_IDENTITY || isnan(got[6]), "%s %s'(NaN) is %g", device->target->name,
                      bp_activation_name(activation), got[6]);
        }
        bpt_close(device);
    }
}

Test(activation_derivative, gives_the_same_bits_on_every_run_and_for_1_and_2_threads)
{
    bpt_shape shape = {251, 1, 67};
    int64_t count = shape.rows * shape.outputs;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        bpi_type type = one->backend->traits.activation_type;
        for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
            bpt_random random = {53};
            double *z = bpt_away_from_kinks(&random, type, count);
            double *saved = bpt_saved(type, (bp_activation)f, z, count);
            double *first = derive(one, shape, 1, (bp_activation)f, saved, false);
            bpt_same_bits(first, derive(two, shape, 1, (bp_activation)f, saved, true), count,
                          "%s %s, 1 and 2 threads, and in place", one->target->name,
                          bp_activation_name((bp_activation)f));
            bpt_clean();
        }
        bpt_close(one);
        bpt_close(two);
    }
}
