/* bench_report.h: what backprop bench measured, as a table on standard output and as JSON. */
#ifndef CLI_BENCH_REPORT_H
#define CLI_BENCH_REPORT_H

#include "bench_case.h"
#include "benchmarks/core/result.h"

typedef struct bench_report {
    const option_set *options;
    json_t *json; /* NULL: not wanted */
    bool table;   /* standard output is for people */
} bench_report;

/* Machine, build and network. */
int bench_report_begin(bench_report *report);

/* A backend at a precision, with its peaks; the head of its lines. */
int bench_report_context(bench_report *report, const bp_context *context, const bp_peaks *peaks);

/* One that can't be had here. */
int bench_report_left_out(bench_report *report, const char *backend, const char *precision, const char *reason);

int bench_report_outcome(bench_report *report, const bp_context *context, const bench_outcome *outcome);

#endif
