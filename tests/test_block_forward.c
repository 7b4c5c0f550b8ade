/* block_forward: norm, activation, dropout and skip, against their definitions in long double. */
#include "support/block.h"
#include "support/judge.h"
#include "support/linear.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

TestSuite(block_forward, .fini = bpt_clean);

/* Batch norm in training needs two rows. */
static bool can_run(const bpt_block *block)
{
    return block->spec.norm != BP_NORM_BATCH || block->evaluation || block->rows >= 2;
}

static void compare(const bpt_device *device, const bpt_block *block, const bpt_block_forward *got,
                    const bpt_block_forward *want, const bpt_block_forward *bound)
{
    const char *name = device->target->name, *words = bpt_block_words(block);
    int64_t count = block->rows * block->cols, groups = bpt_block_groups(block);
    bpt_compare(got->a, want->a, bound->a, count, "%s a, %s", name, words);
    bpt_compare(got->out, want->out, bound->out, count, "%s out, %s", name, words);
    bpt_compare(got->running_mean, want->running_mean, bound->running_mean, block->cols, "%s running mean, %s", name,
                words);
    bpt_compare(got->running_var, want->running_var, bound->running_var, block->cols, "%s running variance, %s", name,
                words);
    if (groups == 0 || (block->evaluation && block->spec.norm == BP_NORM_BATCH))
        return;
    bpt_compare(got->mean, want->mean, bound->mean, groups, "%s mean, %s", name, words);
    bpt_compare(got->inv_std, want->inv_std, bound->inv_std, groups, "%s inv_std, %s", name, words);
}

static void judge(bpt_device *device, const bpt_block *block, uint64_t seed)
{
    bpt_block_inputs in = bpt_block_random(&device->backend->traits, block, seed);
    bpt_block_forward bound, want = bpt_block_exact_forward(&device->roundoff, block, &in, &bound);
    bpt_block_forward got = bpt_block_run_forward(device, block, &in);
    compare(device, block, &got, &want, &bound);
}

Test(block_forward, of_every_backend_is_within_the_bound_of_its_definition_for_every_combination)
{
    bpt_shape shape = {23, 1, 37};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int f = 0; f < BP_ACTIVATION_COUNT && bpt_has_blocks(device, "block_forward"); ++f)
            for (int way = 0; way < BPT_BLOCK_WAYS; ++way) {
                bpt_block block = bpt_block_way(way, shape, (bp_activation)f);
                judge(device, &block, 71);
                block.evaluation = true;
                judge(device, &block, 72);
                bpt_clean();
            }
        bpt_close(device);
    }
}

Test(block_forward, of_every_backend_is_within_the_bound_of_its_definition_for_every_shape)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int s = 0; s < BPT_SHAPE_COUNT && bpt_has_blocks(device, "block_forward"); ++s)
            for (int way = 0; way < BPT_BLOCK_WAYS; ++way) {
                bpt_block block = bpt_block_way(way, bpt_shapes[s], (bp_activation)((s + way) % BP_ACTIVATION_COUNT));
                block.evaluation = (s + way) % 8 == 7;
                block.spec.dropout *= block.rows * block.cols > 8 ? 1.0f : 0.0f; /* not all of a few dropped */
                if (can_run(&block))
                    judge(device, &block, 73);
                bpt_clean();
            }
        bpt_close(device);
    }
}

/* Rows of which a thread of cuda has 2 cells, or 4, and one that no team of threads holds at once. */
Test(block_forward, of_every_backend_is_within_the_bound_of_its_definition_for_long_rows)
{
    static const int64_t cols[] = {1157, 3001, 4103};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int way = 2; way < BPT_BLOCK_WAYS && bpt_has_blocks(device, "block_forward"); way += 3) {
            bpt_block block =
                bpt_block_way(way, (bpt_shape){5, 1, cols[way / 3 % 3]}, (bp_activation)(way % BP_ACTIVATION_COUNT));
            judge(device, &block, 78);
            bpt_clean();
        }
        bpt_close(device);
    }
}

Test(block_forward, of_every_backend_is_within_the_bound_of_its_definition_for_several_rounds_of_rows)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int way = 0; way < 3 && bpt_has_blocks(device, "block_forward"); ++way) {
            bpt_block block = bpt_block_rounds(way);
            judge(device, &block, 81);
            bpt_clean();
        }
        bpt_close(device);
    }
}

/* u + b, rounded once as the addition is, with b apart: the same bits as with b in it. In bf16 all of them are 32nds
 * below 4, so that nothing is left to round. */
Test(block_forward, adds_the_bias_itself_where_the_backend_says_so)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        const bpi_traits *traits = &device->backend->traits;
        bool is_short = traits->activation_type != BPI_TYPE_F32;
        for (int way = 0; way < BPT_BLOCK_WAYS && traits->block_bias; ++way) {
            bpt_block block = bpt_block_way(way, (bpt_shape){23, 1, 37}, (bp_activation)(way % BP_ACTIVATION_COUNT));
            bpt_block_inputs apart = bpt_block_random(traits, &block, 79), in = apart;
            int64_t count = block.rows * block.cols;
            in.u = bpt_doubles(count);
            apart.bias = apart.running_mean;
            for (int64_t o = 0; o < block.cols && is_short; ++o)
                apart.bias[o] = rint(apart.bias[o] * 32.0) / 32.0;
            for (int64_t k = 0; k < count; ++k) {
                apart.u[k] = is_short ? rint(apart.u[k] * 16.0) / 32.0 : apart.u[k];
                in.u[k] = bpt_rounded(BPI_TYPE_F32, apart.u[k] + apart.bias[k % block.cols]);
                cr_assert(!is_short || bpt_rounded(BPI_TYPE_BF16, in.u[k]) == in.u[k]);
            }
            bpt_block_forward want = bpt_block_run_forward(device, &block, &in);
            bpt_block_forward got = bpt_block_run_forward(device, &block, &apart);
            const char *words = bpt_block_words(&block);
            bpt_same_bits(got.out, want.out, count, "%s out, %s", device->target->name, words);
            bpt_same_bits(got.running_mean, want.running_mean, block.cols, "%s running mean, %s", device->target->name,
                          words);
            bpt_block_backward exact = bpt_block_run_backward(device, &block, &in, &want);
            bpt_block_backward found = bpt_block_run_backward(device, &block, &apart, &want);
            cr_assert(bpt_says_something(exact.delta, count));
            bpt_same_bits(found.delta, exact.delta, count, "%s delta, %s", device->target->name, words);
            bpt_clean();
        }
        bpt_close(device);
    }
}

/* The reference, f64, with bounds for f64, is what the others are to be judged by elsewhere (verify). */
Test(block_forward, of_every_backend_is_within_both_bounds_of_the_reference)
{
    bpt_device *reference = bpt_open(bpt_reference(), 1);
    for (int t = bpt_fast_index(); bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int way = 0; way < BPT_BLOCK_WAYS && bpt_has_blocks(device, "block_forward"); ++way) {
            bpt_block block = bpt_block_way(way, (bpt_shape){65, 1, 44}, (bp_activation)(way % BP_ACTIVATION_COUNT));
            bpt_block_inputs in = bpt_block_random(&device->backend->traits, &block, 74);
            bpt_block_forward bound, own;
            bpt_block_exact_forward(&device->roundoff, &block, &in, &bound);
            bpt_block_exact_forward(&reference->roundoff, &block, &in, &own);
            for (int64_t k = 0; k < block.rows * block.cols; ++k)
                bound.out[k] += own.out[k];
            bpt_block_forward got = bpt_block_run_forward(device, &block, &in);
            bpt_block_forward want = bpt_block_run_forward(reference, &block, &in);
            bpt_compare(got.out, want.out, bound.out, block.rows * block.cols, "%s out, %s", device->target->name,
                        bpt_block_words(&block));
            bpt_clean();
        }
        bpt_close(device);
    }
    bpt_close(reference);
}

/* E[u^2] - E[u]^2 would lose all of a variance of 1 beside a mean of 3000 in f32; the bound here is of its size at most
 * by a thousandth. */
Test(block_forward, does_not_cancel_a_variance_against_a_large_mean)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int way = 1; way < 3 && bpt_has_blocks(device, "block_forward"); ++way) {
            bpt_block block = bpt_block_way(way, (bpt_shape){12, 1, 12}, BP_ACTIVATION_IDENTITY);
            bpt_block_inputs in = bpt_block_random(&device->backend->traits, &block, 75);
            for (int64_t k = 0; k < block.rows * block.cols; ++k)
                in.u[k] = bpt_rounded(device->backend->traits.activation_type, in.u[k] + 3000.0);
            bpt_block_forward bound, want = bpt_block_exact_forward(&device->roundoff, &block, &in, &bound);
            bpt_block_forward got = bpt_block_run_forward(device, &block, &in);
            for (int64_t g = 0; g < bpt_block_groups(&block); ++g)
                cr_assert(bound.inv_std[g] < 1e-3 * want.inv_std[g], "a bound of %g says nothing", bound.inv_std[g]);
            compare(device, &block, &got, &want, &bound);
        }
        bpt_close(device);
    }
}

/* The sums of cuda are taken about the first row: here it is far off, and the sum of squares is 1024 times the variance
 * that is left of it, so that each rounding counts as often. 256 threads add four rows each, whose values were searched
 * for: plain sums in f32, or a compensation with one term lost, leave 1.6 to 4.6 times the bound. */
Test(block_forward, keeps_the_digits_of_a_variance_whose_first_row_is_far_off)
{
    enum { ROWS = 1024 };
    const double fourths[4] = {8441260.0 * 0x1p-23, 8472120.0 * 0x1p-23, 8488371.0 * 0x1p-23, 8434811.0 * 0x1p-23};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        if (bpt_has_blocks(device, "block_forward")) {
            bpt_block block = {.rows = ROWS, .cols = 1};
            block.spec = (bpi_block_spec){.norm = BP_NORM_BATCH, .norm_epsilon = 1e-5, .norm_momentum = 0.1};
            bpt_block_inputs in = bpt_block_random(&device->backend->traits, &block, 80);
            for (int64_t b = 0; b < ROWS; ++b)
                in.u[b] = b ? bpt_rounded(device->backend->traits.activation_type, fourths[b / (ROWS / 4)]) : 0.0;
            bpt_block_forward bound, want = bpt_block_exact_forward(&device->roundoff, &block, &in, &bound);
            bpt_block_forward got = bpt_block_run_forward(device, &block, &in);
            compare(device, &block, &got, &want, &bound);
        }
        bpt_close(device);
    }
}

/* torch.nn.BatchNorm1d(3), momentum 0.1, one step from its running mean 0 and variance 1 on these five rows; PyTorch
 * 1.13 in double. The definition, with numbers that are not ours. */
Test(block_forward, moves_running_statistics_as_pytorch_does)
{
    double u[15] = {1.0, -2.0, 0.5, 3.0, 4.0, -0.5, -1.0, 0.0, 2.5, 2.0, 6.0, 1.5, 0.0, -3.0, -4.0};
    double zeros[3] = {0.0, 0.0, 0.0}, ones[3] = {1.0, 1.0, 1.0};
    const double mean[3] = {0.1, 0.1, 0.0}, var[3] = {1.15, 2.4, 1.525};
    const double out[15] = {0.0,
                            -0.8660250429407459,
                            0.22360657414351665,
                            1.4142100268524473,
                            0.8660250429407459,
                            -0.22360657414351665,
                            -1.4142100268524473,
                            -0.28867501431358195,
                            1.1180328707175833,
                            0.7071050134262237,
                            1.4433750715679097,
                            0.6708197224305499,
                            -0.7071050134262237,
                            -1.1547000572543278,
                            -1.7888525931481332},
                 evaluated[15] = {0.8392506785082213,   -1.3555413471310647, 0.404886837593806,   2.704252186304269,
                                  2.5174339303862627,   -0.404886837593806,  -1.0257508292878261, -0.06454958795862213,
                                  2.02443418796903,     1.7717514324062449,  3.8084256895587054,  1.214660512781418,
                                  -0.09325007538980237, -2.001037226717286,  -3.239094700750448};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        if (bpt_has_blocks(device, "block_forward")) {
            bpt_block block = {.rows = 5, .cols = 3};
            block.spec = (bpi_block_spec){.norm = BP_NORM_BATCH, .norm_epsilon = 1e-5, .norm_momentum = 0.1};
            bpt_block_inputs in = {.u = u, .gamma = ones, .beta = zeros, .running_mean = zeros, .running_var = ones};
            bpt_block_forward bound;
            bpt_block_exact_forward(&device->roundoff, &block, &in, &bound);
            bpt_block_forward got = bpt_block_run_forward(device, &block, &in);
            for (int k = 0; k < 15; ++k)
                bound.out[k] += 1e-15;
            for (int o = 0; o < 3; ++o)
                bound.running_mean[o] += 1e-15, bound.running_var[o] += 1e-15;
            bpt_compare(got.running_mean, mean, bound.running_mean, 3, "%s running mean", device->target->name);
            bpt_compare(got.running_var, var, bound.running_var, 3, "%s running variance", device->target->name);
            bpt_compare(got.out, out, bound.out, 15, "%s out", device->target->name);
            block.evaluation = true;
            in.running_mean = got.running_mean, in.running_var = got.running_var;
            got = bpt_block_run_forward(device, &block, &in);
            for (int k = 0; k < 15; ++k)
                bound.out[k] += bound.running_mean[k % 3] + fabs(evaluated[k]) * bound.running_var[k % 3] +
                                bpi_stored_bound(&device->roundoff, evaluated[k], 0.0);
            bpt_compare(got.out, evaluated, bound.out, 15, "%s out in evaluation", device->target->name);
        }
        bpt_close(device);
    }
}

Test(block_forward, gives_the_same_bits_on_every_run_and_for_1_and_2_threads)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        bool threads = one->backend->traits.host_memory; /* a device has none of the host's */
        for (int s = 0; s < BPT_SHAPE_COUNT && bpt_has_blocks(one, "block_forward"); ++s)
            for (int way = s % 6; way < BPT_BLOCK_WAYS; way += 6) {
                bpt_block block = bpt_block_way(way, bpt_shapes[s], (bp_activation)((s + way) % BP_ACTIVATION_COUNT));
                if (!can_run(&block))
                    continue;
                bpt_block_inputs in = bpt_block_random(&one->backend->traits, &block, 76);
                bpt_block_forward first = bpt_block_run_forward(one, &block, &in);
                bpt_block_forward again = bpt_block_run_forward(one, &block, &in);
                bpt_block_forward both = threads ? bpt_block_run_forward(two, &block, &in) : first;
                int64_t count = block.rows * block.cols, groups = bpt_block_groups(&block);
                const char *name = one->target->name, *words = bpt_block_words(&block);
                bpt_same_bits(first.out, again.out, count, "%s out, two runs, %s", name, words);
                bpt_same_bits(first.out, both.out, count, "%s out, 1 and 2 threads, %s", name, words);
                bpt_same_bits(first.running_var, both.running_var, block.cols, "%s variance, threads, %s", name, words);
                if (groups > 0)
                    bpt_same_bits(first.inv_std, both.inv_std, groups, "%s inv_std, threads, %s", name, words);
                bpt_clean();
            }
        bpt_close(one);
        bpt_close(two);
    }
}

/* One NaN in u reaches its group; one in the skip its element. */
static bool is_reached(const bpt_block *block, bool in_skip, int64_t k, int64_t at)
{
    int64_t cols = block->cols;
    if (in_skip || block->spec.norm == BP_NORM_NONE)
        return k == at;
    return block->spec.norm == BP_NORM_BATCH ? k % cols == at % cols : k / cols == at / cols;
}

Test(block_forward, takes_nan_to_what_depends_on_it_and_no_further)
{
    bpt_shape shape = {39, 1, 37};
    int64_t at = 20 * shape.outputs + 33;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int way = 0; way < BPT_BLOCK_WAYS && bpt_has_blocks(device, "block_forward"); ++way)
            for (int in_skip = 0; in_skip < 2; ++in_skip) {
                bpt_block block = bpt_block_way(way, shape, (bp_activation)(way % BP_ACTIVATION_COUNT));
                if (in_skip && !block.skip)
                    continue;
                bpt_block_inputs in = bpt_block_random(&device->backend->traits, &block, 77);
                (in_skip ? in.skip : in.u)[at] = (double)NAN;
                bpt_block_forward got = bpt_block_run_forward(device, &block, &in);
                for (int64_t k = 0; k < block.rows * block.cols; ++k) {
                    bool reached = is_reached(&block, in_skip, k, at);
                    bool kept = in_skip || bpt_block_factor(&block, k / block.cols, k % block.cols) > 0.0;
                    cr_assert_eq(isnan(got.out[k]) != 0, reached && kept, "%s: out %lld is %g, %s",
                                 device->target->name, (long long)k, got.out[k], bpt_block_words(&block));
                }
                bpt_clean();
            }
        bpt_close(device);
    }
}
