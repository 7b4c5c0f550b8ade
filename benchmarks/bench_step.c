/* bench_step: a training step on the cpu backend beside its matrix products alone.
 *
 *   bench_step [--threads N] [--seconds S] [--optimizer sgd|adamw] [WORD]
 *
 * For each network: the step (batch fetched, forward, loss, backward, norm clipping, update) through the public API;
 * its products through this backend's table; its products in oneDNN alone, at full batch with oneDNN's own threads. The
 * three take turns in one run. "step/gemm" is over the faster of the two. The floor is DESIGN section 4's, from a
 * product's GFLOP/s and a copy's GB/s measured in the same run. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backprop/backprop.h"
#include "benchmarks/measure.h"
#include "benchmarks/products.h"

enum { MOST_ROUNDS = 400 };

typedef struct network {
    int64_t inputs, batch;
    const char *layers;
    bp_loss loss;
} network;

static const network networks[] = {
    {784, 4096, "1024:relu,1024:relu,10", BP_LOSS_SOFTMAX_CROSS_ENTROPY},
    {784, 4096, "256:relu,128:relu,100:relu,10", BP_LOSS_SOFTMAX_CROSS_ENTROPY},
    {784, 128, "256:relu,128:relu,100:relu,10", BP_LOSS_SOFTMAX_CROSS_ENTROPY},
    {64, 4096, "128:relu,128:relu,10", BP_LOSS_SOFTMAX_CROSS_ENTROPY},
    {64, 65536, "128:relu,128:relu,10", BP_LOSS_SOFTMAX_CROSS_ENTROPY},
    {28, 100, "300:relu,300:relu,300:relu,300:relu,300:relu,1", BP_LOSS_BCE_WITH_LOGITS},
    {4, 1, "8:tanh,3", BP_LOSS_SOFTMAX_CROSS_ENTROPY},
    {4096, 2048, "4096:relu,4096", BP_LOSS_HALF_MSE},
};

typedef struct settings {
    int threads;
    double seconds; /* for each network */
    bp_optimizer optimizer;
    const char *only; /* networks whose text holds this */
} settings;

typedef struct machine {
    double gflops, copy_gbs;
} machine;

/* ---------------------------------------------------------------- one network */

typedef struct subject {
    network net;
    int layers;
    int64_t widths[BPB_MOST_LAYERS + 1];
    float *x, *targets;
    int64_t *classes;
    bp_model *model;
    bp_trainer *trainer;
    bpb_products products;
} subject;

static void parse_widths(subject *s)
{
    s->widths[0] = s->net.inputs;
    for (const char *at = s->net.layers; at && s->layers < BPB_MOST_LAYERS; at = strchr(at, ',')) {
        at += *at == ',';
        s->widths[++s->layers] = strtoll(at, NULL, 10);
    }
}

static bool make_samples(subject *s)
{
    int64_t batch = s->net.batch, outputs = s->widths[s->layers];
    s->x = malloc((size_t)(batch * s->net.inputs) * sizeof *s->x);
    s->targets = malloc((size_t)(batch * outputs) * sizeof *s->targets);
    s->classes = malloc((size_t)batch * sizeof *s->classes);
    if (!s->x || !s->targets || !s->classes)
        return false;
    bpb_fill(s->x, batch * s->net.inputs, 3);
    bpb_fill(s->targets, batch * outputs, 4);
    for (int64_t k = 0; k < batch * outputs; ++k)
        s->targets[k] += 0.5f;
    for (int64_t b = 0; b < batch; ++b)
        s->classes[b] = b * 7 % outputs;
    return true;
}

static bp_status step(subject *s)
{
    bool classes = s->net.loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY;
    return bp_trainer_step(s->trainer, s->x, classes ? s->classes : NULL, classes ? NULL : s->targets, s->net.batch);
}

/* A few steps, of which the loss must be finite. */
static bool check_step(bp_context *context, subject *s)
{
    bp_step_result result;
    for (int k = 0; k < 3; ++k)
        if (step(s) != BP_STATUS_OK || bp_trainer_result(s->trainer, &result) != BP_STATUS_OK) {
            fprintf(stderr, "%s: %s\n", s->net.layers, bp_last_error(context));
            return false;
        }
    if (!isfinite(result.loss) || result.nonfinite || !(result.grad_norm > 0.0)) {
        fprintf(stderr, "%s: loss %g, gradient norm %g: not a step worth timing\n", s->net.layers, result.loss,
                result.grad_norm);
        return false;
    }
    return true;
}

static bool make_subject(bp_context *context, const settings *how, const network *net, subject *s)
{
    memset(s, 0, sizeof *s);
    s->net = *net;
    parse_widths(s);
    bp_model_options model = {.inputs = net->inputs, .layers = net->layers, .loss = net->loss, .seed = 1};
    bp_trainer_options trainer = {.batch = net->batch,
                                  .optimizer = how->optimizer,
                                  .lr = 1e-3,
                                  .momentum = how->optimizer == BP_OPTIMIZER_SGD ? 0.9 : 0.0,
                                  .clip_norm = 1.0};
    if (!make_samples(s) || bp_model_create(context, &model, &s->model) != BP_STATUS_OK ||
        bp_trainer_create(s->model, &trainer, &s->trainer) != BP_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", net->layers, bp_last_error(context));
        return false;
    }
    if (!bpb_products_create(&s->products, how->threads, net->batch, s->widths, s->layers) || !check_step(context, s))
        return false;
    if (!bpb_products_agree(&s->products)) {
        fprintf(stderr, "%s: the products differ from oneDNN's by more than rounding\n", net->layers);
        return false;
    }
    return true;
}

static void free_subject(subject *s)
{
    bpb_products_destroy(&s->products);
    bp_trainer_destroy(s->trainer);
    bp_model_destroy(s->model);
    free(s->x);
    free(s->targets);
    free(s->classes);
}

static bool run_step(subject *s)
{
    return step(s) == BP_STATUS_OK;
}

static bool run_products(subject *s)
{
    return bpb_products_run(&s->products);
}

static bool run_onednn(subject *s)
{
    return bpb_products_run_onednn(&s->products);
}

/* ---------------------------------------------------------------- timing */

enum { STEP, PRODUCTS, ONEDNN, KINDS };

typedef struct timing {
    bpb_statistics kind[KINDS];
    bpb_statistics ratio; /* of neighbours in time: step over the faster of the products */
    int rounds;
} timing;

/* Seconds of one run, from as many as fill a few milliseconds. */
static double time_of(bool (*run)(subject *), subject *s, int repeats)
{
    double begin = bpb_now_s();
    for (int k = 0; k < repeats; ++k)
        if (!run(s))
            return NAN;
    return (bpb_now_s() - begin) / repeats;
}

/* oneDNN's threads spin for some milliseconds after their last product: they must not do so beside ours. */
static void let_threads_sleep(void)
{
    double until = bpb_now_s() + 0.02;
    struct timespec pause = {0, 20000000};
    while (bpb_now_s() < until)
        nanosleep(&pause, NULL);
}

static timing measure(subject *s, double seconds)
{
    bool (*const runs[KINDS])(subject *) = {run_step, run_products, run_onednn};
    static double samples[KINDS][MOST_ROUNDS], ratios[MOST_ROUNDS];
    double once = time_of(run_step, s, 1);
    int repeats = once < 5e-3 ? (int)(5e-3 / once) + 1 : 1;
    timing result = {.rounds = 0};
    for (double until = bpb_now_s() + seconds; result.rounds < MOST_ROUNDS;) {
        int r = result.rounds++;
        for (int kind = 0; kind < KINDS; ++kind) {
            time_of(runs[kind], s, repeats > 1 ? repeats / 4 + 1 : 0); /* brings caches and threads back */
            samples[kind][r] = time_of(runs[kind], s, repeats);
        }
        let_threads_sleep();
        ratios[r] = samples[STEP][r] / fmin(samples[PRODUCTS][r], samples[ONEDNN][r]);
        if (result.rounds >= 5 && bpb_now_s() > until)
            break;
    }
    for (int kind = 0; kind < KINDS; ++kind)
        result.kind[kind] = bpb_summarize(samples[kind], result.rounds);
    result.ratio = bpb_summarize(ratios, result.rounds);
    return result;
}

/* ---------------------------------------------------------------- floor */

static double at_least(double seconds, double bytes, const machine *m)
{
    return fmax(seconds, bytes / (m->copy_gbs * 1e9));
}

/* Each product, then norm and update: the longer of its arithmetic and its traffic. */
static double floor_of(const subject *s, bp_optimizer optimizer, const machine *m)
{
    double floor = 0.0, parameters = 0.0, batch = (double)s->net.batch;
    for (int i = 0; i < s->layers; ++i) {
        double inputs = (double)s->widths[i], outputs = (double)s->widths[i + 1];
        double bytes = 4.0 * (batch * (inputs + outputs) + inputs * outputs);
        double seconds = 2.0 * batch * inputs * outputs / (m->gflops * 1e9);
        floor += (i > 0 ? 3.0 : 2.0) * at_least(seconds, bytes, m);
        parameters += inputs * outputs + outputs;
    }
    return floor + at_least(0.0, parameters * (optimizer == BP_OPTIMIZER_SGD ? 24.0 : 32.0), m);
}

/* Peaks: the best of some products of 1024 x 1024 at B = 4096, and of copies of 64 MiB (read and written bytes). */
static bool measure_machine(const settings *how, machine *m)
{
    static const int64_t widths[] = {1024, 1024};
    enum { BYTES = 64 << 20 };
    bpb_products products = {.backend = NULL};
    char *from = malloc(BYTES), *to = malloc(BYTES);
    bool ok = from && to && bpb_products_create(&products, how->threads, 4096, widths, 1);
    double best = INFINITY, copy = INFINITY;
    if (from && to)
        memset(from, 1, BYTES);
    for (int k = 0; ok && k < 8; ++k) {
        double begin = bpb_now_s();
        ok = bpb_products_run(&products);
        best = fmin(best, bpb_now_s() - begin);
        begin = bpb_now_s();
        ok = ok && products.backend->ops->upload(products.backend, from, BYTES, to) == BP_STATUS_OK;
        copy = fmin(copy, bpb_now_s() - begin);
    }
    m->gflops = products.flops / best * 1e-9;
    m->copy_gbs = 2.0 * BYTES / copy * 1e-9;
    bpb_products_destroy(&products);
    free(from);
    free(to);
    return ok;
}

/* ---------------------------------------------------------------- the table */

static void print_time(double seconds)
{
    if (seconds < 1e-3)
        printf("%9.2f us", seconds * 1e6);
    else
        printf("%9.3f ms", seconds * 1e3);
}

static bool bench(bp_context *context, const settings *how, const machine *m, const network *net)
{
    subject s;
    bool ok = make_subject(context, how, net, &s);
    if (ok) {
        timing t = measure(&s, how->seconds);
        double floor = floor_of(&s, how->optimizer, m);
        char name[96];
        snprintf(name, sizeof name, "%lld-%s", (long long)net->inputs, net->layers);
        printf("%-56s %6lld ", name, (long long)net->batch);
        for (int kind = 0; kind < KINDS; ++kind)
            print_time(t.kind[kind].median);
        printf("  %5.3f +-%4.1f %%  %5.3f  %6.1f  %5.2f  %d\n", t.ratio.median, 100.0 * t.ratio.spread,
               t.kind[STEP].minimum / fmin(t.kind[PRODUCTS].minimum, t.kind[ONEDNN].minimum),
               s.products.flops / t.kind[PRODUCTS].median * 1e-9, t.kind[STEP].median / floor, t.rounds);
        fflush(stdout);
    }
    free_subject(&s);
    return ok;
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_step [--threads N] [--seconds S] [--optimizer sgd|adamw] [WORD]\n"
                    "WORD: only networks whose layers hold it\n");
    return 2;
}

static int parse(int count, char **words, settings *how)
{
    for (int i = 1; i < count; ++i) {
        bool value = i + 1 < count;
        if (strcmp(words[i], "--threads") == 0 && value)
            how->threads = atoi(words[++i]);
        else if (strcmp(words[i], "--seconds") == 0 && value)
            how->seconds = atof(words[++i]);
        else if (strcmp(words[i], "--optimizer") == 0 && value)
            how->optimizer = strcmp(words[++i], "adamw") == 0 ? BP_OPTIMIZER_ADAMW : BP_OPTIMIZER_SGD;
        else if (words[i][0] != '-' && !how->only)
            how->only = words[i];
        else
            return usage();
    }
    return how->threads >= 1 && how->seconds > 0.0 ? 0 : usage();
}

int main(int count, char **words)
{
    settings how = {.threads = 2, .seconds = 3.0, .optimizer = BP_OPTIMIZER_SGD};
    int status = parse(count, words, &how);
    if (status)
        return status;
    if (!bpb_begin(stdout, "bench_step"))
        return 1;
    bp_context *context;
    bp_context_options options = {.backend = "cpu", .threads = how.threads};
    machine m;
    bool ok = bp_context_create(&options, &context) == BP_STATUS_OK && measure_machine(&how, &m);
    if (!ok) {
        fprintf(stderr, "bench_step: %s\n", bp_last_error(context));
        bp_context_destroy(context);
        return 1;
    }
    printf("engine     %s, f32, %s, norm clipping\npeaks      %.1f GFLOP/s, %.1f GB/s\n\n", bp_context_engine(context),
           how.optimizer == BP_OPTIMIZER_SGD ? "SGD with momentum" : "AdamW", m.gflops, m.copy_gbs);
    printf("%-56s %6s %12s%12s%12s  %-14s %-6s %-7s %-6s %s\n", "network", "batch", "step", "its gemms", "in oneDNN",
           "step/gemm", "of min", "GFLOP/s", "/floor", "rounds");
    for (size_t n = 0; n < sizeof networks / sizeof networks[0]; ++n)
        if (!how.only || strstr(networks[n].layers, how.only))
            ok = bench(context, &how, &m, &networks[n]) && ok;
    bp_context_destroy(context);
    return ok ? 0 : 1;
}
