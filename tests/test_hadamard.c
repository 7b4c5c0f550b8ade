/* hadamard: the element-wise product, also into either factor. */
#include "support/judge.h"
#include "support/matrix.h"
#include "support/shapes.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(hadamard, .fini = bpt_clean);

typedef enum placement { APART, INTO_LEFT, INTO_RIGHT } placement;

/* The factors' rows lie differently far apart; all of them start on 16 bytes where extra is 0. */
static double *multiply(bpt_device *device, bpt_shape shape, int64_t extra, const double *left, const double *right,
                        placement where)
{
    bpt_matrix l = bpt_activations(device, shape.rows, shape.outputs, extra, left);
    bpt_matrix r = bpt_activations(device, shape.rows, shape.outputs, extra ? extra + 1 : 8, right);
    bpt_matrix apart = bpt_activations(device, shape.rows, shape.outputs, extra, NULL);
    const bpt_matrix *product = where == INTO_LEFT ? &l : where == INTO_RIGHT ? &r : &apart;
    BPT_RUN(device, hadamard, l.view, r.view, product->view);
    double *values = bpt_get(product);
    bpt_release(&l);
    bpt_release(&r);
    bpt_release(&apart);
    return values;
}

Test(hadamard, of_every_backend_is_the_rounded_product)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpi_type type = device->backend->traits.activation_type;
        for (int s = 0; s < BPT_SHAPE_COUNT; ++s) {
            bpt_shape shape = bpt_shapes[s];
            int64_t count = shape.rows * shape.outputs;
            bpt_random random = {71};
            double *left = bpt_uniform(&random, type, -4.0, 4.0, count);
            double *right = bpt_uniform(&random, type, -4.0, 4.0, count);
            double *want = bpt_doubles(count), *bound = bpt_doubles(count);
            for (int64_t k = 0; k < count; ++k) {
                want[k] = left[k] * right[k];
                bound[k] = bpi_hadamard_bound(&device->roundoff, want[k]);
            }
            double *got = multiply(device, shape, s % 2, left, right, (placement)(s % 3));
            bpt_compare(got, want, bound, count, "%s, shape %d", device->target->name, s);
            if (type != BPI_TYPE_BF16)
                for (int64_t k = 0; k < count; ++k) /* one rounding: nothing to differ in */
                    cr_assert(got[k] == bpt_rounded(type, want[k]), "%s: %g * %g", device->target->name, left[k],
                              right[k]);
            bpt_clean();
        }
        bpt_close(device);
    }
}

Test(hadamard, of_rows_that_a_thread_takes_in_several_rounds_is_the_rounded_product)
{
    bpt_shape shape = bpt_wide_shape;
    int64_t count = shape.rows * shape.outputs;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpi_type type = device->backend->traits.activation_type;
        bpt_random random = {73};
        double *left = bpt_uniform(&random, type, -4.0, 4.0, count);
        double *right = bpt_uniform(&random, type, -4.0, 4.0, count);
        double *got = multiply(device, shape, 1, left, right, INTO_LEFT);
        for (int64_t k = 0; k < count; ++k)
            cr_assert(got[k] == bpt_rounded(type, left[k] * right[k]), "%s: element %lld is %g", device->target->name,
                      (long long)k, got[k]);
        bpt_close(device);
    }
}

Test(hadamard, gives_the_same_bits_in_place_and_for_1_and_2_threads)
{
    bpt_shape shape = {301, 1, 67};
    int64_t count = shape.rows * shape.outputs;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        bpi_type type = one->backend->traits.activation_type;
        bpt_random random = {72};
        double *left = bpt_uniform(&random, type, -4.0, 4.0, count);
        double *right = bpt_uniform(&random, type, -4.0, 4.0, count);
        left[40] = (double)INFINITY, left[41] = 1e-37, right[41] = 1e-3, left[42] = 0.0;
        double *first = multiply(one, shape, 1, left, right, APART);
        bpt_same_bits(first, multiply(one, shape, 1, left, right, INTO_LEFT), count, "%s left", one->target->name);
        bpt_same_bits(first, multiply(two, shape, 1, left, right, INTO_RIGHT), count, "%s right", one->target->name);
        cr_assert(isinf(first[40]) && first[42] == 0.0);
        cr_assert(first[41] > 0.0, "%s: a product of 1e-40 became %g: denormals are flushed", one->target->name,
                  first[41]);
        bpt_close(one);
        bpt_close(two);
    }
}

Test(hadamard, keeps_nan_of_either_factor)
{
    const double left[3] = {(double)NAN, 2.0, 3.0}, right[3] = {0.0, (double)NAN, 5.0};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        double *got = multiply(device, (bpt_shape){1, 1, 3}, 0, left, right, APART);
        cr_assert(isnan(got[0]) && isnan(got[1]) && got[2] == 15.0, "%s: %g %g %g", device->target->name, got[0],
                  got[1], got[2]);
        bpt_close(device);
    }
}
