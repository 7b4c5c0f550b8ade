/* scenario.h: every operation of the cpu backend once, on random inputs of one shape, with all outputs in one array: so
 * that two ways to run it (threads, instruction sets) can be compared bit by bit. In f32 or bf16. */
#ifndef BPT_SCENARIO_H
#define BPT_SCENARIO_H

#include "support/backends.h"

typedef struct bpt_scenario {
    int64_t rows, inputs, outputs;
    bp_activation activation;
    bp_loss loss;
    bp_optimizer optimizer;
    bool products; /* also those of oneDNN; else the operations on elements alone */
} bpt_scenario;

typedef struct bpt_outputs {
    float *values; /* free() */
    int64_t count;
} bpt_outputs;

bpt_outputs bpt_scenario_run(bpt_device *device, const bpt_scenario *scenario);

/* Fails the test where the two differ in a bit. */
void bpt_scenario_same(bpt_outputs got, bpt_outputs want, const bpt_scenario *scenario, const char *words);

#endif
