/* result.h: figures as JSON, in the schema of Google Benchmark: {"context": {...}, "benchmarks": [{...}, ...]}. */
#ifndef BPB_RESULT_H
#define BPB_RESULT_H

#include <jansson.h>

#include "benchmarks/core/harness.h"
#include "benchmarks/core/machine.h"

/* One line of "benchmarks". Work is that of one iteration; 0: leave the figure out. */
typedef struct bpb_figure {
    const char *name;
    int threads, rounds;
    int64_t iterations; /* of all rounds */
    bpb_statistics time;
    double processor_s; /* median */
    double items, flops, bytes;
    double floor_s;
} bpb_figure;

/* The figure of one kind of some rounds, named, without the work. */
bpb_figure bpb_figure_of(const char *name, const bpb_rounds *rounds, int kind, int threads);

/* {"context", "benchmarks": []}; `executable` names the program. NULL where memory runs out. */
json_t *bpb_report(const bpb_machine *machine, const char *executable);

/* Appends the figure, and `more` beside its own members (may be NULL; its reference is taken over): real_time is the
 * median, in microseconds as cpu_time. false where memory runs out. */
bool bpb_report_add(json_t *report, const bpb_figure *figure, json_t *more);

/* Sets a member of "context". Takes over the reference. */
bool bpb_report_context(json_t *report, const char *key, json_t *value);

/* A number to 6 digits; null where it is NaN or infinite. */
json_t *bpb_number(double value);

/* false: says on stderr why not. */
bool bpb_report_write(const json_t *report, const char *path);

#endif
