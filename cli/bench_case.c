/* bench_case.c: see bench_case.h. */
#include "bench_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/core/machine.h"
#include "message.h"
#include "net.h"
#include "samples.h"

typedef struct bench_case {
    const option_set *options;
    bp_context *context;
    bp_model *model;
    bp_trainer *trainer;
    bp_data *data;
    random_batch samples;
    int64_t batch;
    int64_t *widths;
    int layers;
} bench_case;

/* ---------------------------------------------------------------- what is timed */

/* Waits for the last step, and looks at what it did. */
static int settle(bench_case *c)
{
    bp_step_result result;
    TRY(check_library(c->context, bp_trainer_result(c->trainer, &result)));
    if (!isfinite(result.loss) || result.nonfinite || !(result.grad_norm > 0))
        return fail(STATUS_FAILED, "batch %lld: loss %g, gradient norm %g: not a step worth timing; try a smaller --lr",
                    (long long)c->batch, result.loss, result.grad_norm);
    return STATUS_OK;
}

static int step_host(bench_case *c)
{
    const random_batch *s = &c->samples;
    return check_options(c->context, bp_trainer_step(c->trainer, s->x, s->classes, s->targets, c->batch));
}

static bool run_host(void *user, int64_t repeats)
{
    bench_case *c = user;
    while (repeats-- > 0)
        if (step_host(c) != STATUS_OK)
            return false;
    return settle(c) == STATUS_OK;
}

static bool run_resident(void *user, int64_t repeats)
{
    bench_case *c = user;
    while (repeats-- > 0)
        if (check_library(c->context, bp_trainer_step_data(c->trainer, c->data, NULL, 0, c->batch)) != STATUS_OK)
            return false;
    return settle(c) == STATUS_OK;
}

/* ---------------------------------------------------------------- making it */

/* The widths of the layers: their weights are the matrices among the tensors. */
static int read_widths(bench_case *c, bench_outcome *outcome)
{
    int64_t count = bp_model_tensor_count(c->model);
    c->widths = calloc((size_t)count + 1, sizeof *c->widths);
    if (!c->widths)
        return fail(STATUS_FAILED, "out of memory for %lld widths", (long long)count);
    c->widths[0] = bp_model_inputs(c->model);
    for (int64_t i = 0; i < count; i++) {
        bp_tensor_info info;
        TRY(check_library(c->context, bp_model_tensor_info(c->model, i, &info)));
        if (info.cols > 0)
            c->widths[++c->layers] = info.rows;
    }
    for (int i = 1; i <= c->layers; i++)
        outcome->width = c->widths[i] > outcome->width ? c->widths[i] : outcome->width;
    outcome->depth = c->layers;
    outcome->parameters = bp_model_parameter_count(c->model);
    return STATUS_OK;
}

/* On as many rows as keep the reference's textbook loops short; batch norm wants two. */
static int verify(bench_case *c, const bench_outcome *outcome)
{
    const double most = 3e7; /* products' terms: some tenths of a second */
    if (strcmp(bp_context_backend(c->context), "reference") == 0)
        return STATUS_OK;
    double rows = fmin(fmax(2, most / (double)outcome->parameters), (double)c->batch);
    const random_batch *s = &c->samples;
    bool passed = false;
    bp_verify_options options = {.struct_size = sizeof options};
    TRY(check_library(c->context, bp_verify(c->model, s->x, s->classes, s->targets, (int64_t)rows, &options, &passed)));
    if (!passed)
        return fail(STATUS_FAILED, "backend %s is further from the reference than %s allows: see backprop verify",
                    bp_context_backend(c->context), bp_precision_name(bp_context_precision(c->context)));
    return STATUS_OK;
}

static int make_trainer(bench_case *c, bench_outcome *outcome)
{
    bp_trainer_options options = net_trainer_options(c->options, 1);
    options.batch = (c->batch + options.accumulate - 1) / options.accumulate;
    TRY(check_options(c->context, bp_trainer_plan(c->model, &options, &outcome->plan)));
    int64_t before = bpb_peak_reset();
    TRY(check_options(c->context, bp_trainer_create(c->model, &options, &c->trainer)));
    for (int k = 0; k < 2; k++) /* the first plans its products */
        TRY(step_host(c));
    TRY(settle(c));
    outcome->peak_bytes = before > 0 ? bpb_peak_bytes() - before : 0;
    return STATUS_OK;
}

static int make_data(bench_case *c, int64_t inputs)
{
    const random_batch *s = &c->samples;
    int64_t cols = s->targets ? bp_model_outputs(c->model) : 0;
    return check_library(c->context,
                         bp_data_create(c->context, s->x, c->batch, inputs, s->classes, s->targets, cols, &c->data));
}

static int make(bench_case *c, bench_outcome *outcome)
{
    const settings *values = &c->options->values;
    TRY(net_model(c->options, c->context, values->inputs, &c->model));
    TRY(read_widths(c, outcome));
    TRY(samples_draw(c->model, c->batch, values->inputs, (uint64_t)values->seed, &c->samples));
    TRY(verify(c, outcome));
    TRY(make_trainer(c, outcome));
    return make_data(c, values->inputs);
}

static void destroy(bench_case *c)
{
    bp_trainer_destroy(c->trainer);
    bp_data_destroy(c->data);
    bp_model_destroy(c->model);
    samples_free(&c->samples);
    free(c->widths);
}

/* ---------------------------------------------------------------- timing */

/* The fastest of a few: what disturbs a step is not a part of it. */
static int profile(bench_case *c, double seconds, bp_profile *best)
{
    const random_batch *s = &c->samples;
    double until = bpb_now_s() + seconds;
    for (int k = 0; k < 3 || (k < 100 && bpb_now_s() < until); k++) {
        bp_profile here;
        TRY(check_library(c->context, bp_trainer_profile(c->trainer, s->x, s->classes, s->targets, c->batch, &here)));
        if (k == 0 || here.total_s < best->total_s)
            *best = here;
    }
    return STATUS_OK;
}

static void count_work(const bench_case *c, const bp_peaks *peaks, bench_outcome *outcome)
{
    const settings *values = &c->options->values;
    bpb_work work = {.batch = c->batch,
                     .layers = c->layers,
                     .widths = c->widths,
                     .optimizer = (bp_optimizer)values->optimizer,
                     .momentum = values->momentum > 0,
                     .calls = outcome->profile.calls};
    bpb_work_precision(&work, bp_context_precision(c->context));
    outcome->flops = bpb_step_flops(&work);
    outcome->floor_s = bpb_step_floor(&work, peaks);
}

static int measure(bench_case *c, const bp_peaks *peaks, bench_outcome *outcome)
{
    double seconds = c->options->values.seconds;
    const bpb_subject subjects[BENCH_KINDS] = {
        [BENCH_HOST] = {.run = run_host, .user = c}, [BENCH_RESIDENT] = {.run = run_resident, .user = c}};
    if (!bpb_alternate(subjects, BENCH_KINDS, seconds, &outcome->rounds))
        return STATUS_FAILED; /* the run said why */
    TRY(profile(c, 0.1 * seconds, &outcome->profile));
    count_work(c, peaks, outcome);
    return STATUS_OK;
}

int bench_case_run(const option_set *options, bp_context *context, const bp_peaks *peaks, int64_t batch,
                   bench_outcome *outcome)
{
    bench_case c = {.options = options, .context = context, .batch = batch};
    memset(outcome, 0, sizeof *outcome);
    outcome->batch = batch;
    int status = make(&c, outcome);
    if (status == STATUS_OK)
        status = measure(&c, peaks, outcome);
    destroy(&c);
    return status;
}
