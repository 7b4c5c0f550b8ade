/* backprop bench: what it says of bad words, what it writes, and that it times no build whose figures mean nothing. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/core/machine.h"
#include "support/program.h"
#include "support/sandbox.h"

TestSuite(cli_bench, .init = bpt_sandbox_enter, .fini = bpt_sandbox_leave);

typedef struct mistake {
    const char *line;
    const char *words;
} mistake;

static const mistake mistakes[] = {
    {"bench --inputs 4", "--layers BLOCKS is needed"},
    {"bench --layers 3", "--inputs I is needed"},
    {"bench --layers 3 --inputs 4 --batch 8,0", "--batch: 0 is out of range"},
    {"bench --layers 3 --inputs 4 --batch 8,", "--batch: '8,' holds an empty word"},
    {"bench --layers 3 --inputs 4 --batch ,8", "--batch: ',8' holds an empty word"},
    {"bench --layers 3 --inputs 4 --batch 8,x", "--batch: 'x' is not a whole number"},
    {"bench --layers 3 --inputs 4 --batch -8", "--batch: '-8' is not a whole number"},
    {"bench --layers 3 --inputs 4 --batch 99999999999999999999", "--batch: 99999999999999999999 is out of range"},
    {"bench --layers 3 --inputs 4 --backend gpu", "--backend: there is no 'gpu'"},
    {"bench --layers 3 --inputs 4 --backend cpu,cdua", "--backend: there is no 'cdua'; did you mean cuda?"},
    {"bench --layers 3 --inputs 4 --precision f16", "--precision: there is no 'f16'"},
    {"bench --layers 3 --inputs 4 --seconds 0", "--seconds: 0 is out of range"},
};

Test(cli_bench, each_mistake_gets_one_line_and_status_2)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        bpt_run run = bpt_program("%s", mistakes[i].line);
        bpt_expect(&run, 2, mistakes[i].words, mistakes[i].line);
        bpt_run_free(&run);
    }
}

#define TINY "bench --layers 5:tanh,3 --inputs 4 --threads 1 --seconds 0.001"

Test(cli_bench, times_no_build_whose_figures_mean_nothing)
{
    if (!bpb_refusal())
        cr_skip_test("this build's figures mean something: the other builds run this test");
    bpt_run run = bpt_program(TINY);
    bpt_expect(&run, 1, bpb_refusal(), TINY);
    bpt_run_free(&run);
}

Test(cli_bench, says_where_a_batch_did_not_fit)
{
    if (bpb_refusal())
        cr_skip_test("%s", bpb_refusal());
    char *said = bpt_succeed(TINY " --backend cpu --precision f32 --batch 4096 --memory 200000");
    cr_expect_not_null(strstr(said, " rows at a time"), "%s", said);
    free(said);
}

static double number(const json_t *entry, const char *key)
{
    const json_t *value = json_object_get(entry, key);
    cr_assert(json_is_number(value), "%s is not a number", key);
    return json_number_value(value);
}

static const char *text(const json_t *entry, const char *key)
{
    const json_t *value = json_object_get(entry, key);
    cr_assert(json_is_string(value) && *json_string_value(value), "%s is not a text", key);
    return json_string_value(value);
}

static void check_context(const json_t *context)
{
    static const char *const texts[] = {"date",   "host_name", "executable",         "processor", "system",
                                        "driver", "compiler",  "library_build_type", "commit"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        text(context, texts[i]);
    cr_expect_geq(number(context, "num_cpus"), 1);
    const json_t *backends = json_object_get(context, "backends");
    cr_assert_eq(json_array_size(backends), 1);
    const json_t *backend = json_array_get(backends, 0);
    cr_expect_str_eq(text(backend, "backend"), "cpu");
    cr_expect_str_eq(text(backend, "precision"), "f32");
    cr_expect(strstr(text(backend, "engine"), "oneDNN"));
    cr_expect_gt(number(backend, "product_flops"), 0);
    cr_expect_gt(number(backend, "call_us"), 0);
    cr_expect_gt(number(json_object_get(backend, "copy_bytes_per_second"), "262144"), 0);
}

static void check_entry(const json_t *entry, int batch, bool copies)
{
    static const char *const positive[] = {"iterations", "real_time",   "cpu_time",         "minimum",  "rounds",
                                           "flops",      "floor_ratio", "items_per_second", "floor_us", "plan_bytes"};
    for (size_t i = 0; i < sizeof positive / sizeof *positive; i++)
        cr_expect_gt(number(entry, positive[i]), 0, "%s", positive[i]);
    cr_expect_str_eq(text(entry, "run_type"), "iteration");
    cr_expect_str_eq(text(entry, "time_unit"), "us");
    cr_expect_eq(number(entry, "batch"), batch);
    cr_expect_eq(number(entry, "part_rows"), batch);
    cr_expect_eq(number(entry, "threads"), 1);
    cr_expect_eq(number(entry, "width"), 5);
    cr_expect_eq(number(entry, "depth"), 2);
    cr_expect_eq(number(entry, "parameters"), 5 * 5 + 6 * 3);
    cr_expect_eq(json_is_true(json_object_get(entry, "copies_counted")), copies);
    cr_expect_leq(number(entry, "minimum"), number(entry, "real_time"));
    double rate = batch / (number(entry, "real_time") * 1e-6);
    cr_expect(fabs(number(entry, "items_per_second") - rate) <= 1e-4 * rate);
    double flops = 6.0 * batch * (4 * 5 + 5 * 3) - 2.0 * batch * 4 * 5;
    cr_expect(fabs(number(entry, "flops") - flops * rate / batch) <= 1e-4 * flops * rate / batch);
    const json_t *profile = json_object_get(entry, "profile_us");
    static const char *const parts[] = {"data", "products",   "elementwise", "blocks",
                                        "loss", "reductions", "update",      "calls"};
    double sum = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        sum += number(profile, parts[i]);
    cr_expect(fabs(sum - number(profile, "total")) <= 1e-4 * sum, "the parts add up");
}

static void check_report(json_t *report)
{
    cr_assert(report);
    check_context(json_object_get(report, "context"));
    const json_t *list = json_object_get(report, "benchmarks");
    cr_assert_eq(json_array_size(list), 4);
    for (size_t i = 0; i < 4; i++)
        check_entry(json_array_get(list, i), i < 2 ? 3 : 7, i % 2 == 0);
    cr_expect_str_eq(text(json_array_get(list, 0), "name"), "step/4-5:tanh,3/sgd/cpu/f32/batch:3/threads:1");
    cr_expect_str_eq(text(json_array_get(list, 3), "name"), "step_resident/4-5:tanh,3/sgd/cpu/f32/batch:7/threads:1");
    json_decref(report);
}

static void skip_where_refused(void)
{
    if (bpb_refusal())
        cr_skip_test("this build is not timed: %s", bpb_refusal());
}

Test(cli_bench, writes_a_table_and_a_file)
{
    skip_where_refused();
    char *out = bpt_succeed(TINY " --backend cpu --batch 3,7 --json figures.json");
    cr_expect(strstr(out, "commit") && strstr(out, "oneDNN") && strstr(out, "GFLOP/s"));
    free(out);
    check_report(json_load_file("figures.json", 0, NULL));
}

Test(cli_bench, prints_json_and_nothing_else)
{
    skip_where_refused();
    char *out = bpt_succeed(TINY " --backend cpu --batch 3,7 --json -");
    check_report(json_loads(out, 0, NULL));
    free(out);
}

Test(cli_bench, leaves_out_and_names_what_all_does_not_find)
{
    skip_where_refused();
    char *out = bpt_succeed(TINY " --backend cpu --precision all --json -");
    json_t *report = json_loads(out, 0, NULL);
    const json_t *context = json_object_get(report, "context"), *left = json_object_get(context, "left_out");
    cr_expect_eq(json_array_size(left) + json_array_size(json_object_get(context, "backends")), 3);
    cr_assert_geq(json_array_size(left), 1, "cpu has no tf32");
    cr_expect_str_eq(text(json_array_get(left, 0), "precision"), "tf32");
    cr_expect(strstr(text(json_array_get(left, 0), "reason"), "tf32"));
    json_decref(report);
    free(out);
}

Test(cli_bench, fails_where_what_was_named_cannot_be_had)
{
    skip_where_refused();
    bpt_run run = bpt_program(TINY " --backend cpu --precision tf32");
    bpt_expect(&run, 1, "tf32", "tf32 on cpu");
    bpt_run_free(&run);
    run = bpt_program(TINY " --lr 1e30 --optimizer sgd --loss mse --backend cpu");
    bpt_expect(&run, 1, "not a step worth timing", "a learning rate that explodes");
    bpt_run_free(&run);
}

Test(cli_bench, a_file_that_cannot_be_written_is_told_before_anything_is_timed)
{
    bpt_run run = bpt_program(TINY " --backend cpu --json none/figures.json");
    bpt_expect(&run, 1, "cannot write none/figures.json", "a folder that is not there");
    cr_expect_str_eq(run.out, "");
    bpt_run_free(&run);
}
