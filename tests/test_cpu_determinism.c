/* The cpu backend gives the same bits on every run and for any number of threads, for shapes on both sides of every
 * decision of kernels/cpu/partition.c. */
#include "support/scenario.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "kernels/cpu/partition.h"

static bpt_target cpu(void)
{
    return (bpt_target){"cpu", bpi_cpu_ops, bpt_precision()};
}

/* B, I, O: one task and several; tiles that divide the rows and tiles that don't; weight gradients whole, in pieces of
 * the outputs and in parts of the batch. */
static const int64_t shapes[][3] = {
    {1, 1, 1},       {1, 4, 8},        {3, 7, 5},       {31, 33, 65},    {100, 300, 300}, {128, 784, 256},
    {129, 130, 131}, {257, 37, 53},    {1000, 784, 10}, {2049, 65, 129}, {4096, 64, 128}, {4099, 128, 10},
    {511, 513, 514}, {64, 1024, 1024}, {8192, 8, 8},    {5000, 1, 1},
};

enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static bpt_scenario scenario_of(int s)
{
    bpt_scenario scenario = {.rows = shapes[s][0],
                             .inputs = shapes[s][1],
                             .outputs = shapes[s][2],
                             .activation = (bp_activation)((unsigned)s % BP_ACTIVATION_COUNT),
                             .loss = (bp_loss)((unsigned)s % BP_LOSS_COUNT),
                             .optimizer = (bp_optimizer)((unsigned)s % BP_OPTIMIZER_COUNT),
                             .products = true};
    return scenario;
}

Test(cpu_determinism, same_bits_for_any_number_of_threads_and_on_every_run)
{
    static const int threads[] = {1, 2, 3, 7};
    const bpt_target target = cpu();
    for (int s = 0; s < SHAPES; ++s) {
        bpt_scenario scenario = scenario_of(s);
        bpt_outputs want = {NULL, 0};
        for (size_t t = 0; t < sizeof threads / sizeof threads[0]; ++t) {
            bpt_device *device = bpt_open(&target, threads[t]);
            for (int run = 0; run < 2; ++run) {
                bpt_outputs got = bpt_scenario_run(device, &scenario);
                if (!want.values) {
                    want = got;
                    continue;
                }
                char words[64];
                snprintf(words, sizeof words, "run %d with %d threads against 1", run + 1, threads[t]);
                bpt_scenario_same(got, want, &scenario, words);
                free(got.values);
            }
            bpt_close(device);
        }
        free(want.values);
    }
}

/* The shapes above would prove little if they were all run as one task. */
Test(cpu_determinism, shapes_of_the_test_reach_every_way_to_cut)
{
    int whole = 0, pieces = 0, parts = 0, tiled = 0, uneven = 0, columns = 0;
    for (int s = 0; s < SHAPES; ++s) {
        bpi_linear_spec spec = {.rows = shapes[s][0], .inputs = shapes[s][1], .outputs = shapes[s][2]};
        bpi_cpu_weight_split split = bpi_cpu_split_weight_grad(&spec);
        bpi_cpu_rows rows = bpi_cpu_cut_of_input_grad(&spec, false).rows;
        bpi_cpu_cut forward = bpi_cpu_cut_of_forward(&spec);
        whole += split.pieces == 1 && split.parts == 1;
        pieces += split.pieces > 1;
        parts += split.parts > 1;
        tiled += rows.groups > 1;
        columns += forward.pieces > 1;
        uneven += rows.groups > 1 && rows.rows % rows.tile != 0;
        cr_assert(split.pieces * split.piece >= spec.outputs && (split.pieces - 1) * split.piece < spec.outputs);
        cr_assert(split.parts * split.part >= spec.rows && (split.parts - 1) * split.part < spec.rows);
        cr_assert(rows.groups * rows.group_rows >= spec.rows && (rows.groups - 1) * rows.group_rows < spec.rows);
        cr_assert_eq(rows.group_rows % rows.tile, 0);
        cr_assert(forward.pieces * forward.piece >= spec.outputs &&
                  (forward.pieces - 1) * forward.piece < spec.outputs);
    }
    cr_assert(whole >= 2 && pieces >= 3 && parts >= 3 && tiled >= 3 && uneven >= 2 && columns >= 2, "%d %d %d %d %d %d",
              whole, pieces, parts, tiled, uneven, columns);
}
