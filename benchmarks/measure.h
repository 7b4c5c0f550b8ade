/* measure.h: what the benchmark programs share: time, statistics, and the words about machine and build that stand
 * above every table. */
#ifndef BPB_MEASURE_H
#define BPB_MEASURE_H

#include <stdint.h>
#include <stdio.h>

double bpb_now_s(void);

/* Of samples, sorted in place. spread: half of the range that holds the middle half of them, over the median. */
typedef struct bpb_statistics {
    double median, minimum, spread;
} bpb_statistics;

bpb_statistics bpb_summarize(double *samples, int count);

/* Refuses (with a reason on stderr, and returns false) what must not be timed: a build with sanitizers or without
 * optimisation. Otherwise prints machine, load, compiler and commit. */
int bpb_begin(FILE *out, const char *program);

/* Uniform in [-0.5, 0.5), the same every time. */
void bpb_fill(float *values, int64_t count, uint64_t seed);

#endif
