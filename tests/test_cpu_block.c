/* block_forward and block_backward of the cpu backend where its way to work shows: the same bits with every instruction
 * set and for any number of threads, and rows of more than one piece (loops_block.h, BLOCK_PIECE). */
#include "support/block.h"
#include "support/judge.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cpu/loops.h"

TestSuite(cpu_block, .fini = bpt_clean);

static const bpt_target cpu = {"cpu f32", bpi_cpu_ops, BP_PRECISION_F32};

/* B and O: narrower than a vector; one group of rows and several; one piece, whole pieces, pieces with a rest. */
static const bpt_shape shapes[] = {
    {2, 1, 1},   {3, 1, 7},     {33, 1, 130}, {300, 1, 61}, {4099, 1, 6},
    {5, 1, 513}, {19, 1, 1030}, {65, 1, 512}, {2, 1, 1536}, {35, 1, 1029},
};

enum { SHAPES = sizeof shapes / sizeof shapes[0] };

typedef struct outcome {
    bpt_block_forward training, evaluation;
    bpt_block_backward gradients;
} outcome;

static outcome run(bpt_device *device, const bpt_block *block, const bpt_block_inputs *in)
{
    bpt_block evaluated = *block;
    evaluated.evaluation = true;
    outcome o;
    o.training = bpt_block_run_forward(device, block, in);
    o.evaluation = bpt_block_run_forward(device, &evaluated, in);
    o.gradients = bpt_block_run_backward(device, block, in, &o.training);
    return o;
}

static void same_forward(const bpt_block *block, const bpt_block_forward *got, const bpt_block_forward *want,
                         const char *what)
{
    int64_t count = block->rows * block->cols, groups = bpt_block_groups(block);
    const char *words = bpt_block_words(block);
    bpt_same_bits(got->a, want->a, count, "a, %s, %s", what, words);
    bpt_same_bits(got->out, want->out, count, "out, %s, %s", what, words);
    if (groups > 0) {
        bpt_same_bits(got->mean, want->mean, groups, "mean, %s, %s", what, words);
        bpt_same_bits(got->inv_std, want->inv_std, groups, "inv_std, %s, %s", what, words);
    }
    bpt_same_bits(got->running_mean, want->running_mean, block->cols, "running mean, %s, %s", what, words);
    bpt_same_bits(got->running_var, want->running_var, block->cols, "running variance, %s, %s", what, words);
}

static void same_outcome(const bpt_block *block, const outcome *got, const outcome *want, const char *what)
{
    int64_t count = block->rows * block->cols;
    const char *words = bpt_block_words(block);
    cr_assert(bpt_says_something(want->training.out, count), "nothing but zeros, %s", words);
    same_forward(block, &got->training, &want->training, what);
    same_forward(block, &got->evaluation, &want->evaluation, what);
    bpt_same_bits(got->gradients.delta, want->gradients.delta, count, "delta, %s, %s", what, words);
    bpt_same_bits(got->gradients.d_skip, want->gradients.d_skip, count, "d_skip, %s, %s", what, words);
    bpt_same_bits(got->gradients.d_gamma, want->gradients.d_gamma, block->cols, "d_gamma, %s, %s", what, words);
    bpt_same_bits(got->gradients.d_beta, want->gradients.d_beta, block->cols, "d_beta, %s, %s", what, words);
    bpt_same_bits(got->gradients.d_b, want->gradients.d_b, block->cols, "d_b, %s, %s", what, words);
}

enum { OTHERS = 3 };

/* Every way at every shape, on one device and then on up to three; the activations take turns, so that each meets each
 * norm. */
static void compare_devices(bpt_device *one, bpt_device *others[OTHERS], const char *const words[OTHERS])
{
    for (int s = 0; s < SHAPES; ++s)
        for (int way = 0; way < BPT_BLOCK_WAYS; ++way) {
            bpt_block block = bpt_block_way(way, shapes[s], (bp_activation)((s + way) % BP_ACTIVATION_COUNT));
            block.spec.dropout *= block.rows * block.cols > 8 ? 1.0f : 0.0f; /* not all of a few dropped */
            bpt_block_inputs in = bpt_block_random(&one->backend->traits, &block, 41);
            outcome want = run(one, &block, &in);
            for (int k = 0; k < OTHERS && others[k]; ++k) {
                outcome got = run(others[k], &block, &in);
                same_outcome(&block, &got, &want, words[k]);
            }
            bpt_clean();
        }
    for (int k = 0; k < OTHERS && others[k]; ++k)
        bpt_close(others[k]);
    bpt_close(one);
}

static bpt_device *open_with(const char *set)
{
    cr_assert_eq(setenv("BP_CPU_ISA", set, 1), 0);
    return bpt_open(&cpu, 2);
}

Test(cpu_block, same_bits_with_every_instruction_set)
{
    static const char *const sets[] = {"avx2", "avx512"};
    bpt_device *baseline = open_with("baseline"), *others[OTHERS] = {NULL};
    const char *words[OTHERS];
    int count = 0;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; ++i) {
        if (!bpi_cpu_loops_named(sets[i])) {
            cr_log_info("this machine has no %s: not compared", sets[i]);
            continue;
        }
        words[count] = sets[i];
        others[count++] = open_with(sets[i]);
    }
    compare_devices(baseline, others, words);
}

Test(cpu_block, same_bits_for_any_number_of_threads)
{
    static const char *const words[OTHERS] = {"2 threads against 1", "3 threads against 1", "7 threads against 1"};
    bpt_device *others[OTHERS] = {bpt_open(&cpu, 2), bpt_open(&cpu, 3), bpt_open(&cpu, 7)};
    compare_devices(bpt_open(&cpu, 1), others, words);
}

/* ---- rows of more than one piece, against long double ---- */

static void judge_forward(const bpt_device *device, const bpt_block *block, const bpt_block_forward *got,
                          const bpt_block_forward *want, const bpt_block_forward *bound)
{
    int64_t count = block->rows * block->cols, groups = bpt_block_groups(block);
    const char *name = device->target->name, *words = bpt_block_words(block);
    bpt_compare(got->out, want->out, bound->out, count, "%s out, %s", name, words);
    if (groups == 0)
        return;
    bpt_compare(got->mean, want->mean, bound->mean, groups, "%s mean, %s", name, words);
    bpt_compare(got->inv_std, want->inv_std, bound->inv_std, groups, "%s inv_std, %s", name, words);
}

static void judge_backward(const bpt_device *device, const bpt_block *block, const bpt_block_backward *got,
                           const bpt_block_backward *want, const bpt_block_backward *bound)
{
    const char *name = device->target->name, *words = bpt_block_words(block);
    bpt_compare(got->delta, want->delta, bound->delta, block->rows * block->cols, "%s delta, %s", name, words);
    if (block->spec.norm == BP_NORM_NONE)
        return;
    bpt_compare(got->d_gamma, want->d_gamma, bound->d_gamma, block->cols, "%s d_gamma, %s", name, words);
    bpt_compare(got->d_beta, want->d_beta, bound->d_beta, block->cols, "%s d_beta, %s", name, words);
}

/* Backward from the exact values, each rounded once to f32. */
static void round_saved(const bpt_block *block, bpt_block_forward *saved)
{
    for (int64_t k = 0; k < block->rows * block->cols; ++k)
        saved->a[k] = bpt_rounded(BPI_TYPE_F32, saved->a[k]);
    for (int64_t g = 0; g < bpt_block_groups(block); ++g) {
        saved->mean[g] = bpt_rounded(BPI_TYPE_F32, saved->mean[g]);
        saved->inv_std[g] = bpt_rounded(BPI_TYPE_F32, saved->inv_std[g]);
    }
}

Test(cpu_block, of_rows_in_several_pieces_is_within_the_bound_of_its_definition)
{
    static const bpt_shape wide[] = {{5, 1, 513}, {3, 1, 1024}, {7, 1, 1030}, {2, 1, 1537}};
    bpt_device *device = bpt_open(&cpu, 2);
    const bpi_roundoff *r = &device->roundoff;
    for (size_t s = 0; s < sizeof wide / sizeof wide[0]; ++s)
        for (int way = 0; way < BPT_BLOCK_WAYS; ++way) {
            bpt_block block = bpt_block_way(way, wide[s], (bp_activation)(((int)s + way) % BP_ACTIVATION_COUNT));
            bpt_block_inputs in = bpt_block_random(&device->backend->traits, &block, 42);
            bpt_block_forward bound, want = bpt_block_exact_forward(r, &block, &in, &bound);
            bpt_block_forward got = bpt_block_run_forward(device, &block, &in);
            judge_forward(device, &block, &got, &want, &bound);
            round_saved(&block, &want);
            bpt_block_backward error, exact = bpt_block_exact_backward(r, BPI_TYPE_F32, &block, &in, &want, &error);
            bpt_block_backward found = bpt_block_run_backward(device, &block, &in, &want);
            judge_backward(device, &block, &found, &exact, &error);
            bpt_clean();
        }
    bpt_close(device);
}
