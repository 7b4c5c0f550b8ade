/* bench.c: backprop bench: whole training steps, timed on every backend, precision and batch that was asked for. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_report.h"
#include "benchmarks/core/machine.h"
#include "commands.h"
#include "json.h"
#include "message.h"
#include "net.h"
#include "replace.h"

/* clang-format off */
static const option_spec bench_specs[] = {
    {"inputs", OPTION_COUNT, offsetof(settings, inputs), "I", NULL, "width of the random inputs", NULL, 1, 1e6,
     OPTION_REQUIRED},
    {"batch", OPTION_TEXT, offsetof(settings, batches), "B[,B...]", "128", "samples of a step", NULL, 0, 0, 0},
    {"backend", OPTION_TEXT, offsetof(settings, backends), "NAME[,...]", "auto",
     "what computes: auto, cpu, cuda, reference; or all: cpu and cuda where they are usable", NULL, 0, 0, 0},
    {"precision", OPTION_TEXT, offsetof(settings, precisions), "NAME[,...]", "default",
     "default, f64, f32, tf32, bf16; or all: what each backend has of the last three", NULL, 0, 0, 0},
    {"threads", OPTION_COUNT, offsetof(settings, threads), "N", NULL, "of the CPU [all that the process may use]", NULL,
     1, 65536, 0},
    {"seconds", OPTION_REAL, offsetof(settings, seconds), "S", "1", "time for each case, besides making it", NULL, 0,
     3600, OPTION_ABOVE},
    {"json", OPTION_TEXT, offsetof(settings, json_file), "FILE", NULL,
     "write the figures there, in Google Benchmark's schema; - for standard output, and nothing else on it", NULL, 0, 0,
     0},
};
/* clang-format on */

static const option_group groups[] = {NET_GROUP, OPTION_GROUP("Benchmark", bench_specs), OPTIM_GROUP};

/* ---------------------------------------------------------------- lists */

enum { MOST_WORDS = 64 };

/* Words that commas part, in a copy of the text. */
typedef struct word_list {
    char *text;
    const char *words[MOST_WORDS];
    int count;
} word_list;

static int split(const char *label, const char *text, word_list *list)
{
    list->text = malloc(strlen(text) + 1);
    if (!list->text)
        return fail(STATUS_FAILED, "out of memory");
    strcpy(list->text, text);
    for (char *at = list->text; at;) {
        char *comma = strchr(at, ',');
        if (comma)
            *comma++ = '\0';
        if (!*at)
            return fail(STATUS_USAGE, "--%s: '%s' holds an empty word", label, text);
        if (list->count == MOST_WORDS)
            return fail(STATUS_USAGE, "--%s: more than %d words", label, MOST_WORDS);
        list->words[list->count++] = at;
        at = comma;
    }
    return STATUS_OK;
}

static int read_batch(const char *word, int64_t *batch)
{
    char *end;
    errno = 0;
    long long value = strtoll(word, &end, 10);
    if (*end || strspn(word, "0123456789") != strlen(word))
        return fail(STATUS_USAGE, "--batch: '%s' is not a whole number", word);
    if (errno || value < 1 || value > 1 << 30)
        return fail(STATUS_USAGE, "--batch: %s is out of range; it must be from 1 to %d", word, 1 << 30);
    *batch = value;
    return STATUS_OK;
}

static const char *precision_name(const void *user, int index)
{
    (void)user;
    return bp_precision_name((bp_precision)index);
}

static int read_precision(const char *word, bp_precision *precision)
{
    const char *name;
    for (int i = 0; (name = precision_name(NULL, i)); i++)
        if (strcmp(name, word) == 0) {
            *precision = (bp_precision)i;
            return STATUS_OK;
        }
    const char *near = nearest_name(word, precision_name, NULL);
    return near ? fail(STATUS_USAGE, "--precision: there is no '%s'; did you mean %s?", word, near)
                : fail(STATUS_USAGE, "--precision: there is no '%s'; there are default, f64, f32, tf32, bf16, all",
                       word);
}

static const char *backend_name(const void *user, int index)
{
    (void)user;
    return index == 0 ? "auto" : bp_backend_name(index - 1);
}

static int read_backend(const char *word)
{
    const char *name;
    for (int i = 0; (name = backend_name(NULL, i)); i++)
        if (strcmp(name, word) == 0)
            return STATUS_OK;
    const char *near = nearest_name(word, backend_name, NULL);
    return near ? fail(STATUS_USAGE, "--backend: there is no '%s'; did you mean %s?", word, near)
                : fail(STATUS_USAGE, "--backend: there is no '%s'; there are auto, cpu, cuda, reference, all", word);
}

/* ---------------------------------------------------------------- the plan of a run */

typedef struct bench_plan {
    word_list backend_words, precision_words, batch_words;
    const char *const *backends;
    int backend_count;
    bp_precision precisions[MOST_WORDS];
    int precision_count;
    int64_t batches[MOST_WORDS];
    bool any; /* `all` was said: what can't be had is left out, and named */
} bench_plan;

static bool is_all(const word_list *list)
{
    return list->count == 1 && strcmp(list->words[0], "all") == 0;
}

static int plan_backends(bench_plan *plan)
{
    static const char *const fast[] = {"cpu", "cuda"};
    plan->backends = plan->backend_words.words;
    plan->backend_count = plan->backend_words.count;
    if (is_all(&plan->backend_words)) {
        plan->any = true;
        plan->backends = fast;
        plan->backend_count = sizeof fast / sizeof *fast;
    }
    for (int i = 0; i < plan->backend_count; i++)
        TRY(read_backend(plan->backends[i]));
    return STATUS_OK;
}

static int plan_precisions(bench_plan *plan)
{
    static const bp_precision fast[] = {BP_PRECISION_F32, BP_PRECISION_TF32, BP_PRECISION_BF16};
    plan->precision_count = plan->precision_words.count;
    if (is_all(&plan->precision_words)) {
        plan->any = true;
        plan->precision_count = sizeof fast / sizeof *fast;
        memcpy(plan->precisions, fast, sizeof fast);
        return STATUS_OK;
    }
    for (int i = 0; i < plan->precision_count; i++)
        TRY(read_precision(plan->precision_words.words[i], &plan->precisions[i]));
    return STATUS_OK;
}

static int make_plan(const settings *values, bench_plan *plan)
{
    TRY(split("backend", values->backends, &plan->backend_words));
    TRY(split("precision", values->precisions, &plan->precision_words));
    TRY(split("batch", values->batches, &plan->batch_words));
    TRY(plan_backends(plan));
    TRY(plan_precisions(plan));
    for (int i = 0; i < plan->batch_words.count; i++)
        TRY(read_batch(plan->batch_words.words[i], &plan->batches[i]));
    return STATUS_OK;
}

static void free_plan(bench_plan *plan)
{
    free(plan->backend_words.text);
    free(plan->precision_words.text);
    free(plan->batch_words.text);
}

/* ---------------------------------------------------------------- the run */

static int bench_context(const bench_plan *plan, bench_report *report, bp_context *context)
{
    bp_peaks peaks;
    TRY(check_library(context, bp_context_measure(context, &peaks)));
    TRY(bench_report_context(report, context, &peaks));
    for (int i = 0; i < plan->batch_words.count; i++) {
        bench_outcome outcome;
        TRY(bench_case_run(report->options, context, &peaks, plan->batches[i], &outcome));
        TRY(bench_report_outcome(report, context, &outcome));
    }
    return STATUS_OK;
}

/* *ran counts what could be had. */
static int bench_backend(const bench_plan *plan, bench_report *report, const char *backend, bp_precision precision,
                         int *ran)
{
    bp_context *context = NULL;
    bp_context_options options = {.struct_size = sizeof options,
                                  .backend = backend,
                                  .precision = precision,
                                  .threads = (int)report->options->values.threads};
    bp_status made = bp_context_create(&options, &context);
    int status;
    if (made == BP_STATUS_OK) {
        ++*ran;
        status = bench_context(plan, report, context);
    } else if (plan->any) {
        status = bench_report_left_out(report, backend, bp_precision_name(precision), bp_last_error(context));
    } else {
        status = check_library(context, made);
    }
    bp_context_destroy(context);
    return status;
}

static int bench_all(const bench_plan *plan, bench_report *report)
{
    int ran = 0;
    TRY(bench_report_begin(report));
    for (int b = 0; b < plan->backend_count; b++)
        for (int p = 0; p < plan->precision_count; p++)
            TRY(bench_backend(plan, report, plan->backends[b], plan->precisions[p], &ran));
    if (ran == 0)
        return fail(STATUS_FAILED, "none of these backends has any of these precisions here; see backprop info");
    return STATUS_OK;
}

static int write_json(bench_report *report, const char *path)
{
    if (!report->json)
        return STATUS_OK;
    return strcmp(path, "-") == 0 ? json_print(json_incref(report->json)) : json_write_file(report->json, path);
}

/* Whether the file can be written is told before the minutes are spent, not after. */
static int probe_json(const char *path)
{
    replacement file;
    if (!path || strcmp(path, "-") == 0)
        return STATUS_OK;
    TRY(replace_open(&file, path));
    replace_abandon(&file);
    return STATUS_OK;
}

static int run(option_set *options)
{
    const settings *values = &options->values;
    TRY(options_require(options));
    options_resolve(options, "lr", 0.001);
    if (values->loss == BP_LOSS_HUBER)
        options_resolve(options, "huber-delta", 1);
    bench_plan plan = {.any = false};
    bench_report report = {.options = options,
                           .json = values->json_file ? json_object() : NULL,
                           .table = !values->json_file || strcmp(values->json_file, "-") != 0};
    int status = make_plan(values, &plan);
    if (status == STATUS_OK)
        status = probe_json(values->json_file);
    if (status == STATUS_OK && bpb_refusal())
        status =
            fail(STATUS_FAILED, "%s: its figures would mean nothing; build with cmake --preset release", bpb_refusal());
    if (status == STATUS_OK)
        status = bench_all(&plan, &report);
    if (status == STATUS_OK)
        status = write_json(&report, values->json_file);
    json_decref(report.json);
    free_plan(&plan);
    return status;
}

const cli_command command_bench = {
    .name = "bench",
    .usage = "NET --inputs I --batch B[,B...] [--backend NAME,...] [--precision NAME,...] [--json FILE]",
    .summary = "how fast training steps are here, beside the floor",
    .details =
        "Times whole training steps on random samples: each case is first verified against the reference, then timed "
        "for some seconds, with samples from host memory in every step and with samples that the backend holds, in "
        "turns. Tells median, minimum and spread, samples and FLOP a second, the ratio to the floor that follows from "
        "peaks measured in the same run (products, copies, calls), where the time goes, and the memory taken beside "
        "the plan's. docs/performance.md explains every column.",
    .example = "  backprop bench --layers 256:relu,128:relu,10 --inputs 784 --batch 1,128,4096 --momentum 0.9 "
               "--clip-norm 1\n"
               "  backprop bench --layers 1024:relu,10 --inputs 784 --backend all --precision all --json bench.json\n",
    .groups = groups,
    .group_count = sizeof groups / sizeof *groups,
    .run = run,
};
