/* result.c: see result.h. */
#include "benchmarks/core/result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bpb_figure bpb_figure_of(const char *name, const bpb_rounds *rounds, int kind, int threads)
{
    return (bpb_figure){.name = name,
                        .threads = threads,
                        .rounds = rounds->rounds,
                        .iterations = rounds->rounds * rounds->repeats[kind],
                        .time = bpb_time_of(rounds, kind),
                        .processor_s = bpb_processor_of(rounds, kind).median};
}

json_t *bpb_number(double value)
{
    char text[32];
    if (!isfinite(value))
        return json_null();
    snprintf(text, sizeof text, "%.6g", value);
    return json_real(strtod(text, NULL));
}

json_t *bpb_report(const bpb_machine *m, const char *executable)
{
    json_t *context =
        json_pack("{ss ss ss ss si so ss ss ss ss ss s[o]}", "date", m->date, "host_name", m->host, "executable",
                  executable, "processor", m->processor, "num_cpus", m->processors, "memory_gib",
                  bpb_number((double)m->memory_bytes / 0x1p30), "system", m->system, "driver", m->driver, "compiler",
                  m->compiler, "library_build_type", m->build, "commit", m->commit, "load_avg", bpb_number(m->load));
    return context ? json_pack("{so s[]}", "context", context, "benchmarks") : NULL;
}

bool bpb_report_context(json_t *report, const char *key, json_t *value)
{
    return json_object_set_new(json_object_get(report, "context"), key, value) == 0;
}

/* A rate, where there is work. */
static void put_rate(json_t *entry, const char *key, double work, double seconds)
{
    if (work > 0.0)
        json_object_set_new(entry, key, bpb_number(work / seconds));
}

bool bpb_report_add(json_t *report, const bpb_figure *f, json_t *more)
{
    json_t *list = json_object_get(report, "benchmarks");
    json_t *entry =
        json_pack("{ss si ss ss si si si sI so so ss so so}", "name", f->name, "family_index",
                  (int)json_array_size(list), "run_name", f->name, "run_type", "iteration", "repetitions", 1,
                  "repetition_index", 0, "threads", f->threads, "iterations", (json_int_t)f->iterations, "real_time",
                  bpb_number(f->time.median * 1e6), "cpu_time", bpb_number(f->processor_s * 1e6), "time_unit", "us",
                  "minimum", bpb_number(f->time.minimum * 1e6), "spread", bpb_number(f->time.spread));
    if (!entry) {
        json_decref(more);
        return false;
    }
    json_object_set_new(entry, "rounds", json_integer(f->rounds));
    put_rate(entry, "items_per_second", f->items, f->time.median);
    put_rate(entry, "bytes_per_second", f->bytes, f->time.median);
    put_rate(entry, "flops", f->flops, f->time.median);
    if (f->floor_s > 0.0)
        json_object_set_new(entry, "floor_ratio", bpb_number(f->time.median / f->floor_s));
    bool merged = !more || json_object_update_missing(entry, more) == 0;
    json_decref(more);
    return json_array_append_new(list, entry) == 0 && merged;
}

bool bpb_report_write(const json_t *report, const char *path)
{
    bool done = report && json_dump_file(report, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0;
    if (!done)
        fprintf(stderr, "cannot write %s\n", path);
    return done;
}
