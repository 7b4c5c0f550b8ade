/* activation_backward: delta = d_a f'(z) and d_b = its sums over the rows, in one pass. */
#include "support/activation.h"
#include "support/judge.h"

#include <criterion/criterion.h>

TestSuite(activation_backward, .fini = bpt_clean);

typedef struct outputs {
    double *delta, *d_b;
} outputs;

typedef struct inputs {
    bpt_shape shape;
    bp_activation activation;
    const double *saved, *d_a, *d_b; /* d_b NULL: not wanted, but for `accumulate` is what stands there */
    bool accumulate, in_place;
    int64_t extra;
} inputs;

/* Rows of the inputs lie differently far apart; all of them start on 16 bytes where extra is 0. */
static outputs backward(bpt_device *device, const inputs *in)
{
    bpt_shape shape = in->shape;
    bpt_matrix saved = bpt_activations(device, shape.rows, shape.outputs, in->extra, in->saved);
    bpt_matrix d_a = bpt_activations(device, shape.rows, shape.outputs, in->extra ? in->extra + 1 : 8, in->d_a);
    bpt_matrix other = bpt_activations(device, shape.rows, shape.outputs, in->extra, NULL);
    bpt_matrix d_b = bpt_parameters(device, 1, shape.outputs, 1, in->accumulate ? in->d_b : NULL);
    const bpt_matrix *delta = in->in_place ? &d_a : &other;
    bpt_reserve(device, shape.rows, shape.outputs, 1);
    bpi_activation_args args = {.activation = in->activation,
                                .slope = bpt_slope,
                                .saved = saved.view,
                                .d_a = d_a.view,
                                .delta = delta->view,
                                .d_b = in->d_b ? d_b.view.data : NULL,
                                .accumulate = in->accumulate};
    BPT_RUN(device, activation_backward, &args);
    outputs got = {bpt_get(delta), in->d_b ? bpt_get(&d_b) : NULL};
    bpt_release(&saved);
    bpt_release(&d_a);
    bpt_release(&other);
    bpt_release(&d_b);
    return got;
}

static inputs random_inputs(const bpi_traits *traits, bpt_shape shape, bp_activation activation, uint64_t seed)
{
    int64_t count = shape.rows * shape.outputs;
    bpt_random random = {seed};
    inputs in = {.shape = shape, .activation = activation};
    double *z = bpt_away_from_kinks(&random, traits->activation_type, count);
    in.saved = bpt_saved(traits->activation_type, activation, z, count);
    in.d_a = bpt_uniform(&random, traits->activation_type, -1.0, 1.0, count);
    in.d_b = bpt_uniform(&random, traits->parameter_type, -1.0, 1.0, shape.outputs);
    return in;
}

/* want->delta is d_a times the reference's derivative, which test_activation_derivative holds to its definition. */
static void compare(bpt_device *device, bpt_device *judge, const inputs *in, outputs got, outputs want)
{
    bpt_shape shape = in->shape;
    int64_t count = shape.rows * shape.outputs;
    double *bound = bpt_doubles(count), *b_bound = bpt_doubles(shape.outputs);
    double *magnitude = bpt_doubles(shape.outputs), *errors = bpt_doubles(shape.outputs);
    for (int64_t k = 0; k < count; ++k) {
        double derivative = want.delta[k] / in->d_a[k];
        bound[k] =
            bpi_activation_backward_bound(&device->roundoff, in->activation, in->saved[k], in->d_a[k], derivative) +
            bpi_activation_backward_bound(&judge->roundoff, in->activation, in->saved[k], in->d_a[k], derivative);
        magnitude[k % shape.outputs] += fabs(want.delta[k]);
        errors[k % shape.outputs] += bound[k];
    }
    bpt_compare(got.delta, want.delta, bound, count, "%s delta, %s B=%lld O=%lld", device->target->name,
                bp_activation_name(in->activation), (long long)shape.rows, (long long)shape.outputs);
    if (!in->d_b)
        return;
    for (int64_t o = 0; o < shape.outputs; ++o) {
        double old = in->accumulate ? fabs(in->d_b[o]) : 0.0;
        b_bound[o] = bpi_bias_grad_bound(&device->roundoff, shape.rows, in->accumulate, magnitude[o] + old, errors[o]) +
                     bpi_bias_grad_bound(&judge->roundoff, shape.rows, in->accumulate, magnitude[o] + old, 0.0);
    }
    bpt_compare(got.d_b, want.d_b, b_bound, shape.outputs, "%s d_b, %s B=%lld O=%lld accumulate %d",
                device->target->name, bp_activation_name(in->activation), (long long)shape.rows,
                (long long)shape.outputs, in->accumulate);
}

/* delta by activation_derivative and hadamard, d_b by summing in long double. */
static outputs by_parts(bpt_device *device, const inputs *in)
{
    bpt_shape shape = in->shape;
    bpt_matrix saved = bpt_activations(device, shape.rows, shape.outputs, 0, in->saved);
    bpt_matrix d_a = bpt_activations(device, shape.rows, shape.outputs, 0, in->d_a);
    bpt_matrix derivative = bpt_activations(device, shape.rows, shape.outputs, 0, NULL);
    BPT_RUN(device, activation_derivative, in->activation, bpt_slope, saved.view, derivative.view);
    BPT_RUN(device, hadamard, d_a.view, derivative.view, derivative.view);
    outputs want = {bpt_get(&derivative), bpt_doubles(shape.outputs)};
    for (int64_t o = 0; o < shape.outputs; ++o) {
        long double sum = in->accumulate ? (long double)in->d_b[o] : 0.0L;
        for (int64_t b = 0; b < shape.rows; ++b)
            sum += (long double)want.delta[b * shape.outputs + o];
        want.d_b[o] = (double)sum;
    }
    bpt_release(&saved);
    bpt_release(&d_a);
    bpt_release(&derivative);
    return want;
}

Test(activation_backward, of_every_backend_is_within_the_bound_of_the_references_parts)
{
    bpt_device *judge = bpt_open(bpt_reference(), 1);
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int s = 0; s < BPT_SHAPE_COUNT; ++s)
            for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
                if (!bpt_shape_is_for(s, f))
                    continue;
                inputs in = random_inputs(&device->backend->traits, bpt_shapes[s], (bp_activation)f, 61);
                in.accumulate = (s + f) % 2;
                in.in_place = s % 3 == 0;
                in.extra = s % 2;
                if ((s + f) % 5 == 4)
                    in.d_b = in.accumulate ? in.d_b : NULL;
                outputs want = by_parts(judge, &in);
                compare(device, judge, &in, backward(device, &in), want);
                bpt_clean();
            }
        bpt_close(device);
    }
    bpt_close(judge);
}

Test(activation_backward, of_rows_that_a_thread_takes_in_several_rounds_is_exact_for_small_integers)
{
    bpt_shape shape = bpt_wide_shape;
    int64_t count = shape.rows * shape.outputs;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        inputs in = random_inputs(&device->backend->traits, shape, BP_ACTIVATION_RELU, 64);
        double *d_a = bpt_doubles(count), *want = bpt_doubles(shape.outputs);
        for (int64_t k = 0; k < count; ++k) {
            d_a[k] = (double)(k % 7 - 3);
            want[k % shape.outputs] += in.saved[k] > 0.0 ? d_a[k] : 0.0;
        }
        in.d_a = d_a, in.extra = 2, in.in_place = true; /* d_a and delta have one element more */
        outputs got = backward(device, &in);
        for (int64_t k = 0; k < count; ++k)
            cr_assert(got.delta[k] == (in.saved[k] > 0.0 ? d_a[k] : 0.0), "%s: delta %lld is %g", device->target->name,
                      (long long)k, got.delta[k]);
        for (int64_t o = 0; o < shape.outputs; ++o)
            cr_assert(got.d_b[o] == want[o], "%s: d_b %lld is %g, not %g", device->target->name, (long long)o,
                      got.d_b[o], want[o]);
        bpt_close(device);
    }
}

Test(activation_backward, gives_the_same_bits_on_every_run_and_for_1_and_2_threads)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        for (int s = 0; s < BPT_SHAPE_COUNT; ++s)
            for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
                if (!bpt_shape_is_for(s, f))
                    continue;
                inputs in = random_inputs(&one->backend->traits, bpt_shapes[s], (bp_activation)f, 62);
                in.accumulate = s % 2;
                outputs first = backward(one, &in), both = backward(two, &in);
                int64_t count = in.shape.rows * in.shape.outputs;
                bpt_same_bits(first.delta, both.delta, count, "%s delta, 1 and 2 threads", one->target->name);
                bpt_same_bits(first.d_b, both.d_b, in.shape.outputs, "%s d_b, 1 and 2 threads, shape %d",
                              one->target->name, s);
                bpt_clean();
            }
        bpt_close(one);
        bpt_close(two);
    }
}

Test(activation_backward, takes_nan_to_its_element_and_its_column_sum_and_no_further)
{
    bpt_shape shape = {39, 1, 37};
    int64_t count = shape.rows * shape.outputs, at = 20 * shape.outputs + 33;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int f = 0; f < BP_ACTIVATION_COUNT; ++f)
            for (int which = 0; which < 2; ++which) {
                bp_activation activation = (bp_activation)f;
                if (which == 0 && activation == BP_ACTIVATION_IDENTITY)
                    continue; /* its derivative depends on nothing */
                inputs in = random_inputs(&device->backend->traits, shape, activation, 63);
                double *saved = bpt_doubles(count), *d_a = bpt_doubles(count);
                for (int64_t k = 0; k < count; ++k)
                    saved[k] = in.saved[k], d_a[k] = in.d_a[k];
                saved[at] = which == 0 ? (double)NAN : in.saved[0]; /* an element that ReLU lets through */
                d_a[at] = which == 1 ? (double)NAN : in.d_a[at];
                in.saved = saved, in.d_a = d_a;
                outputs got = backward(device, &in);
                for (int64_t k = 0; k < count; ++k)
                    cr_assert_eq(isnan(got.delta[k]) != 0, k == at, "%s %s: delta %lld is %g", device->target->name,
                                 bp_activation_name(activation), (long long)k, got.delta[k]);
                for (int64_t o = 0; o < shape.outputs; ++o)
                    cr_assert_eq(isnan(got.d_b[o]) != 0, o == 33, "%s %s: d_b %lld is %g", device->target->name,
                                 bp_activation_name(activation), (long long)o, got.d_b[o]);
            }
        bpt_close(device);
    }
}
