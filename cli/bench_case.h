/* bench_case.h: one network at one batch on one context, timed. */
#ifndef CLI_BENCH_CASE_H
#define CLI_BENCH_CASE_H

#include <backprop/backprop.h>

#include "benchmarks/core/floor.h"
#include "benchmarks/core/harness.h"
#include "options.h"

/* The two ways that a step gets its samples. */
enum {
    BENCH_HOST,     /* from the caller's arrays, copied into place in every step */
    BENCH_RESIDENT, /* from a bp_data, which a device holds in its own memory */
    BENCH_KINDS
};

typedef struct bench_outcome {
    bpb_rounds rounds; /* kinds as above */
    bp_profile profile;
    bp_memory_plan plan;
    int64_t peak_bytes; /* what the process's memory grew by at most in making the trainer and in its first steps; 0:
                           not known */
    int64_t batch, parameters, width;
    int depth;
    double flops, floor_s;
} bench_outcome;

/* Makes the network, verifies it against the reference on a few rows, and times it for about `seconds`. */
int bench_case_run(const option_set *options, bp_context *context, const bp_peaks *peaks, int64_t batch,
                   bench_outcome *outcome);

#endif
