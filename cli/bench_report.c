/* bench_report.c: see bench_report.h. */
#include "bench_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "message.h"
#include "words.h"

static int out_of_memory(void)
{
    return fail(STATUS_FAILED, "out of memory for the report");
}

int bench_report_begin(bench_report *report)
{
    const settings *values = &report->options->values;
    bpb_machine m;
    bpb_machine_read(&m);
    if (report->table)
        printf("machine    %s, %d processors, %.1f GiB, NVIDIA driver: %s, load average %.2f before the run\n"
               "build      %s, %s, commit %s\n"
               "network    %lld inputs, %s, %s, %s%s\n",
               m.processor, m.processors, (double)m.memory_bytes / 0x1p30, m.driver, m.load, m.build, m.compiler,
               m.commit, (long long)values->inputs, values->layers, bp_loss_name((bp_loss)values->loss),
               bp_optimizer_name((bp_optimizer)values->optimizer), values->clip_norm > 0 ? ", clipped by norm" : "");
    if (!report->json)
        return STATUS_OK;
    json_decref(report->json);
    report->json = bpb_report(&m, "backprop bench");
    return report->json && bpb_report_context(report->json, "backends", json_array()) &&
                   bpb_report_context(report->json, "left_out", json_array())
               ? STATUS_OK
               : out_of_memory();
}

static int append_context(bench_report *report, const char *list, json_t *value)
{
    json_t *array = json_object_get(json_object_get(report->json, "context"), list);
    return json_array_append_new(array, value) == 0 ? STATUS_OK : out_of_memory();
}

/* By the bytes that a copy touches. */
static json_t *copy_rates(const bp_peaks *peaks)
{
    json_t *rates = json_object();
    for (int i = 0; i < BP_PEAKS_COPIES; i++) {
        char bytes[24];
        snprintf(bytes, sizeof bytes, "%zu", BP_PEAKS_COPY_BYTES(i));
        json_object_set_new(rates, bytes, bpb_number(peaks->copy_bytes[i]));
    }
    return rates;
}

int bench_report_context(bench_report *report, const bp_context *context, const bp_peaks *peaks)
{
    const char *precision = bp_precision_name(bp_context_precision(context));
    if (report->table)
        printf("\nbackend    %s (%s), %s\npeaks      products %.1f GFLOP/s, copies %.1f to %.1f GB/s, uploads %.1f "
               "GB/s, a call "
               "%.2f us\n"
               "%9s %11s %11s %7s %10s %10s %9s %7s  %s\n",
               bp_context_backend(context), bp_context_engine(context), precision, peaks->product_flops * 1e-9,
               peaks->copy_bytes[0] * 1e-9, peaks->copy_bytes[BP_PEAKS_COPIES - 1] * 1e-9, peaks->upload_bytes * 1e-9,
               peaks->call_s * 1e6, "batch", "step us", "minimum", "spread", "samples/s", "resident/s", "GFLOP/s",
               "/floor", "data prod elem block loss norm upd call %   memory/plan");
    if (!report->json)
        return STATUS_OK;
    return append_context(report, "backends",
                          json_pack("{ss ss ss so so so so}", "backend", bp_context_backend(context), "engine",
                                    bp_context_engine(context), "precision", precision, "product_flops",
                                    bpb_number(peaks->product_flops), "copy_bytes_per_second", copy_rates(peaks),
                                    "upload_bytes_per_second", bpb_number(peaks->upload_bytes), "call_us",
                                    bpb_number(peaks->call_s * 1e6)));
}

int bench_report_left_out(bench_report *report, const char *backend, const char *precision, const char *reason)
{
    if (report->table)
        printf("\nleft out   %s, %s: %s\n", backend, precision, reason);
    if (!report->json)
        return STATUS_OK;
    return append_context(report, "left_out",
                          json_pack("{ss ss ss}", "backend", backend, "precision", precision, "reason", reason));
}

/* ---------------------------------------------------------------- one case */

/* Host memory says something of backends that compute in it. */
static bool memory_known(const bp_context *context, const bench_outcome *outcome)
{
    return outcome->peak_bytes > 0 && strcmp(bp_context_backend(context), "cuda") != 0;
}

static void print_outcome(const bp_context *context, const bench_outcome *o)
{
    bpb_statistics host = bpb_time_of(&o->rounds, BENCH_HOST), resident = bpb_time_of(&o->rounds, BENCH_RESIDENT);
    const bp_profile *p = &o->profile;
    double percent = 100.0 / p->total_s;
    words rate, resident_rate;
    printf("%9lld %11.2f %11.2f %5.1f %% %10s %10s %9.2f %7.2f  %4.0f %4.0f %4.0f %5.0f %4.0f %4.0f %3.0f %4.0f   ",
           (long long)o->batch, host.median * 1e6, host.minimum * 1e6, host.spread * 100.0,
           words_rate(&rate, (double)o->batch / host.median),
           words_rate(&resident_rate, (double)o->batch / resident.median), o->flops / host.median * 1e-9,
           host.median / o->floor_s, p->data_s * percent, p->product_s * percent, p->elementwise_s * percent,
           p->block_s * percent, p->loss_s * percent, p->reduction_s * percent, p->update_s * percent,
           p->call_s * percent);
    if (memory_known(context, o))
        printf("%.1f/%.1f MiB", (double)o->peak_bytes / 0x1p20, (double)o->plan.total_bytes / 0x1p20);
    else
        printf("-/%.1f MiB", (double)o->plan.total_bytes / 0x1p20);
    if (o->plan.memory_limited) /* which costs time: such a figure is not one of the whole batch */
        printf(", %lld rows at a time", (long long)o->plan.part_rows);
    putchar('\n');
    fflush(stdout);
}

static json_t *where_the_time_goes(const bp_profile *p)
{
    return json_pack("{so so so so so so so so so}", "data", bpb_number(p->data_s * 1e6), "products",
                     bpb_number(p->product_s * 1e6), "elementwise", bpb_number(p->elementwise_s * 1e6), "blocks",
                     bpb_number(p->block_s * 1e6), "loss", bpb_number(p->loss_s * 1e6), "reductions",
                     bpb_number(p->reduction_s * 1e6), "update", bpb_number(p->update_s * 1e6), "calls",
                     bpb_number(p->call_s * 1e6), "total", bpb_number(p->total_s * 1e6));
}

static json_t *describe(const settings *values, const bp_context *context, const bench_outcome *o, bool copies)
{
    json_t *more =
        json_pack("{ss ss sI ss ss ss sI sI si sI sb so sI sI so}", "backend", bp_context_backend(context), "precision",
                  bp_precision_name(bp_context_precision(context)), "inputs", (json_int_t)values->inputs, "layers",
                  values->layers, "loss", bp_loss_name((bp_loss)values->loss), "optimizer",
                  bp_optimizer_name((bp_optimizer)values->optimizer), "batch", (json_int_t)o->batch, "width",
                  (json_int_t)o->width, "depth", o->depth, "parameters", (json_int_t)o->parameters, "copies_counted",
                  copies, "profile_us", where_the_time_goes(&o->profile), "plan_bytes", (json_int_t)o->plan.total_bytes,
                  "part_rows", (json_int_t)o->plan.part_rows, "floor_us", bpb_number(o->floor_s * 1e6));
    if (more && memory_known(context, o))
        json_object_set_new(more, "peak_bytes", json_integer(o->peak_bytes));
    return more;
}

static int append_figure(bench_report *report, const bp_context *context, const bench_outcome *o, int kind)
{
    const settings *values = &report->options->values;
    char name[1024];
    snprintf(name, sizeof name, "%s/%lld-%.600s/%s/%s/%s/batch:%lld/threads:%d",
             kind == BENCH_HOST ? "step" : "step_resident", (long long)values->inputs, values->layers,
             bp_optimizer_name((bp_optimizer)values->optimizer), bp_context_backend(context),
             bp_precision_name(bp_context_precision(context)), (long long)o->batch, bp_context_threads(context));
    bpb_figure figure = bpb_figure_of(name, &o->rounds, kind, bp_context_threads(context));
    figure.items = (double)o->batch;
    figure.flops = o->flops;
    figure.floor_s = o->floor_s;
    return bpb_report_add(report->json, &figure, describe(values, context, o, kind == BENCH_HOST)) ? STATUS_OK
                                                                                                   : out_of_memory();
}

int bench_report_outcome(bench_report *report, const bp_context *context, const bench_outcome *outcome)
{
    if (report->table)
        print_outcome(context, outcome);
    for (int kind = 0; report->json && kind < BENCH_KINDS; kind++)
        TRY(append_figure(report, context, outcome, kind));
    return STATUS_OK;
}
