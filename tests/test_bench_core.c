/* test_bench_core.c: the benchmarks' statistics, turns, floor and JSON, on figures whose answers are known. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/core/floor.h"
#include "benchmarks/core/machine.h"
#include "benchmarks/core/result.h"

static bpb_statistics of(int count, const double *values)
{
    double samples[16];
    memcpy(samples, values, (size_t)count * sizeof *values);
    return bpb_summarize(samples, count);
}

Test(bench_core, statistics_of_samples_in_any_order)
{
    bpb_statistics s = of(5, (const double[]){9, 1, 5, 3, 7});
    cr_expect_eq(s.median, 5.0);
    cr_expect_eq(s.minimum, 1.0);
    cr_expect_eq(s.spread, 0.5 * (7.0 - 3.0) / 5.0);
    s = of(4, (const double[]){8, 2, 4, 6});
    cr_expect_eq(s.median, 5.0);
    cr_expect_eq(s.spread, 0.5 * (8.0 - 4.0) / 5.0);
    s = of(1, (const double[]){3});
    cr_expect(s.median == 3.0 && s.minimum == 3.0 && s.spread == 0.0);
    s = of(8, (const double[]){1, 1, 1, 1, 1, 1, 1, 100}); /* one disturbed sample moves nothing */
    cr_expect(s.median == 1.0 && s.spread == 0.0);
}

typedef struct turn {
    char *log;
    char name;
    double seconds;
    bool fails;
} turn;

static bool take_turn(void *user, int64_t repeats)
{
    turn *t = user;
    if (strlen(t->log) < 60)
        strncat(t->log, &t->name, 1);
    for (double until = bpb_now_s() + t->seconds * (double)repeats; bpb_now_s() < until;)
        continue;
    return !t->fails;
}

Test(bench_core, subjects_take_turns)
{
    char log[64] = "";
    turn turns[2] = {{log, 'a', 0.06, false}, {log, 'b', 0.06, false}};
    bpb_subject subjects[2] = {{.run = take_turn, .user = &turns[0]}, {.run = take_turn, .user = &turns[1]}};
    bpb_rounds rounds;
    cr_assert(bpb_alternate(subjects, 2, 0.001, &rounds));
    cr_expect_eq(rounds.rounds, BPB_LEAST_ROUNDS);
    cr_expect_str_eq(log, "aabbaabbaabbaabb", "each warms up twice, then they alternate, one run uncounted");
    for (int kind = 0; kind < 2; kind++) {
        cr_expect_eq(rounds.repeats[kind], 1, "longer than a sample must be");
        cr_expect_geq(bpb_time_of(&rounds, kind).minimum, 0.06);
        cr_expect_leq(bpb_processor_of(&rounds, kind).minimum, bpb_time_of(&rounds, kind).median + 0.001);
    }
    turns[1].fails = true;
    cr_expect_not(bpb_alternate(subjects, 2, 0.001, &rounds));
}

Test(bench_core, long_runs_are_not_repeated_for_nothing)
{
    char log[64] = "";
    turn slow = {log, 'a', 0.26, false};
    bpb_subject subject = {.run = take_turn, .user = &slow};
    bpb_rounds rounds;
    cr_assert(bpb_alternate(&subject, 1, 0.001, &rounds));
    cr_expect_str_eq(log, "aaaaa", "warmed up twice, then once a round");
}

static bool nothing(void *user, int64_t repeats)
{
    int64_t *sum = user;
    *sum += repeats;
    return true;
}

Test(bench_core, short_runs_are_repeated_until_they_make_a_sample)
{
    int64_t runs = 0;
    bpb_subject subject = {.run = nothing, .user = &runs};
    bpb_rounds rounds;
    cr_assert(bpb_alternate(&subject, 1, 0.001, &rounds));
    cr_expect_gt(rounds.repeats[0], 1000, "a run of some nanoseconds");
    cr_expect_geq(rounds.uncounted[0], rounds.repeats[0] / 4);
    cr_expect_geq(runs, (rounds.repeats[0] + rounds.uncounted[0]) * rounds.rounds);
}

Test(bench_core, numbers_are_random_and_the_same_every_time)
{
    float a[1000], b[1000];
    bpb_fill(a, 1000, 1);
    bpb_fill(b, 1000, 1);
    cr_expect_eq(memcmp(a, b, sizeof a), 0);
    bpb_fill(b, 1000, 2);
    double mean = 0.0;
    int same = 0;
    for (int i = 0; i < 1000; i++) {
        cr_expect(a[i] >= -0.5f && a[i] < 0.5f);
        mean += (double)a[i] / 1000;
        same += a[i] == b[i];
    }
    cr_expect_lt(fabs(mean), 0.05, "5 standard deviations of the mean of 1000");
    cr_expect_lt(same, 5);
}

Test(bench_core, work_of_a_step_is_the_formula)
{
    const int64_t widths[] = {3, 5, 2};
    bpb_work work = {.batch = 7, .layers = 2, .widths = widths, .optimizer = BP_OPTIMIZER_SGD};
    bpb_work_precision(&work, BP_PRECISION_F32);
    cr_expect_eq(bpb_step_flops(&work), 6.0 * 7 * (3 * 5 + 5 * 2) - 2.0 * 7 * 3 * 5);
    double parameters = 3 * 5 + 5 + 5 * 2 + 2;
    cr_expect_eq(bpb_update_bytes(&work), parameters * (4 + 12), "norm; gradient, parameter read and written");
    work.momentum = true;
    cr_expect_eq(bpb_update_bytes(&work), parameters * (4 + 20));
    work.optimizer = BP_OPTIMIZER_ADAMW;
    cr_expect_eq(bpb_update_bytes(&work), parameters * (4 + 28));
    cr_expect_eq(bpb_working_set(&work), parameters * 16 + 7 * (3 + 5 + 2) * 4);
    bpb_work_precision(&work, BP_PRECISION_BF16);
    cr_expect_eq(bpb_working_set(&work), parameters * 16 + 7 * (3 + 5 + 2) * 2);
}

Test(bench_core, floor_is_arithmetic_or_traffic_and_the_calls)
{
    const int64_t widths[] = {100, 200};
    bpb_work work = {.batch = 50, .layers = 1, .widths = widths, .optimizer = BP_OPTIMIZER_SGD, .calls = 5};
    bpb_work_precision(&work, BP_PRECISION_F32);
    bp_peaks peaks = {.product_flops = 1e6, .call_s = 3.0};
    for (int i = 0; i < BP_PEAKS_COPIES; i++)
        peaks.copy_bytes[i] = 1e30; /* nothing but arithmetic */
    double products = 2 * 2.0 * 50 * 100 * 200 / 1e6;
    cr_expect_float_eq(bpb_step_floor(&work, &peaks), products + 15.0, 1e-9);
    peaks.product_flops = 1e30;
    for (int i = 0; i < BP_PEAKS_COPIES; i++)
        peaks.copy_bytes[i] = 1e3;
    double bytes = 2 * 4.0 * (50 * 300 + 100 * 200) + 16.0 * (100 * 200 + 200);
    cr_expect_float_eq(bpb_step_floor(&work, &peaks), bytes / 1e3 + 15.0, 1e-9);
}

Test(bench_core, traffic_counts_at_the_rate_of_a_copy_as_large)
{
    bp_peaks peaks = {.copy_bytes = {100, 90, 80, 70, 10, 20}};
    cr_expect_eq(bpb_copy_rate(&peaks, 1), 100.0);
    cr_expect_eq(bpb_copy_rate(&peaks, (double)BP_PEAKS_COPY_BYTES(0)), 100.0);
    cr_expect_eq(bpb_copy_rate(&peaks, (double)BP_PEAKS_COPY_BYTES(0) + 1), 90.0);
    cr_expect_eq(bpb_copy_rate(&peaks, (double)BP_PEAKS_COPY_BYTES(3)), 70.0);
    cr_expect_eq(bpb_copy_rate(&peaks, (double)BP_PEAKS_COPY_BYTES(4)), 20.0, "a larger copy is no faster");
    cr_expect_eq(bpb_copy_rate(&peaks, 1e15), 20.0);
}

Test(bench_core, report_has_the_schema_of_google_benchmark)
{
    bpb_machine machine;
    bpb_machine_read(&machine);
    cr_expect(machine.processors >= 1 && machine.memory_bytes > 0 && *machine.commit && *machine.compiler);
    json_t *report = bpb_report(&machine, "test");
    bpb_rounds rounds = {.kinds = 1, .rounds = 3, .repeats = {10}, .seconds = {{2e-3, 1e-3, 4e-3}}};
    bpb_figure figure = bpb_figure_of("step/x", &rounds, 0, 2);
    figure.items = 100;
    figure.flops = 4000;
    figure.floor_s = 1e-3;
    cr_assert(bpb_report_add(report, &figure, json_pack("{ss}", "backend", "cpu")));
    const char *name, *type, *unit, *backend, *date;
    int iterations;
    double time, items, flops, floor, minimum;
    cr_assert_eq(json_unpack(report, "{s{ss}s[{ss ss ss si sf sf sf sf sf ss}]}", "context", "date", &date,
                             "benchmarks", "name", &name, "run_type", &type, "time_unit", &unit, "iterations",
                             &iterations, "real_time", &time, "minimum", &minimum, "items_per_second", &items, "flops",
                             &flops, "floor_ratio", &floor, "backend", &backend),
                 0);
    cr_expect_str_eq(name, "step/x");
    cr_expect_str_eq(type, "iteration");
    cr_expect_str_eq(unit, "us");
    cr_expect_str_eq(backend, "cpu");
    cr_expect_eq(iterations, 30);
    cr_expect_float_eq(time, 2000.0, 1e-6);
    cr_expect_float_eq(minimum, 1000.0, 1e-6);
    cr_expect_float_eq(items, 50000.0, 1e-3);
    cr_expect_float_eq(flops, 2e6, 1.0);
    cr_expect_float_eq(floor, 2.0, 1e-9);
    cr_expect(!json_object_get(json_array_get(json_object_get(report, "benchmarks"), 0), "bytes_per_second"),
              "no work, no rate");
    json_decref(report);
}

Test(bench_core, numbers_that_are_none_become_null)
{
    json_t *none = bpb_number((double)NAN), *some = bpb_number(1.23456789);
    cr_expect(json_is_null(none));
    cr_expect_eq(json_real_value(some), 1.23457);
    json_decref(none);
    json_decref(some);
}

Test(bench_core, peak_of_memory_begins_anew)
{
    if (bpb_refusal())
        cr_skip_test("%s: its memory is not only what the test takes", bpb_refusal());
    if (bpb_peak_reset() == 0)
        cr_skip_test("this system does not reset the peak");
    enum { BYTES = 64 << 20 };
    int64_t before = bpb_peak_reset();
    volatile char *memory = malloc(BYTES); /* volatile: a compiler leaves out what nobody reads */
    cr_assert_not_null((const void *)memory);
    for (int64_t i = 0; i < BYTES; i += 4096)
        memory[i] = 1;
    free((void *)memory);
    int64_t grown = bpb_peak_bytes() - before;
    cr_expect(grown > BYTES - (4 << 20) && grown < BYTES + (16 << 20), "%lld bytes", (long long)grown);
    int64_t again = bpb_peak_reset();
    cr_expect_lt(bpb_peak_bytes() - again, 4 << 20);
}
