/* harness.c: see harness.h. */
#include "benchmarks/core/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double clock_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double bpb_now_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

double bpb_cpu_s(void)
{
    return clock_s(CLOCK_PROCESS_CPUTIME_ID);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

bpb_statistics bpb_summarize(double *samples, int count)
{
    qsort(samples, (size_t)count, sizeof *samples, compare);
    bpb_statistics s;
    s.median = count % 2 ? samples[count / 2] : 0.5 * (samples[count / 2 - 1] + samples[count / 2]);
    s.minimum = samples[0];
    s.spread = 0.5 * (samples[count * 3 / 4] - samples[count / 4]) / s.median;
    return s;
}

void bpb_fill(float *values, int64_t count, uint64_t seed)
{
    uint64_t state = seed * 2654435769u + 1;
    for (int64_t k = 0; k < count; ++k) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        values[k] = (float)(state >> 40) * 0x1p-24f - 0.5f;
    }
}

/* ---------------------------------------------------------------- in turns */

static const double SAMPLE_S = 5e-3; /* a sample is at least this long: far above what reading the clock costs */

static const double WARM_S = 5e-2; /* runs that take longer show at once how long they are */

static const double LONG_S = 0.25; /* what the turn before left in caches and clocks is nothing beside longer runs */

static void let_threads_sleep(void)
{
    struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
}

/* The first run plans and allocates; the fastest of the next shows how many make a sample. */
static bool warm_up(const bpb_subject *subject, int64_t *repeats, int64_t *uncounted)
{
    if (!subject->run(subject->user, 1))
        return false;
    double once = INFINITY;
    double begun = bpb_now_s();
    for (int k = 0; k < 5 && (k == 0 || bpb_now_s() - begun < WARM_S); ++k) {
        double begin = bpb_now_s();
        if (!subject->run(subject->user, 1))
            return false;
        once = fmin(once, bpb_now_s() - begin);
    }
    *repeats = once < SAMPLE_S ? (int64_t)(SAMPLE_S / (once + 1e-9)) + 1 : 1;
    *uncounted = once < LONG_S ? (*repeats + 3) / 4 : 0;
    return true;
}

static bool sample(const bpb_subject *subject, bpb_rounds *rounds, int kind, int round)
{
    int64_t repeats = rounds->repeats[kind], uncounted = rounds->uncounted[kind];
    /* The turn before left other data in the caches, threads asleep, and a processor whose clock has changed. */
    if (uncounted > 0 && !subject->run(subject->user, uncounted))
        return false;
    double processor = bpb_cpu_s(), begin = bpb_now_s();
    if (!subject->run(subject->user, repeats))
        return false;
    rounds->seconds[kind][round] = (bpb_now_s() - begin) / (double)repeats;
    rounds->processor[kind][round] = (bpb_cpu_s() - processor) / (double)repeats;
    if (subject->sleeps)
        let_threads_sleep();
    return true;
}

bool bpb_alternate(const bpb_subject *subjects, int kinds, double seconds, bpb_rounds *rounds)
{
    rounds->kinds = kinds;
    rounds->rounds = 0;
    double until = bpb_now_s() + seconds;
    for (int kind = 0; kind < kinds; ++kind) {
        if (!warm_up(&subjects[kind], &rounds->repeats[kind], &rounds->uncounted[kind]))
            return false;
        if (subjects[kind].sleeps)
            let_threads_sleep();
    }
    while (rounds->rounds < BPB_MOST_ROUNDS && (rounds->rounds < BPB_LEAST_ROUNDS || bpb_now_s() < until)) {
        for (int kind = 0; kind < kinds; ++kind)
            if (!sample(&subjects[kind], rounds, kind, rounds->rounds))
                return false;
        rounds->rounds++;
    }
    return true;
}

static bpb_statistics summary_of(const double *samples, int count)
{
    double sorted[BPB_MOST_ROUNDS];
    memcpy(sorted, samples, (size_t)count * sizeof *sorted);
    return bpb_summarize(sorted, count);
}

bpb_statistics bpb_time_of(const bpb_rounds *rounds, int kind)
{
    return summary_of(rounds->seconds[kind], rounds->rounds);
}

bpb_statistics bpb_processor_of(const bpb_rounds *rounds, int kind)
{
    return summary_of(rounds->processor[kind], rounds->rounds);
}

bpb_statistics bpb_ratio_of(const bpb_rounds *rounds, int over, int under)
{
    double ratios[BPB_MOST_ROUNDS];
    for (int i = 0; i < rounds->rounds; ++i)
        ratios[i] = rounds->seconds[over][i] / rounds->seconds[under][i];
    return bpb_summarize(ratios, rounds->rounds);
}
