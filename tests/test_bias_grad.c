/* bias_grad: d_b[o] = sum_b delta[b,o], or added to what stands there. */
#include "support/judge.h"
#include "support/matrix.h"
#include "support/shapes.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(bias_grad, .fini = bpt_clean);

/* What bpt_shapes lacks: sums that are long enough for every way to split them; the last one as bpt_wide_shape, at an
 * odd place, where the leading dimension is odd. */
static const bpt_shape tall[] = {{4099, 1, 5}, {20011, 1, 1},  {8192, 1, 32},
                                 {2, 1, 4097}, {70001, 1, 17}, {33, 1, 16385}};

enum { CASES = BPT_SHAPE_COUNT + sizeof tall / sizeof tall[0] };

static bpt_shape shape_at(int s)
{
    return s < BPT_SHAPE_COUNT ? bpt_shapes[s] : tall[s - BPT_SHAPE_COUNT];
}

static double *sum_rows(bpt_device *device, bpt_shape shape, int64_t extra, const double *delta, const double *old)
{
    bpt_matrix errors = bpt_activations(device, shape.rows, shape.outputs, extra, delta);
    bpt_matrix d_b = bpt_parameters(device, 1, shape.outputs, 0, old); /* nothing behind it where O divides by 4 */
    bpt_reserve(device, shape.rows, shape.outputs, 1);
    BPT_RUN(device, bias_grad, errors.view, old != NULL, d_b.view.data);
    double *values = bpt_get(&d_b);
    bpt_release(&errors);
    bpt_release(&d_b);
    return values;
}

Test(bias_grad, of_every_backend_is_within_the_bound_of_the_sum_in_long_double)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpi_traits traits = device->backend->traits;
        for (int s = 0; s < CASES; ++s)
            for (int accumulate = 0; accumulate < 2; ++accumulate) {
                bpt_shape shape = shape_at(s);
                if (shape.rows * shape.outputs > 1000000 && accumulate != s % 2)
                    continue; /* long enough for once */
                bpt_random random = {81};
                double *delta = bpt_uniform(&random, traits.activation_type, -1.0, 1.0, shape.rows * shape.outputs);
                double *old = bpt_uniform(&random, traits.parameter_type, -1.0, 1.0, shape.outputs);
                double *want = bpt_doubles(shape.outputs), *bound = bpt_doubles(shape.outputs);
                for (int64_t o = 0; o < shape.outputs; ++o) {
                    long double sum = accumulate ? (long double)old[o] : 0.0L, sizes = fabsl(sum);
                    for (int64_t b = 0; b < shape.rows; ++b) {
                        sum += (long double)delta[b * shape.outputs + o];
                        sizes += fabsl((long double)delta[b * shape.outputs + o]);
                    }
                    want[o] = (double)sum;
                    bound[o] = bpi_bias_grad_bound(&device->roundoff, shape.rows, accumulate, (double)sizes, 0.0);
                }
                double *got = sum_rows(device, shape, s % 2, delta, accumulate ? old : NULL);
                bpt_compare(got, want, bound, shape.outputs, "%s, B=%lld O=%lld accumulate %d", device->target->name,
                            (long long)shape.rows, (long long)shape.outputs, accumulate);
                bpt_clean();
            }
        bpt_close(device);
    }
}

Test(bias_grad, gives_the_same_bits_on_every_run_and_for_1_and_2_threads)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        for (int s = 0; s < CASES; ++s) {
            bpt_shape shape = shape_at(s);
            bpt_random random = {82};
            double *delta =
                bpt_uniform(&random, one->backend->traits.activation_type, -1.0, 1.0, shape.rows * shape.outputs);
            double *first = sum_rows(one, shape, 0, delta, NULL);
            int64_t extra =
                two->backend->traits.alignment; /* rows that start as before: where they do is in the order */
            bpt_same_bits(first, sum_rows(two, shape, extra, delta, NULL), shape.outputs,
                          "%s, 1 and 2 threads, another ld, shape %d", one->target->name, s);
            bpt_clean();
        }
        bpt_close(one);
        bpt_close(two);
    }
}

Test(bias_grad, takes_nan_to_its_column_alone)
{
    bpt_shape shape = {67, 1, 35};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpt_random random = {83};
        double *delta =
            bpt_uniform(&random, device->backend->traits.activation_type, -1.0, 1.0, shape.rows * shape.outputs);
        delta[50 * shape.outputs + 34] = (double)NAN;
        double *got = sum_rows(device, shape, 1, delta, NULL);
        for (int64_t o = 0; o < shape.outputs; ++o)
            cr_assert_eq(isnan(got[o]) != 0, o == 34, "%s: d_b %lld is %g", device->target->name, (long long)o, got[o]);
        bpt_close(device);
    }
}
