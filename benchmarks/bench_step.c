/* bench_step.c: a training step on the cpu backend beside its matrix products alone.
 *
 *   bench_step [--threads N] [--seconds S] [--optimizer sgd|adamw] [--json FILE] [--list] [WORD]
 *
 * For each network of cases.h: the step (batch fetched, forward, loss, backward, norm clipping, update) through the
 * public API; its products through this backend's table; its products in oneDNN alone, at full batch with oneDNN's own
 * threads. The three take turns in one run. "step/gemm" is over the kind of products that has the smaller median.
 * --list prints the networks and their aims as JSON, for the programs that measure the same ones. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/cases.h"
#include "benchmarks/core/floor.h"
#include "benchmarks/core/result.h"
#include "benchmarks/settings.h"
#include "benchmarks/subject.h"

typedef struct settings {
    bpb_settings common;
    const char *json;
    bool list;
} settings;

enum { STEP, PRODUCTS, ONEDNN, KINDS };
static const char *const kind_names[KINDS] = {"step", "products", "products_onednn"};

/* ---------------------------------------------------------------- one network */

typedef struct outcome {
    bpb_rounds rounds;
    bpb_statistics ratio; /* of neighbours in time: step over the faster kind of products */
    double of_minima;
    double flops, floor_s;
} outcome;

/* The faster kind of products is found once, over all rounds: the faster of two samples of the same thing is faster
 * than the thing. */
static void summarize(const bpb_step_subject *s, const bp_peaks *peaks, outcome *o)
{
    const bpb_rounds *r = &o->rounds;
    int faster = bpb_time_of(r, ONEDNN).median < bpb_time_of(r, PRODUCTS).median ? ONEDNN : PRODUCTS;
    o->ratio = bpb_ratio_of(r, STEP, faster);
    o->of_minima =
        bpb_time_of(r, STEP).minimum / fmin(bpb_time_of(r, PRODUCTS).minimum, bpb_time_of(r, ONEDNN).minimum);
    bpb_work work = {.batch = s->setup.batch,
                     .layers = s->layers,
                     .widths = s->widths,
                     .optimizer = s->setup.optimizer,
                     .momentum = true};
    bpb_work_precision(&work, BP_PRECISION_F32);
    o->flops = bpb_step_flops(&work);
    o->floor_s = bpb_step_floor(&work, peaks);
}

static bool measure(bpb_step_subject *s, const bp_peaks *peaks, double seconds, outcome *o)
{
    const bpb_subject subjects[KINDS] = {[STEP] = {.run = bpb_step_run, .user = s},
                                         [PRODUCTS] = {.run = bpb_step_run_products, .user = s},
                                         [ONEDNN] = {.run = bpb_step_run_onednn, .user = s, .sleeps = true}};
    if (!bpb_alternate(subjects, KINDS, seconds, &o->rounds))
        return false;
    summarize(s, peaks, o);
    return true;
}

/* ---------------------------------------------------------------- the table */

static void print_time(double seconds)
{
    if (seconds < 1e-3)
        printf("%9.2f us", seconds * 1e6);
    else
        printf("%9.3f ms", seconds * 1e3);
}

static void print_outcome(const bpb_case *net, const outcome *o)
{
    char name[96];
    snprintf(name, sizeof name, "%lld-%s", (long long)net->inputs, net->layers);
    printf("%-56s %6lld ", name, (long long)net->batch);
    for (int kind = 0; kind < KINDS; ++kind)
        print_time(bpb_time_of(&o->rounds, kind).median);
    double products = bpb_time_of(&o->rounds, PRODUCTS).median, step = bpb_time_of(&o->rounds, STEP).median;
    printf("  %5.3f +-%4.1f %%  %5.3f  %6.1f  %5.2f  %d\n", o->ratio.median, 100.0 * o->ratio.spread, o->of_minima,
           o->flops / products * 1e-9, step / o->floor_s, o->rounds.rounds);
    fflush(stdout);
}

static bool report(json_t *json, const bpb_step_subject *s, const outcome *o)
{
    bool added = json != NULL;
    for (int kind = 0; added && kind < KINDS; ++kind) {
        char name[192];
        snprintf(name, sizeof name, "%s/%lld-%s/%s/batch:%lld/threads:%d", kind_names[kind], (long long)s->setup.inputs,
                 s->setup.layers, bp_optimizer_name(s->setup.optimizer), (long long)s->setup.batch,
                 bp_context_threads(s->context));
        bpb_figure figure = bpb_figure_of(name, &o->rounds, kind, bp_context_threads(s->context));
        figure.items = (double)s->setup.batch;
        figure.flops = o->flops;
        figure.floor_s = kind == STEP ? o->floor_s : 0.0;
        json_t *more = kind == STEP
                           ? json_pack("{so so sI sI}", "step_over_products", bpb_number(o->ratio.median),
                                       "step_over_products_spread", bpb_number(o->ratio.spread), "plan_bytes",
                                       (json_int_t)s->plan.total_bytes, "peak_bytes", (json_int_t)s->peak_bytes)
                           : NULL;
        added = bpb_report_add(json, &figure, more);
    }
    return added;
}

static bool bench(bp_context *context, const settings *how, const bp_peaks *peaks, const bpb_case *net, json_t *json)
{
    bpb_setup setup = {.inputs = net->inputs,
                       .batch = net->batch,
                       .layers = net->layers,
                       .loss = net->loss,
                       .optimizer = how->common.optimizer,
                       .products = true};
    bpb_step_subject s;
    outcome o;
    bool done = bpb_step_create(context, &setup, &s) && measure(&s, peaks, how->common.seconds, &o);
    if (done)
        print_outcome(net, &o);
    done = done && (!how->json || report(json, &s, &o));
    bpb_step_destroy(&s);
    return done;
}

static json_t *describe(const bpb_case *c)
{
    return json_pack("{sI ss ss sI sf sf sf}", "inputs", (json_int_t)c->inputs, "layers", c->layers, "loss",
                     bp_loss_name(c->loss), "batch", (json_int_t)c->batch, "most_step_over_products",
                     c->most_step_over_products, "least_pytorch_over_step", c->least_pytorch_over_step, "most_step_us",
                     c->most_step_us);
}

static int list(void)
{
    bpb_machine machine;
    bpb_machine_read(&machine);
    json_t *report = bpb_report(&machine, "bench_step --list"), *cases = json_array();
    for (size_t n = 0; n < bpb_case_count; ++n)
        json_array_append_new(cases, describe(&bpb_cases[n]));
    json_object_set_new(report, "cases", cases);
    bool done = json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0 && puts("") >= 0;
    json_decref(report);
    return done ? 0 : 1;
}

/* ---------------------------------------------------------------- the program */

static int usage(void)
{
    fprintf(stderr,
            "usage: bench_step [--threads N] [--seconds S] [--optimizer sgd|adamw] [--json FILE] [--list] [WORD]\n"
            "WORD: only networks whose layers hold it\n");
    return 2;
}

static int parse(int count, char **words, settings *how)
{
    for (int i = 1; i < count; ++i) {
        if (bpb_settings_take(&how->common, count, words, &i))
            continue;
        if (strcmp(words[i], "--json") == 0 && i + 1 < count)
            how->json = words[++i];
        else if (strcmp(words[i], "--list") == 0)
            how->list = true;
        else
            return usage();
    }
    return bpb_settings_valid(&how->common) ? 0 : usage();
}

static void print_head(const bpb_machine *m, const bp_context *context, const settings *how, const bp_peaks *peaks)
{
    bpb_machine_print(m);
    printf("engine     %s, f32, %s, norm clipping\npeaks      %.1f GFLOP/s, copies %.1f to %.1f GB/s\n\n",
           bp_context_engine(context), bpb_optimizer_words(how->common.optimizer), peaks->product_flops * 1e-9,
           peaks->copy_bytes[0] * 1e-9, peaks->copy_bytes[BP_PEAKS_COPIES - 1] * 1e-9);
    printf("%-56s %6s %12s%12s%12s  %-14s %-6s %-7s %-6s %s\n", "network", "batch", "step", "its gemms", "in oneDNN",
           "step/gemm", "of min", "GFLOP/s", "/floor", "rounds");
}

static bool run(bp_context *context, const settings *how)
{
    bp_peaks peaks;
    bpb_machine machine;
    bpb_machine_read(&machine);
    if (bp_context_measure(context, &peaks) != BP_STATUS_OK) {
        fprintf(stderr, "bench_step: %s\n", bp_last_error(context));
        return false;
    }
    print_head(&machine, context, how, &peaks);
    json_t *json = how->json ? bpb_report(&machine, "bench_step") : NULL;
    bool done = !how->json || bpb_report_context(json, "engine", json_string(bp_context_engine(context)));
    for (size_t n = 0; n < bpb_case_count; ++n)
        if (!how->common.only || strstr(bpb_cases[n].layers, how->common.only))
            done = bench(context, how, &peaks, &bpb_cases[n], json) && done;
    if (how->json)
        done = bpb_report_write(json, how->json) && done;
    json_decref(json);
    return done;
}

int main(int count, char **words)
{
    settings how = {.common = {.threads = 2, .seconds = 3.0, .optimizer = BP_OPTIMIZER_SGD}};
    int status = parse(count, words, &how);
    if (status)
        return status;
    if (how.list)
        return list();
    if (bpb_refusal()) {
        fprintf(stderr, "bench_step: %s: nothing to time; configure with --preset release\n", bpb_refusal());
        return 1;
    }
    bp_context *context;
    bp_context_options options = {.backend = "cpu", .threads = how.common.threads};
    bool done = bp_context_create(&options, &context) == BP_STATUS_OK;
    if (!done)
        fprintf(stderr, "bench_step: %s\n", bp_last_error(context));
    done = done && run(context, &how);
    bp_context_destroy(context);
    return done ? 0 : 1;
}
