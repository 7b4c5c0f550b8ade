/* cases.h: the networks that speed is judged by, and what is aimed at: the one list for bench_step and for the peers.
 */
#ifndef BPB_CASES_H
#define BPB_CASES_H

#include <stddef.h>
#include <stdint.h>

#include "backprop/backprop.h"

typedef struct bpb_case {
    int64_t inputs, batch;
    const char *layers;
    bp_loss loss;
    /* On two cores, f32, SGD with momentum, norm clipping; 0: no aim. */
    double most_step_over_products;
    double least_pytorch_over_step;
    double most_step_us;
} bpb_case;

extern const bpb_case bpb_cases[];
extern const size_t bpb_case_count;

#endif
