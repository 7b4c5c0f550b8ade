/* activation_forward: a = f(z), also in place, at ordinary, tiny, huge and infinite z. */
#include "support/exact.h"
#include "support/judge.h"
#include "support/linear.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(activation_forward, .fini = bpt_clean);

static double *activate(bpt_device *device, bpt_shape shape, int64_t extra, bp_activation activation, const double *z,
                        bool in_place)
{
    bpt_matrix input = bpt_activations(device, shape.rows, shape.outputs, extra, z);
    bpt_matrix output = bpt_activations(device, shape.rows, shape.outputs, extra ? extra + 1 : 8, NULL);
    bpt_matrix *a = in_place ? &input : &output;
    BPT_RUN(device, activation_forward, activation, bpt_slope, input.view, a->view);
    double *values = bpt_get(a);
    bpt_release(&input);
    bpt_release(&output);
    return values;
}

/* Magnitudes from 2^-40 to 2^7 or so, both signs. */
static double *spread_values(bpt_random *random, bpi_type type, int64_t count)
{
    double *z = bpt_uniform(random, type, -12.0, 12.0, count);
    for (int64_t k = 0; k < count; k += 3)
        z[k] = bpt_rounded(type, ldexp(z[k], (int)bpt_random_below(random, 45) - 40));
    return z;
}

static void bounds_of(const bpi_roundoff *r, bp_activation activation, const double *z, const double *a, int64_t count,
                      double *bound)
{
    for (int64_t k = 0; k < count; ++k)
        bound[k] += bpi_activation_forward_bound(r, activation, bpt_slope, z[k], 0.0, a[k]);
}

Test(activation_forward, of_every_backend_is_within_the_bound_of_its_definition)
{
    bpt_shape shape = {41, 1, 53};
    int64_t count = shape.rows * shape.outputs;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
            bpt_random random = {41};
            double *z = spread_values(&random, device->backend->traits.activation_type, count);
            double *want = bpt_doubles(count), *bound = bpt_doubles(count);
            for (int64_t k = 0; k < count; ++k)
                want[k] = (double)bpt_exact_activation((bp_activation)f, bpt_slope, (long double)z[k]);
            bounds_of(&device->roundoff, (bp_activation)f, z, want, count, bound);
            for (int64_t k = 0; k < count; ++k) /* `want` itself is rounded to double */
                bound[k] += 0x1p-53 * fabs(want[k]);
            bpt_compare(activate(device, shape, 0, (bp_activation)f, z, f % 2), want, bound, count, "%s %s",
                        device->target->name, bp_activation_name((bp_activation)f));
        }
        bpt_close(device);
    }
}

Test(activation_forward, of_every_backend_is_within_the_bound_of_the_reference_for_every_shape)
{
    bpt_device *judge = bpt_open(bpt_reference(), 1);
    for (int t = bpt_fast_index(); bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int s = 0; s < BPT_SHAPE_COUNT; ++s)
            for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
                if (!bpt_shape_is_for(s, f))
                    continue;
                bpt_shape shape = bpt_shapes[s];
                int64_t count = shape.rows * shape.outputs;
                bpt_random random = {42};
                double *z = spread_values(&random, device->backend->traits.activation_type, count);
                z[0] = 0.75; /* one that no activation takes to 0 */
                double *want = activate(judge, shape, 0, (bp_activation)f, z, false), *bound = bpt_doubles(count);
                bounds_of(&device->roundoff, (bp_activation)f, z, want, count, bound);
                bounds_of(&judge->roundoff, (bp_activation)f, z, want, count, bound);
                bpt_compare(activate(device, shape, s % 2, (bp_activation)f, z, s % 3 == 0), want, bound, count,
                            "%s %s, shape %d", device->target->name, bp_activation_name((bp_activation)f), s);
                bpt_clean();
            }
        bpt_close(device);
    }
    bpt_close(judge);
}

Test(activation_forward, of_rows_that_a_thread_takes_in_several_rounds_is_that_of_each_element)
{
    bpt_shape shape = bpt_wide_shape;
    int64_t count = shape.rows * shape.outputs;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpt_random random = {44};
        double *z = bpt_uniform(&random, device->backend->traits.activation_type, -1.0, 1.0, count);
        double *a = activate(device, shape, 1, BP_ACTIVATION_RELU, z, true);
        for (int64_t k = 0; k < count; ++k)
            cr_assert(a[k] == fmax(z[k], 0.0), "%s: relu(%g) is %g", device->target->name, z[k], a[k]);
        bpt_close(device);
    }
}

Test(activation_forward, has_the_right_limits_and_keeps_nan)
{
    const double inf = (double)INFINITY;
    const struct {
        double below, above;
    } limits[] = {
        [BP_ACTIVATION_IDENTITY] = {-inf, inf},   [BP_ACTIVATION_SIGMOID] = {0.0, 1.0},
        [BP_ACTIVATION_TANH] = {-1.0, 1.0},       [BP_ACTIVATION_RELU] = {0.0, inf},
        [BP_ACTIVATION_LEAKY_RELU] = {-inf, inf}, [BP_ACTIVATION_ELU] = {-1.0, inf},
        [BP_ACTIVATION_SOFTPLUS] = {0.0, inf},    [BP_ACTIVATION_SILU] = {0.0, inf},
        [BP_ACTIVATION_GELU] = {0.0, inf},        [BP_ACTIVATION_GELU_TANH] = {0.0, inf},
    };
    bpt_shape shape = {1, 1, 7};
    const double z[7] = {-inf, -3e38, -200.0, 200.0, 3e38, inf, (double)NAN};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
            double *a = activate(device, shape, 0, (bp_activation)f, z, false);
            const char *name = bp_activation_name((bp_activation)f);
            cr_assert_eq(a[0], limits[f].below, "%s %s(-inf) is %g", device->target->name, name, a[0]);
            cr_assert_eq(a[5], limits[f].above, "%s %s(inf) is %g", device->target->name, name, a[5]);
            for (int k = 1; k < 5; ++k)
                cr_assert(isfinite(a[k]), "%s %s(%g) is %g", device->target->name, name, z[k], a[k]);
            cr_assert(isnan(a[6]), "%s %s(NaN) is %g", device->target->name, name, a[6]);
        }
        bpt_close(device);
    }
}

Test(activation_forward, gives_the_same_bits_on_every_run_and_for_1_and_2_threads)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
            bpt_shape shape = {251, 1, 67};
            int64_t count = shape.rows * shape.outputs;
            bpt_random random = {43};
            double *z = spread_values(&random, one->backend->traits.activation_type, count);
            double *first = activate(one, shape, 1, (bp_activation)f, z, false);
            bpt_same_bits(first, activate(two, shape, 1, (bp_activation)f, z, true), count,
                          "%s %s, 1 and 2 threads, and in place", one->target->name,
                          bp_activation_name((bp_activation)f));
            bpt_clean();
        }
        bpt_close(one);
        bpt_close(two);
    }
}
