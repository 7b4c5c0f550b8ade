/* loss: value and error of every loss. The reference's value against the definition in long double and its error
 * against central differences of it; the backends against the reference within the bound. */
#include "support/judge.h"
#include "support/loss.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(loss, .fini = bpt_clean);

/* The sum over the rows, and its bound, scaled. */
static void compare_value(bpt_device *device, const bpt_loss_inputs *in, const double *values,
                          const double *value_bounds, double got)
{
    double sum = 0.0, errors = 0.0;
    for (int64_t b = 0; b < in->shape.rows; ++b)
        sum += values[b], errors += value_bounds[b];
    double want = in->before.loss_sum + in->scale * sum;
    double bound = in->scale * bpi_loss_sum_bound(&device->roundoff, in->shape.rows, sum, errors) +
                   4.0 * 0x1p-53 * (fabs(in->before.loss_sum) + fabs(want));
    bpt_compare(&got, &want, &bound, 1, "%s value of %s, B=%lld O=%lld", device->target->name, in->what->name,
                (long long)in->shape.rows, (long long)in->shape.outputs);
}

static double *exact_values(const bpt_loss_inputs *in, const double *targets)
{
    double *values = bpt_doubles(in->shape.rows);
    for (int64_t b = 0; b < in->shape.rows; ++b)
        values[b] = (double)bpt_loss_exact_row(in, targets, b, -1, 0.0L);
    return values;
}

/* With h = 1e-5 the difference quotient is off by h^2/6 max |l'''| (softmax and bce: below 1) and by rounding, 2^-63
 * |l| / h times a few operations; by h more where a Huber branch changes within the step. */
static double difference_bound(const bpt_loss_inputs *in, double value, double distance)
{
    bool near_branch = in->what->loss == BP_LOSS_HUBER && fabs(fabs(distance) - (double)in->what->huber_delta) < 2e-5;
    return in->scale * (2e-11 + 64.0 * 0x1p-63 * fabs(value) / 1e-5 + (near_branch ? 1e-5 : 0.0));
}

static double *differences(const bpt_loss_inputs *in, const double *targets, const double *values, double *bound)
{
    int64_t outputs = in->shape.outputs;
    double *deltas = bpt_doubles(in->shape.rows * outputs);
    for (int64_t k = 0; k < in->shape.rows * outputs; ++k) {
        long double above = bpt_loss_exact_row(in, targets, k / outputs, k % outputs, 1e-5L);
        long double below = bpt_loss_exact_row(in, targets, k / outputs, k % outputs, -1e-5L);
        deltas[k] = in->scale * (double)((above - below) / 2e-5L);
        bound[k] = difference_bound(in, values[k / outputs], in->z[k] - targets[k]);
    }
    return deltas;
}

Test(loss, of_the_reference_is_its_definition_and_the_error_its_central_difference)
{
    static const bpt_shape shapes[] = {{1, 1, 1}, {1, 1, 7}, {13, 1, 10}, {5, 1, 33}, {33, 1, 1}};
    bpt_device *device = bpt_open(bpt_reference(), 1);
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; ++s)
        for (int c = 0; c < BPT_LOSS_CASES; ++c) {
            const bpt_loss_case *what = &bpt_loss_cases[c];
            if (what->loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY && shapes[s].outputs == 1)
                continue; /* one class: all is zero */
            bpt_loss_inputs in = bpt_loss_random(&device->backend->traits, what, shapes[s], 91);
            int64_t count = shapes[s].rows * shapes[s].outputs;
            double *targets = bpt_loss_targets(&in), *values = exact_values(&in, targets);
            double *bound = bpt_doubles(count), *value_bounds = bpt_doubles(shapes[s].rows);
            double *want = differences(&in, targets, values, bound);
            bpt_loss_outputs got = bpt_loss_run(device, &in);
            bpt_compare(got.delta, want, bound, count, "error of %s", what->name);
            bpt_loss_bounds(&device->roundoff, &in, targets, values, want, value_bounds, bound);
            compare_value(device, &in, values, value_bounds, got.state.loss_sum);
        }
    bpt_close(device);
}

static void check_d_b(bpt_device *device, const bpt_loss_inputs *in, const bpt_loss_outputs *got,
                      const bpt_loss_outputs *want, const double *delta_bounds)
{
    int64_t outputs = in->shape.outputs, rows = in->shape.rows;
    bpi_roundoff judge = bpi_roundoff_of(BP_PRECISION_F64);
    double *bound = bpt_doubles(outputs);
    for (int64_t o = 0; o < outputs; ++o) {
        double magnitude = in->old_d_b ? fabs(in->old_d_b[o]) : 0.0, errors = 0.0;
        for (int64_t b = 0; b < rows; ++b) {
            magnitude += fabs(want->delta[b * outputs + o]);
            errors += delta_bounds[b * outputs + o];
        }
        bound[o] = bpi_bias_grad_bound(&device->roundoff, rows, true, magnitude, errors) +
                   bpi_bias_grad_bound(&judge, rows, true, magnitude, 0.0);
    }
    bpt_compare(got->d_b, want->d_b, bound, outputs, "%s d_b of %s, B=%lld O=%lld", device->target->name,
                in->what->name, (long long)rows, (long long)outputs);
}

static void check_case(bpt_device *device, bpt_device *judge, int s, const bpt_loss_case *what)
{
    bpt_shape shape = bpt_shapes[s];
    bpi_traits traits = device->backend->traits;
    bpt_loss_inputs in = bpt_loss_random(&traits, what, shape, 92);
    bpt_random random = {93};
    in.in_place = s % 2;
    in.extra = s % 3;
    in.old_d_b = s % 3 ? NULL : bpt_uniform(&random, traits.parameter_type, -1.0, 1.0, shape.outputs);
    in.before = (bpi_step_state){.step = 5, .loss_sum = 0.25, .correct = 3, .grad_norm = 7.0, .lr = 9.0};
    bpt_loss_outputs want = bpt_loss_run(judge, &in), got = bpt_loss_run(device, &in);

    int64_t count = shape.rows * shape.outputs;
    double *targets = bpt_loss_targets(&in), *values = exact_values(&in, targets);
    double *bound = bpt_doubles(count), *value_bounds = bpt_doubles(shape.rows);
    bpt_loss_bounds(&device->roundoff, &in, targets, values, want.delta, value_bounds, bound);
    bpt_loss_bounds(&judge->roundoff, &in, targets, values, want.delta, value_bounds, bound);
    if (what->loss != BP_LOSS_SOFTMAX_CROSS_ENTROPY || shape.outputs > 1) { /* of one class all is zero */
        bpt_compare(got.delta, want.delta, bound, count, "%s error of %s, shape %d", device->target->name, what->name,
                    s);
        check_d_b(device, &in, &got, &want, bound);
    }
    compare_value(device, &in, values, value_bounds, got.state.loss_sum);
    cr_assert_eq(got.state.correct, want.state.correct, "%s %s, shape %d: %lld right, should be %lld",
                 device->target->name, what->name, s, (long long)got.state.correct, (long long)want.state.correct);
    cr_assert(got.state.step == 5 && got.state.grad_norm == 7.0 && got.state.lr == 9.0,
              "%s: the loss changed what is not its own", device->target->name);
}

Test(loss, of_every_backend_is_within_the_bound_of_the_reference)
{
    bpt_device *judge = bpt_open(bpt_reference(), 1);
    for (int t = bpt_fast_index(); bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int s = 0; s < BPT_SHAPE_COUNT; ++s)
            for (int c = 0; c < BPT_LOSS_CASES; ++c) {
                if (!bpt_shape_is_for(s, c))
                    continue;
                check_case(device, judge, s, &bpt_loss_cases[c]);
                bpt_clean();
            }
        bpt_close(device);
    }
    bpt_close(judge);
}

static int64_t first_largest(const double *row, int64_t cols)
{
    int64_t at = 0;
    for (int64_t o = 1; o < cols; ++o)
        at = row[o] > row[at] ? o : at;
    return at;
}

/* Small integers, so that the sums are exact. */
static void check_exactly(bpt_device *device, int64_t rows, int64_t cols)
{
    static const bpt_loss_case half = {"half mse", BP_LOSS_HALF_MSE, false, 0.0f, 1.0f};
    double *z = bpt_doubles(rows * cols), *targets = bpt_doubles(rows * cols), *d_b = bpt_doubles(cols), value = 0.0;
    int64_t correct = 0;
    for (int64_t k = 0; k < rows * cols; ++k) {
        z[k] = (double)(k % 5), targets[k] = (double)(k % 3);
        value += 0.5 * (z[k] - targets[k]) * (z[k] - targets[k]);
        d_b[k % cols] += z[k] - targets[k];
    }
    for (int64_t b = 0; b < rows; ++b)
        correct += first_largest(z + b * cols, cols) == first_largest(targets + b * cols, cols);
    bpt_loss_inputs in = {.what = &half, .shape = {rows, 1, cols}, .scale = 1.0, .z = z, .targets = targets};
    in.error_wanted = in.d_b_wanted = true;
    bpt_loss_outputs got = bpt_loss_run(device, &in);
    cr_assert(got.state.loss_sum == value, "%s: %.17g, not %.17g", device->target->name, got.state.loss_sum, value);
    cr_assert_eq(got.state.correct, correct, "%s: %lld right, not %lld", device->target->name,
                 (long long)got.state.correct, (long long)correct);
    for (int64_t k = 0; k < rows * cols; ++k)
        cr_assert(got.delta[k] == z[k] - targets[k], "%s: error %lld is %g", device->target->name, (long long)k,
                  got.delta[k]);
    for (int64_t o = 0; o < cols; ++o)
        cr_assert(got.d_b[o] == d_b[o], "%s: d_b %lld is %g, not %g", device->target->name, (long long)o, got.d_b[o],
                  d_b[o]);
}

/* On cuda a group of lanes takes several rows from 8193 rows on, of so many columns; and its column sums are in shared
 * memory up to 1024 columns, beyond them in the workspace. */
Test(loss, of_so_many_rows_or_columns_that_a_group_takes_several_counts_each_once)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        check_exactly(device, 8201, 17);
        check_exactly(device, 21, 1024);
        check_exactly(device, 21, 1027);
        bpt_close(device);
    }
}

Test(loss, gives_the_same_bits_on_every_run_and_for_1_and_2_threads_and_without_its_error)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        for (int s = 0; s < BPT_SHAPE_COUNT; ++s)
            for (int c = 0; c < BPT_LOSS_CASES; ++c) {
                if (!bpt_shape_is_for(s, c))
                    continue;
                bpt_loss_inputs in = bpt_loss_random(&one->backend->traits, &bpt_loss_cases[c], bpt_shapes[s], 94);
                int64_t count = in.shape.rows * in.shape.outputs;
                bpt_loss_outputs first = bpt_loss_run(one, &in), both = bpt_loss_run(two, &in);
                in.error_wanted = in.d_b_wanted = false;
                bpt_loss_outputs value = bpt_loss_run(one, &in);
                const char *name = bpt_loss_cases[c].name;
                bpt_same_bits(first.delta, both.delta, count, "%s %s, 1 and 2 threads", one->target->name, name);
                bpt_same_bits(first.d_b, both.d_b, in.shape.outputs, "%s d_b of %s, 1 and 2 threads, shape %d",
                              one->target->name, name, s);
                bpt_same_bits(&first.state.loss_sum, &both.state.loss_sum, 1, "%s value of %s, 1 and 2 threads",
                              one->target->name, name);
                bpt_same_bits(&first.state.loss_sum, &value.state.loss_sum, 1, "%s value of %s, without the error",
                              one->target->name, name);
                cr_assert_eq(first.state.correct, value.state.correct);
                bpt_clean();
            }
        bpt_close(one);
        bpt_close(two);
    }
}
