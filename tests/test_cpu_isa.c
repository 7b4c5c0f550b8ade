/* The loops of the cpu backend give the same bits with every instruction set that this machine has, and BP_CPU_ISA
 * chooses among them. Products are oneDNN's, which chooses for itself. */
#include "support/scenario.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/loops.h"

static const char *const sets[] = {"baseline", "avx2", "avx512"};

enum { SETS = sizeof sets / sizeof sets[0] };

static bpt_outputs run_with(const char *set, const bpt_scenario *scenario)
{
    cr_assert_eq(setenv("BP_CPU_ISA", set, 1), 0);
    const bpt_target cpu = {"cpu", bpi_cpu_ops, bpt_precision()};
    bpt_device *device = bpt_open(&cpu, 2);
    cr_assert(strstr(device->backend->traits.engine, bpi_cpu_loops_named(set)->isa), "%s",
              device->backend->traits.engine);
    bpt_outputs outputs = bpt_scenario_run(device, scenario);
    bpt_close(device);
    return outputs;
}

static void compare_sets(const bpt_scenario *scenario)
{
    bpt_outputs want = run_with(sets[0], scenario);
    for (int i = 1; i < SETS; ++i) {
        if (!bpi_cpu_loops_named(sets[i]))
            continue;
        char words[64];
        snprintf(words, sizeof words, "%s against baseline", sets[i]);
        bpt_outputs got = run_with(sets[i], scenario);
        bpt_scenario_same(got, want, scenario, words);
        free(got.values);
    }
    free(want.values);
}

Test(cpu_isa, same_bits_with_every_instruction_set)
{
    for (int i = 1; i < SETS; ++i)
        if (!bpi_cpu_loops_named(sets[i]))
            cr_log_info("this machine has no %s: not compared", sets[i]);
    static const int64_t shapes[][3] = {{1, 1, 1}, {2, 3, 10}, {17, 31, 7}, {64, 130, 33}, {300, 61, 3}};
    for (int f = 0; f < BP_ACTIVATION_COUNT; ++f)
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; ++s) {
            unsigned turn = (unsigned)f + (unsigned)s;
            bpt_scenario scenario = {.rows = shapes[s][0],
                                     .inputs = shapes[s][1],
                                     .outputs = shapes[s][2],
                                     .activation = (bp_activation)f,
                                     .loss = (bp_loss)(turn % BP_LOSS_COUNT),
                                     .optimizer = (bp_optimizer)(turn % BP_OPTIMIZER_COUNT)};
            compare_sets(&scenario);
        }
}

Test(cpu_isa, a_set_that_is_not_there_is_refused_in_words)
{
    bpi_error error = {""};
    const bpi_cpu_loops *loops = NULL;
    cr_assert_eq(setenv("BP_CPU_ISA", "sse9", 1), 0);
    cr_assert_eq(bpi_cpu_loops_choose(&error, &loops), BP_STATUS_UNSUPPORTED);
    cr_assert(strstr(error.text, "sse9") && strstr(error.text, "baseline"), "%s", error.text);
    cr_assert_eq(setenv("BP_CPU_ISA", "", 1), 0);
    cr_assert_eq(bpi_cpu_loops_choose(&error, &loops), BP_STATUS_OK);
    cr_assert_not_null(loops);
}
