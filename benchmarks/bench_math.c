/* Nanoseconds per element of every function of kernels/math, for each instruction set that this CPU can run: loops over
 * 8 KiB arrays, which stay in the first-level cache, so that arithmetic is measured and not memory. One thread.
 *
 *   bench_math            the table: median of the rounds
 *   bench_math NAME...    these functions alone
 *
 * The instruction sets are measured in alternation, round by round, and each result is checked against the baseline's.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/math/loops.h"

#define COUNT 2048
#define ROUNDS 15
#define ROUND_NS 400000.0

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* What is measured: one loop of either kind. */
typedef struct bench_case {
    const math_loop *loop;
    const math_loop2 *loop2;
} bench_case;

static const char *case_name(bench_case c)
{
    return c.loop != NULL ? c.loop->name : c.loop2->name;
}

static void run_case(bench_case c, float *y, const float *x1, const float *x2)
{
    if (c.loop != NULL) {
        c.loop->run(y, x1, COUNT);
    } else {
        c.loop2->run(y, x1, x2, COUNT);
    }
}

/* ns per element of one round. */
static double time_round(bench_case c, float *y, const float *x1, const float *x2)
{
    int64_t calls = 0;
    double start = now_ns();
    double elapsed = 0.0;
    while (elapsed < ROUND_NS) {
        for (int i = 0; i < 8; i++) {
            run_case(c, y, x1, x2);
        }
        calls += 8;
        elapsed = now_ns() - start;
    }
    return elapsed / (double)(calls * COUNT);
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Prints a line; returns false where an instruction set gives other bits than the baseline. */
static int bench(const bench_case *cases, size_t count, const float *x1, const float *x2)
{
    static float y[COUNT], expected[COUNT];
    double times[4][ROUNDS];
    run_case(cases[0], expected, x1, x2);
    for (size_t t = 0; t < count; t++) {
        run_case(cases[t], y, x1, x2);
        if (memcmp(y, expected, sizeof y) != 0) {
            fprintf(stderr, "bench_math: %s: results differ between instruction sets\n", case_name(cases[t]));
            return 0;
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t t = 0; t < count; t++) {
            times[t][round] = time_round(cases[t], y, x1, x2);
        }
    }
    printf("%-28s", case_name(cases[0]));
    for (size_t t = 0; t < count; t++) {
        qsort(times[t], ROUNDS, sizeof times[t][0], by_size);
        printf(" %8.3f (%.3f)", times[t][ROUNDS / 2], times[t][0]);
    }
    printf("\n");
    return 1;
}

static int wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return 1;
        }
    }
    return argc == 1;
}

int main(int argc, char **argv)
{
    static float x1[COUNT], x2[COUNT];
    const math_loop_table *tables[4];
    size_t count = math_loop_tables(tables);
    srand(1);
    for (int i = 0; i < COUNT; i++) {
        x1[i] = 8.0f * ((float)rand() / (float)RAND_MAX) - 4.0f;
        x2[i] = (float)rand() / (float)RAND_MAX;
    }
    printf("ns per element, median (minimum) of %d rounds, %d elements\n%-28s", ROUNDS, COUNT, "");
    for (size_t t = 0; t < count; t++) {
        printf(" %16s", tables[t]->isa);
    }
    printf("\n");
    for (size_t i = 0; i < tables[0]->count + tables[0]->count2; i++) {
        bench_case cases[4] = {{NULL, NULL}};
        for (size_t t = 0; t < count; t++) {
            if (i < tables[t]->count) {
                cases[t].loop = &tables[t]->loops[i];
            } else {
                cases[t].loop2 = &tables[t]->loops2[i - tables[t]->count];
            }
        }
        if (wanted(case_name(cases[0]), argc, argv) && !bench(cases, count, x1, x2)) {
            return 1;
        }
    }
    return 0;
}
