/* block_forward's dropout: the mask is the one that kernels/ops.h defines, on every backend and in every part of a
 * batch, and backward uses the same one. */
#include "kernels/math/philox.h"
#include "support/block.h"
#include "support/judge.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(block_dropout, .fini = bpt_clean);

/* No norm, the identity, u = 1: out shows the mask. */
static bpt_block mask_block(bpt_shape shape, float p)
{
    bpt_block block = {.rows = shape.rows, .cols = shape.outputs, .seed = UINT64_C(0xfeedc0de12345678), .layer = 3};
    block.spec.dropout = p;
    block.step = 17;
    return block;
}

static bpt_block_inputs ones_like(const bpi_traits *traits, const bpt_block *block)
{
    bpt_block_inputs in = bpt_block_random(traits, block, 81);
    for (int64_t k = 0; k < block->rows * block->cols; ++k)
        in.u[k] = in.d_out[k] = 1.0;
    return in;
}

static double *mask_of(bpt_device *device, const bpt_block *block)
{
    bpt_block_inputs in = ones_like(&device->backend->traits, block);
    return bpt_block_run_forward(device, block, &in).out;
}

/* Every threshold: p of 2^-32 and of nearly 1 too, keys whose every word counts, steps and rows beyond 2^32. */
Test(block_dropout, keeps_what_the_definition_keeps_on_every_backend)
{
    const float ps[] = {0x1p-32f, 0.1f, 0.25f, 0.5f, 0.9f, 0x1.fffffep-1f};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int s = 0; s < BPT_SHAPE_COUNT && bpt_has_blocks(device, "block_dropout"); ++s)
            for (int which = 0; which < 6; ++which) {
                bpt_block block = mask_block(bpt_shapes[s], ps[which]);
                block.seed <<= 8 * which;
                block.layer = which == 5 ? 65535 : (uint64_t)which;
                block.step = which == 4 ? (INT64_C(1) << 47) - 1 : (INT64_C(1) << (8 * which)) + which;
                block.first_row = which % 2 ? (INT64_C(1) << 40) + which : 0;
                double *mask = mask_of(device, &block);
                for (int64_t k = 0; k < block.rows * block.cols; ++k) {
                    double factor = bpt_block_factor(&block, k / block.cols, k % block.cols);
                    cr_assert_eq(mask[k] != 0.0, factor != 0.0, "%s: p %g: element %lld of [%lld,%lld] is %g, not %g",
                                 device->target->name, (double)ps[which], (long long)k, (long long)block.rows,
                                 (long long)block.cols, mask[k], factor);
                }
                bpt_clean();
            }
        bpt_close(device);
    }
}

/* The first words of Random123's known answer for Philox4x32-10 with counter and key of all ones, and of all zeros: the
 * definition does not only agree with itself. p is such that the words fall on both sides. */
Test(block_dropout, follows_the_published_answers_of_philox)
{
    const uint32_t zeros[4] = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        for (int k = 0; k < 4 && bpt_has_blocks(device, "block_dropout"); ++k) {
            float at = (float)zeros[k] * 0x1p-32f;
            for (int above = 0; above < 2; ++above) {
                bpt_block block = mask_block((bpt_shape){1, 1, 4}, above ? nextafterf(at, 1.0f) : nextafterf(at, 0.0f));
                block.seed = block.layer = 0;
                block.step = 0;
                uint32_t threshold = (uint32_t)((double)block.spec.dropout * 0x1p32);
                cr_assert_eq(zeros[k] >= threshold, above == 0);
                double *mask = mask_of(device, &block);
                for (int o = 0; o < 4; ++o)
                    cr_assert_eq(mask[o] != 0.0, zeros[o] >= threshold, "%s: word %d", device->target->name, o);
            }
        }
        bpt_close(device);
    }
}

/* A row whose first word has 24 bits at most, so that p 2^32 can be that word itself: it is kept, "at least". */
Test(block_dropout, keeps_a_word_that_equals_the_threshold)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        if (bpt_has_blocks(device, "block_dropout")) {
            bpt_block block = mask_block((bpt_shape){1, 1, 4}, 0.5f);
            uint64_t stream = (uint64_t)block.step << 16 | block.layer;
            uint32_t word = 1;
            while (word % 256 != 0)
                word = bpi_philox(block.seed, stream, (uint64_t)++block.first_row).word[0];
            block.spec.dropout = (float)((double)word * 0x1p-32);
            cr_assert_eq((uint32_t)((double)block.spec.dropout * 0x1p32), word);
            cr_assert(mask_of(device, &block)[0] != 0.0, "%s dropped it", device->target->name);
            block.spec.dropout = nextafterf(block.spec.dropout, 1.0f);
            cr_assert_eq(mask_of(device, &block)[0], 0.0, "%s kept one below the threshold", device->target->name);
        }
        bpt_close(device);
    }
}

/* Of n independent elements, kept with probability q: the count is within 6 sqrt(n q (1 - q)) of n q but for one seed
 * in 5e8; and two masks of different step, layer, seed or rows differ in 2 q (1 - q) of the elements. */
static void expect_share(double count, double n, double q, const char *what, const char *name)
{
    double spread = sqrt(n * q * (1.0 - q));
    cr_assert(fabs(count - n * q) <= 6.0 * spread, "%s: %s: %g of %g, should be %g within %g", name, what, count, n,
              n * q, 6.0 * spread);
}

Test(block_dropout, keeps_the_right_share_and_draws_every_step_layer_seed_and_row_anew)
{
    bpt_shape shape = {513, 1, 130};
    double n = (double)(shape.rows * shape.outputs);
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int which = 0; which < 3 && bpt_has_blocks(device, "block_dropout"); ++which) {
            const float p = which == 0 ? 0.1f : which == 1 ? 0.5f : 0.8f;
            bpt_block blocks[5];
            for (int k = 0; k < 5; ++k)
                blocks[k] = mask_block(shape, p);
            blocks[1].step += 1, blocks[2].layer += 1, blocks[3].seed += 1, blocks[4].first_row = shape.rows;
            double *masks[5], q = 1.0 - (double)p;
            for (int k = 0; k < 5; ++k) {
                masks[k] = mask_of(device, &blocks[k]);
                double kept = 0.0, differ = 0.0;
                for (int64_t i = 0; i < shape.rows * shape.outputs; ++i) {
                    kept += masks[k][i] != 0.0;
                    differ += (masks[k][i] != 0.0) != (masks[0][i] != 0.0);
                }
                expect_share(kept, n, q, "kept", device->target->name);
                if (k > 0)
                    expect_share(differ, n, 2.0 * q * (1.0 - q), "different from another mask", device->target->name);
            }
            bpt_clean();
        }
        bpt_close(device);
    }
}

/* Parts of a batch: row b of a part that starts at first_row is row first_row + b of the whole. */
Test(block_dropout, splits_a_batch_anywhere_with_the_same_bits)
{
    const int64_t cuts[] = {1, 7, 32, 60};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int way = 0; way < BPT_BLOCK_WAYS && bpt_has_blocks(device, "block_dropout"); ++way) {
            bpt_block whole = bpt_block_way(way, (bpt_shape){61, 1, 45}, (bp_activation)(way % BP_ACTIVATION_COUNT));
            if (whole.spec.norm == BP_NORM_BATCH)
                continue; /* takes the whole batch */
            bpt_block_inputs in = bpt_block_random(&device->backend->traits, &whole, 82);
            bpt_block_forward all = bpt_block_run_forward(device, &whole, &in);
            bpt_block_backward gradient = bpt_block_run_backward(device, &whole, &in, &all);
            for (int c = 0; c < 4; ++c)
                for (int second = 0; second < 2; ++second) {
                    int64_t first = second ? cuts[c] : 0, rows = second ? whole.rows - cuts[c] : cuts[c];
                    int64_t at = first * whole.cols;
                    bpt_block part = whole;
                    part.rows = rows;
                    part.first_row += first;
                    bpt_block_inputs own = in;
                    own.u += at, own.skip += at, own.d_out += at, own.d_out_skip += at, own.d_skip += at;
                    bpt_block_forward got = bpt_block_run_forward(device, &part, &own);
                    bpt_same_bits(got.out, all.out + at, rows * whole.cols, "%s out, rows from %lld, %s",
                                  device->target->name, (long long)first, bpt_block_words(&part));
                    bpt_block_backward back = bpt_block_run_backward(device, &part, &own, &got);
                    bpt_same_bits(back.delta, gradient.delta + at, rows * whole.cols, "%s delta, rows from %lld, %s",
                                  device->target->name, (long long)first, bpt_block_words(&part));
                }
            bpt_clean();
        }
        bpt_close(device);
    }
}

Test(block_dropout, drops_in_backward_what_forward_dropped)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int s = 0; s < BPT_SHAPE_COUNT && bpt_has_blocks(device, "block_dropout"); ++s) {
            bpt_block block = mask_block(bpt_shapes[s], 0.4f);
            bpt_block_inputs in = ones_like(&device->backend->traits, &block);
            bpt_block_forward forward = bpt_block_run_forward(device, &block, &in);
            bpt_block_backward backward = bpt_block_run_backward(device, &block, &in, &forward);
            bpt_same_bits(backward.delta, forward.out, block.rows * block.cols, "%s, shape %d", device->target->name,
                          s);
            bpt_clean();
        }
        bpt_close(device);
    }
}

Test(block_dropout, drops_nothing_in_evaluation)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        if (bpt_has_blocks(device, "block_dropout")) {
            bpt_block block = mask_block((bpt_shape){31, 1, 33}, 0.7f);
            block.evaluation = true;
            double *out = mask_of(device, &block);
            for (int64_t k = 0; k < block.rows * block.cols; ++k)
                cr_assert_eq(out[k], 1.0, "%s: element %lld is %g", device->target->name, (long long)k, out[k]);
        }
        bpt_close(device);
    }
}
