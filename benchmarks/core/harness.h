/* harness.h: time, statistics, and several things timed in turns. What all benchmarks share, the command line's too. */
#ifndef BPB_HARNESS_H
#define BPB_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

double bpb_now_s(void);
double bpb_cpu_s(void); /* of the process, all threads together */

/* Of samples, sorted in place; count >= 1. spread: half of the range that holds the middle half of them, over the
 * median. */
typedef struct bpb_statistics {
    double median, minimum, spread;
} bpb_statistics;

bpb_statistics bpb_summarize(double *samples, int count);

/* Uniform in [-0.5, 0.5), the same every time. */
void bpb_fill(float *values, int64_t count, uint64_t seed);

/* Something to time: run does it `repeats` times and waits for the end; false: it failed, and said why. */
typedef struct bpb_subject {
    bool (*run)(void *user, int64_t repeats);
    void *user;
    bool sleeps; /* a runtime of its own whose threads spin on after the last run: they get time to fall asleep */
} bpb_subject;

enum { BPB_MOST_KINDS = 4, BPB_MOST_ROUNDS = 400, BPB_LEAST_ROUNDS = 3 };

typedef struct bpb_rounds {
    int kinds, rounds;
    int64_t repeats[BPB_MOST_KINDS];                 /* of one sample: enough of them for some milliseconds */
    int64_t uncounted[BPB_MOST_KINDS];               /* runs before each sample, so that it finds things as they are */
    double seconds[BPB_MOST_KINDS][BPB_MOST_ROUNDS]; /* of one run */
    double processor[BPB_MOST_KINDS][BPB_MOST_ROUNDS]; /* of one run, all threads together */
} bpb_rounds;

/* Times the subjects in turns, round by round, for about that many seconds, each turn after runs that warm it up: what
 * the machine does besides hits them alike. At least BPB_LEAST_ROUNDS rounds. */
bool bpb_alternate(const bpb_subject *subjects, int kinds, double seconds, bpb_rounds *rounds);

bpb_statistics bpb_time_of(const bpb_rounds *rounds, int kind);
bpb_statistics bpb_processor_of(const bpb_rounds *rounds, int kind);
/* Of neighbours in time: one kind's over another's. */
bpb_statistics bpb_ratio_of(const bpb_rounds *rounds, int over, int under);

#endif
