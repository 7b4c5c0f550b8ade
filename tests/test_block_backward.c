/* block_backward: the gradient of norm, activation, dropout and skip, against closed forms in long double and against
 * central differences of the definition. */
#include "support/block.h"
#include "support/judge.h"
#include "support/linear.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(block_backward, .fini = bpt_clean);

static bool can_run(const bpt_block *block)
{
    return block->spec.norm != BP_NORM_BATCH || block->rows >= 2;
}

/* Exact zeros everywhere: the gradient through a layer norm over one column, the bias before a batch norm. */
static void compare_or_zero(const double *got, const double *want, const double *bound, int64_t count, const char *what,
                            const bpt_device *device, const bpt_block *block)
{
    if (bpt_says_something(want, count)) {
        bpt_compare(got, want, bound, count, "%s %s, %s", device->target->name, what, bpt_block_words(block));
        return;
    }
    int64_t at = bpt_first_outside(got, want, bound, count);
    cr_assert_eq(at, -1, "%s %s, %s: element %lld should be 0", device->target->name, what, bpt_block_words(block),
                 (long long)at);
}

static void compare(const bpt_device *device, const bpt_block *block, const bpt_block_backward *got,
                    const bpt_block_backward *want, const bpt_block_backward *bound)
{
    const char *name = device->target->name, *words = bpt_block_words(block);
    int64_t count = block->rows * block->cols;
    bool norm = block->spec.norm != BP_NORM_NONE;
    bool constant = block->spec.norm == BP_NORM_LAYER && block->cols == 1;
    if (constant)
        compare_or_zero(got->delta, want->delta, bound->delta, count, "delta", device, block);
    else
        bpt_compare(got->delta, want->delta, bound->delta, count, "%s delta, %s", name, words);
    if (block->skip)
        bpt_compare(got->d_skip, want->d_skip, bound->d_skip, count, "%s d_skip, %s", name, words);
    if (!block->no_bias)
        compare_or_zero(got->d_b, want->d_b, bound->d_b, block->cols, "d_b", device, block);
    if (norm)
        bpt_compare(got->d_beta, want->d_beta, bound->d_beta, block->cols, "%s d_beta, %s", name, words);
    if (norm && !constant)
        bpt_compare(got->d_gamma, want->d_gamma, bound->d_gamma, block->cols, "%s d_gamma, %s", name, words);
}

/* What forward leaves, each value rounded once to the device's types. */
static bpt_block_forward exact_saved(const bpt_device *device, const bpt_block *block, const bpt_block_inputs *in)
{
    const bpi_traits *traits = &device->backend->traits;
    bpt_block_forward saved = bpt_block_exact_forward(&device->roundoff, block, in, NULL);
    for (int64_t k = 0; k < block->rows * block->cols; ++k)
        saved.a[k] = bpt_rounded(block->wide ? traits->parameter_type : traits->activation_type, saved.a[k]);
    for (int64_t g = 0; g < bpt_block_groups(block); ++g) {
        saved.mean[g] = bpt_rounded(traits->parameter_type, saved.mean[g]);
        saved.inv_std[g] = bpt_rounded(traits->parameter_type, saved.inv_std[g]);
    }
    return saved;
}

static void judge(bpt_device *device, const bpt_block *block, uint64_t seed)
{
    bpt_block_inputs in = bpt_block_random(&device->backend->traits, block, seed);
    bpt_block_forward saved = exact_saved(device, block, &in);
    bpt_block_backward bound, want = bpt_block_exact_backward(&device->roundoff, device->backend->traits.parameter_type,
                                                              block, &in, &saved, &bound);
    bpt_block_backward got = bpt_block_run_backward(device, block, &in, &saved);
    compare(device, block, &got, &want, &bound);
}

Test(block_backward, of_every_backend_is_within_the_bound_of_the_closed_form_for_every_combination)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int f = 0; f < BP_ACTIVATION_COUNT && bpt_has_blocks(device, "block_backward"); ++f)
            for (int way = 0; way < BPT_BLOCK_WAYS; ++way) {
                bpt_block block = bpt_block_way(way, (bpt_shape){23, 1, 37}, (bp_activation)f);
                judge(device, &block, 91);
                bpt_clean();
            }
        bpt_close(device);
    }
}

Test(block_backward, of_every_backend_is_within_the_bound_of_the_closed_form_for_every_shape)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int s = 0; s < BPT_SHAPE_COUNT && bpt_has_blocks(device, "block_backward"); ++s)
            for (int way = 0; way < BPT_BLOCK_WAYS; ++way) {
                bpt_block block = bpt_block_way(way, bpt_shapes[s], (bp_activation)((s + way) % BP_ACTIVATION_COUNT));
                block.spec.dropout *= block.rows * block.cols > 8 ? 1.0f : 0.0f; /* not all of a few dropped */
                if (can_run(&block))
                    judge(device, &block, 92);
                bpt_clean();
            }
        bpt_close(device);
    }
}

/* Rows of which a thread of cuda has 2 cells, or 4, and one that no team of threads holds at once. */
Test(block_backward, of_every_backend_is_within_the_bound_of_the_closed_form_for_long_rows)
{
    static const int64_t cols[] = {1157, 3001, 4103};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int way = 2; way < BPT_BLOCK_WAYS && bpt_has_blocks(device, "block_backward"); way += 3) {
            bpt_block block =
                bpt_block_way(way, (bpt_shape){5, 1, cols[way / 3 % 3]}, (bp_activation)(way % BP_ACTIVATION_COUNT));
            judge(device, &block, 98);
            bpt_clean();
        }
        bpt_close(device);
    }
}

Test(block_backward, of_every_backend_is_within_the_bound_of_the_closed_form_for_several_rounds_of_rows)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int way = 0; way < 3 && bpt_has_blocks(device, "block_backward"); ++way) {
            bpt_block block = bpt_block_rounds(way);
            judge(device, &block, 99);
            bpt_clean();
        }
        bpt_close(device);
    }
}

/* ---- central differences of the objective sum (d_out + d_out_skip) out, in long double ---- */

/* With half the step the truncation is a quarter, so that the difference of two steps is three quarters of the larger's
 * and three times the smaller's; rounding: 2^-63 of a sum of terms of magnitude `size`, twice, over the step. */
static double difference(const bpt_block *block, const bpt_block_inputs *in, double *element, double size,
                         double *bound)
{
    const double steps[2] = {0x1p-15, 0x1p-16}, at = *element;
    double slopes[2];
    for (int k = 0; k < 2; ++k) {
        *element = at + steps[k];
        long double up = bpt_block_exact_objective(block, in);
        *element = at - steps[k];
        long double down = bpt_block_exact_objective(block, in);
        slopes[k] = (double)((up - down) / (2.0L * (long double)steps[k]));
    }
    *element = at;
    *bound = fabs(slopes[0] - slopes[1]) + 0x1p-60 * size / steps[1];
    return slopes[1];
}

static void check_elements(const bpt_block *block, const bpt_block_inputs *in, double *elements, const double *got,
                           const double *own, int64_t count, const char *what)
{
    double *want = bpt_doubles(count), *bound = bpt_doubles(count), largest = 0.0;
    double size = 4.0 * 10.0 * (double)(block->rows * block->cols); /* |d_out| <= 2, |out| < 20 */
    for (int64_t k = 0; k < count; ++k) {
        want[k] = difference(block, in, &elements[k], size, &bound[k]);
        bound[k] += own[k];
        largest = fmax(largest, bound[k]);
    }
    cr_assert(largest < 1e-6, "%s, %s: a bound of %g says nothing", what, bpt_block_words(block), largest);
    bpt_compare(got, want, bound, count, "%s, %s", what, bpt_block_words(block));
}

/* y is moved by at most gamma inv_std step and by what the group moves: 1e-3 is far enough from a kink. */
static bool is_near_a_kink(const bpt_block *block, const bpt_block_inputs *in)
{
    bpt_block linear = *block;
    linear.spec.activation = BP_ACTIVATION_IDENTITY;
    bpi_roundoff r = bpi_roundoff_of(BP_PRECISION_F64);
    bpt_block_forward y = bpt_block_exact_forward(&r, &linear, in, NULL);
    bool near = false;
    for (int64_t k = 0; k < block->rows * block->cols; ++k)
        near = near || fabs(y.a[k]) < 1e-3;
    return near;
}

static bpt_block_inputs smooth_inputs(const bpi_traits *traits, const bpt_block *block)
{
    for (uint64_t seed = 93;; ++seed) {
        bpt_block_inputs in = bpt_block_random(traits, block, seed);
        if (!is_near_a_kink(block, &in))
            return in;
    }
}

Test(block_backward, of_the_reference_agrees_with_central_differences)
{
    if (bpt_fast_index() == 0)
        cr_skip_test("of the reference, which test_block_backward runs");
    bpt_device *device = bpt_open(bpt_reference(), 1);
    for (int f = 0; f < BP_ACTIVATION_COUNT; ++f)
        for (int way = 0; way < BPT_BLOCK_WAYS; ++way) {
            bpt_block block = bpt_block_way(way, (bpt_shape){5, 1, 6}, (bp_activation)f);
            block.accumulate = block.d_skip_added = block.no_bias = false;
            bpt_block_inputs in = smooth_inputs(&device->backend->traits, &block);
            bpt_block_forward saved = exact_saved(device, &block, &in);
            bpt_block_backward own;
            bpt_block_exact_backward(&device->roundoff, BPI_TYPE_F64, &block, &in, &saved, &own);
            bpt_block_backward got = bpt_block_run_backward(device, &block, &in, &saved);
            int64_t count = block.rows * block.cols;
            check_elements(&block, &in, in.u, got.delta, own.delta, count, "delta");
            if (block.skip)
                check_elements(&block, &in, in.skip, got.d_skip, own.d_skip, count, "d_skip");
            if (block.spec.norm != BP_NORM_NONE) {
                check_elements(&block, &in, in.gamma, got.d_gamma, own.d_gamma, block.cols, "d_gamma");
                check_elements(&block, &in, in.beta, got.d_beta, own.d_beta, block.cols, "d_beta");
            }
            bpt_clean();
        }
    bpt_close(device);
}

/* ---- repetition, NaN ---- */

static void same_gradients(const bpt_device *device, const bpt_block *block, const bpt_block_backward *first,
                           const bpt_block_backward *second, const char *what)
{
    const char *name = device->target->name, *words = bpt_block_words(block);
    int64_t count = block->rows * block->cols;
    bpt_same_bits(first->delta, second->delta, count, "%s delta, %s, %s", name, what, words);
    bpt_same_bits(first->d_skip, second->d_skip, count, "%s d_skip, %s, %s", name, what, words);
    bpt_same_bits(first->d_gamma, second->d_gamma, block->cols, "%s d_gamma, %s, %s", name, what, words);
    bpt_same_bits(first->d_beta, second->d_beta, block->cols, "%s d_beta, %s, %s", name, what, words);
    bpt_same_bits(first->d_b, second->d_b, block->cols, "%s d_b, %s, %s", name, what, words);
}

Test(block_backward, gives_the_same_bits_on_every_run_and_for_1_and_2_threads)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        bool threads = one->backend->traits.host_memory; /* a device has none of the host's */
        for (int s = 0; s < BPT_SHAPE_COUNT && bpt_has_blocks(one, "block_backward"); ++s)
            for (int way = s % 6; way < BPT_BLOCK_WAYS; way += 6) {
                bpt_block block = bpt_block_way(way, bpt_shapes[s], (bp_activation)((s + way) % BP_ACTIVATION_COUNT));
                if (!can_run(&block))
                    continue;
                bpt_block_inputs in = bpt_block_random(&one->backend->traits, &block, 94);
                bpt_block_forward saved = exact_saved(one, &block, &in);
                bpt_block_backward first = bpt_block_run_backward(one, &block, &in, &saved);
                bpt_block_backward again = bpt_block_run_backward(one, &block, &in, &saved);
                bpt_block_backward both = threads ? bpt_block_run_backward(two, &block, &in, &saved) : first;
                same_gradients(one, &block, &first, &again, "two runs");
                same_gradients(one, &block, &first, &both, "1 and 2 threads");
                bpt_clean();
            }
        bpt_close(one);
        bpt_close(two);
    }
}

/* One NaN in d_out: with a batch norm it reaches its column, with a layer norm its row, and nothing at all
 * but d_skip where its element was dropped. */
Test(block_backward, takes_nan_to_what_depends_on_it_and_no_further)
{
    bpt_shape shape = {39, 1, 37};
    int64_t row = 20, column = 33, at = row * shape.outputs + column;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int way = 0; way < 2 * BPT_BLOCK_WAYS && bpt_has_blocks(device, "block_backward"); ++way) {
            bpt_block block = bpt_block_way(way % BPT_BLOCK_WAYS, shape, BP_ACTIVATION_TANH);
            bool drops = block.spec.dropout > 0.0f && way >= BPT_BLOCK_WAYS;
            while ((bpt_block_factor(&block, row, column) == 0.0) != drops)
                block.seed += 1;
            bpt_block_inputs in = bpt_block_random(&device->backend->traits, &block, 95);
            bpt_block_forward saved = exact_saved(device, &block, &in);
            in.d_out[at] = (double)NAN;
            bpt_block_backward got = bpt_block_run_backward(device, &block, &in, &saved);
            bool batch = block.spec.norm == BP_NORM_BATCH, layer = block.spec.norm == BP_NORM_LAYER;
            for (int64_t k = 0; k < block.rows * block.cols; ++k) {
                bool reached = batch ? k % block.cols == column : layer ? k / block.cols == row : k == at;
                cr_assert_eq(isnan(got.delta[k]) != 0, reached && !drops, "%s: delta %lld is %g, %s",
                             device->target->name, (long long)k, got.delta[k], bpt_block_words(&block));
                if (block.skip)
                    cr_assert_eq(isnan(got.d_skip[k]) != 0, k == at, "%s: d_skip %lld", device->target->name,
                                 (long long)k);
            }
            for (int64_t o = 0; o < block.cols; ++o) {
                if (!block.no_bias)
                    cr_assert_eq(isnan(got.d_b[o]) != 0, (layer || o == column) && !drops, "%s: d_b %lld is %g, %s",
                                 device->target->name, (long long)o, got.d_b[o], bpt_block_words(&block));
                if (batch || layer)
                    cr_assert(!isnan(got.d_gamma[o]) != (o == column && !drops) &&
                                  !isnan(got.d_beta[o]) != (o == column && !drops),
                              "%s: d_gamma %lld is %g, %s", device->target->name, (long long)o, got.d_gamma[o],
                              bpt_block_words(&block));
            }
            bpt_clean();
        }
        bpt_close(device);
    }
}
