/* bench_ops.c: every operation of the contract on its own, beside its floor.
 *
 *   bench_ops [--backend NAME] [--precision NAME] [--emulate-bf16] [--threads N] [--seconds S] [--shape B,I,O]
 *             [--json FILE] [WORD]
 *
 * Each operation is first held against the reference on a small shape, then timed on arrays larger than the cache. Its
 * floor is the longer of its FLOPs at the peak of products and its bytes at the rate of a copy as large, both measured
 * in the same run. WORD: only operations whose name holds it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/core/floor.h"
#include "benchmarks/core/result.h"
#include "benchmarks/ops/ops.h"
#include "host/context.h"
#include "host/pass.h"

typedef struct settings {
    const char *backend, *only, *json;
    bp_precision precision;
    bool emulate_bf16;
    int threads;
    double seconds;
    bpb_shape shape;
} settings;

typedef struct bench {
    settings how;
    bp_context *context, *judge; /* judge: on the reference */
    bp_peaks peaks;
    json_t *report; /* NULL: not wanted */
} bench;

static const bpb_op *const families[] = {bpb_linear_ops, bpb_elementwise_ops, bpb_loss_ops,
                                         bpb_update_ops, bpb_block_ops,       bpb_observe_ops};
enum { FAMILIES = sizeof families / sizeof *families };

/* ---------------------------------------------------------------- is it right */

/* The array as doubles, dense; NULL where it can't be had. */
static double *read_array(bpb_arrays *b, bpb_array array)
{
    size_t bytes = (size_t)(array.at.rows * array.at.ld) * bpi_type_bytes(array.type);
    void *image = malloc(bytes);
    double *values = malloc((size_t)(array.at.rows * array.at.cols) * sizeof *values);
    bool got = image && values && b->ops->download(b->backend, array.at.data, bytes, image) == BP_STATUS_OK;
    for (int64_t row = 0; got && row < array.at.rows; ++row)
        for (int64_t col = 0; col < array.at.cols; ++col)
            values[row * array.at.cols + col] = (double)bpi_to_float(array.type, image, row * array.at.ld + col);
    free(image);
    if (got)
        return values;
    free(values);
    return NULL;
}

/* Runs the operation on small arrays of one context and reads its result. */
static double *small_result(bp_context *context, const bpb_op *op, bpb_shape shape, int64_t *count)
{
    bpb_arrays b;
    double *values = NULL;
    if (bpb_arrays_create(context->backend, shape, &b) == BP_STATUS_OK &&
        (!op->prepare || op->prepare(&b) == BP_STATUS_OK) && op->run(&b) == BP_STATUS_OK) {
        bpb_array result = op->result(&b);
        *count = result.at.rows * result.at.cols;
        values = read_array(&b, result);
    }
    if (!values)
        fprintf(stderr, "bench_ops: %s on %s: %s\n", op->name, bp_context_backend(context), bp_last_error(context));
    bpb_arrays_destroy(&b);
    return values;
}

/* In the Frobenius norm: sums of n terms are off by n u, and inputs of a coarser type by its rounding. The bounds of
 * every element are the tests' business; this finds an operation that does something else. */
static bool verify(const bench *run, const bpb_op *op)
{
    const bpb_shape small = {37, 48, 33};
    int64_t count = 0, other = 0;
    double *ours = small_result(run->context, op, small, &count), *right = small_result(run->judge, op, small, &other);
    double error = 0.0, norm = 0.0;
    for (int64_t i = 0; ours && right && i < count; ++i) {
        error += (ours[i] - right[i]) * (ours[i] - right[i]);
        norm += right[i] * right[i];
    }
    bp_precision precision = bp_context_precision(run->context);
    double input = precision == BP_PRECISION_BF16 ? 0x1p-6 : precision == BP_PRECISION_TF32 ? 0x1p-9 : 0.0;
    bool agrees = ours && right && count == other && norm > 0.0 && sqrt(error / norm) <= 48 * 0x1p-22 + input;
    if (ours && right && !agrees)
        fprintf(stderr, "bench_ops: %s is off by %g of its norm\n", op->name, sqrt(error / norm));
    free(ours);
    free(right);
    return agrees;
}

/* ---------------------------------------------------------------- how fast is it */

typedef struct timed_op {
    const bpb_op *op;
    bpb_arrays *arrays;
} timed_op;

static bool run_op(void *user, int64_t repeats)
{
    timed_op *t = user;
    bpi_backend *backend = t->arrays->backend;
    while (repeats-- > 0)
        if (t->op->run(t->arrays) != BP_STATUS_OK)
            return false;
    return backend->ops->synchronize(backend) == BP_STATUS_OK;
}

static void count_work(const bench *run, const bpb_arrays *b, const bpb_op *op, bpb_figure *figure)
{
    double batch = (double)b->shape.batch, inputs = (double)b->shape.inputs, outputs = (double)b->shape.outputs;
    double activation = (double)bpi_type_bytes(b->backend->traits.activation_type);
    double parameter = (double)bpi_type_bytes(b->backend->traits.parameter_type);
    figure->items = batch;
    figure->flops = 2.0 * op->products * batch * inputs * outputs;
    figure->bytes = activation * (op->inputs * batch * inputs + op->outputs * batch * outputs) +
                    parameter * (op->weights * inputs * outputs + op->parameters * batch * outputs);
    figure->floor_s =
        fmax(figure->flops / run->peaks.product_flops, figure->bytes / bpb_copy_rate(&run->peaks, figure->bytes));
}

static bool tell(bench *run, const bpb_figure *f)
{
    printf("%-54s %11.2f %11.2f %5.1f %% %9.1f %9.1f %7.2f\n", f->name, f->time.median * 1e6, f->time.minimum * 1e6,
           100.0 * f->time.spread, f->bytes / f->time.median * 1e-9, f->flops / f->time.median * 1e-9,
           f->time.median / f->floor_s);
    fflush(stdout);
    return !run->report || bpb_report_add(run->report, f,
                                          json_pack("{ss ss}", "backend", bp_context_backend(run->context), "precision",
                                                    bp_precision_name(bp_context_precision(run->context))));
}

static bool bench_op(bench *run, bpb_arrays *b, const bpb_op *op)
{
    timed_op timed = {op, b};
    const bpb_subject subject = {.run = run_op, .user = &timed};
    bpb_rounds rounds;
    if ((op->prepare && op->prepare(b) != BP_STATUS_OK) || !bpb_alternate(&subject, 1, run->how.seconds, &rounds)) {
        fprintf(stderr, "bench_ops: %s: %s\n", op->name, bp_last_error(run->context));
        return false;
    }
    char name[128];
    snprintf(name, sizeof name, "%s/%lldx%lldx%lld/%s/%s", op->name, (long long)b->shape.batch,
             (long long)b->shape.inputs, (long long)b->shape.outputs, bp_context_backend(run->context),
             bp_precision_name(bp_context_precision(run->context)));
    bpb_figure figure = bpb_figure_of(name, &rounds, 0, bp_context_threads(run->context));
    count_work(run, b, op, &figure);
    return tell(run, &figure);
}

static bool bench_shape(bench *run, bpb_shape shape)
{
    bpb_arrays b;
    bool done = bpb_arrays_create(run->context->backend, shape, &b) == BP_STATUS_OK;
    if (!done)
        fprintf(stderr, "bench_ops: %s\n", bp_last_error(run->context));
    for (int family = 0; b.plan && family < FAMILIES; ++family)
        for (const bpb_op *op = families[family]; op->name; ++op) {
            if ((run->how.only && !strstr(op->name, run->how.only)) || (op->available && !op->available(b.ops)))
                continue;
            done = verify(run, op) && bench_op(run, &b, op) && done;
        }
    bpb_arrays_destroy(&b);
    return done;
}

static bool begin(bench *run)
{
    bpb_machine m;
    bpb_machine_read(&m);
    if (bp_context_measure(run->context, &run->peaks) != BP_STATUS_OK)
        return false;
    printf("machine    %s, %d processors, driver %s, load average %.2f before the run\nbuild      %s, %s, commit %s\n"
           "engine     %s, %s\npeaks      %.1f GFLOP/s, copies %.1f to %.1f GB/s\n\n%-54s %11s %11s %7s %9s %9s %7s\n",
           m.processor, m.processors, m.driver, m.load, m.build, m.compiler, m.commit, bp_context_engine(run->context),
           bp_precision_name(bp_context_precision(run->context)), run->peaks.product_flops * 1e-9,
           run->peaks.copy_bytes[0] * 1e-9, run->peaks.copy_bytes[BP_PEAKS_COPIES - 1] * 1e-9, "operation BxIxO", "us",
           "minimum", "spread", "GB/s", "GFLOP/s", "/floor");
    if (!run->how.json)
        return true;
    run->report = bpb_report(&m, "bench_ops");
    return run->report && bpb_report_context(run->report, "engine", json_string(bp_context_engine(run->context)));
}

static bool bench_all(bench *run)
{
    static const bpb_shape shapes[] = {{8192, 1024, 1024}, {262144, 64, 10}};
    if (!begin(run)) {
        fprintf(stderr, "bench_ops: %s\n", bp_last_error(run->context));
        return false;
    }
    if (run->how.shape.batch > 0)
        return bench_shape(run, run->how.shape);
    bool done = true;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i)
        done = bench_shape(run, shapes[i]) && done;
    return done;
}

/* ---------------------------------------------------------------- the program */

static int usage(void)
{
    fprintf(stderr, "usage: bench_ops [--backend NAME] [--precision NAME] [--emulate-bf16] [--threads N] "
                    "[--seconds S] [--shape B,I,O] [--json FILE] [WORD]\n");
    return 2;
}

static bool read_precision(const char *word, bp_precision *precision)
{
    const char *name;
    for (int i = 0; (name = bp_precision_name((bp_precision)i)); ++i)
        if (strcmp(name, word) == 0) {
            *precision = (bp_precision)i;
            return true;
        }
    return false;
}

static bool read_shape(const char *word, bpb_shape *shape)
{
    long long b, i, o;
    char rest;
    if (sscanf(word, "%lld,%lld,%lld%c", &b, &i, &o, &rest) != 3 || b < 2 || i < 1 || o < 1 || b * i > 1LL << 32 ||
        b * o > 1LL << 32)
        return false;
    *shape = (bpb_shape){b, i, o};
    return true;
}

static int parse(int count, char **words, settings *how)
{
    for (int i = 1; i < count; ++i) {
        const char *word = words[i], *value = i + 1 < count ? words[i + 1] : NULL;
        bool known = value != NULL;
        if (word[0] != '-') {
            how->only = word;
            continue;
        }
        if (strcmp(word, "--emulate-bf16") == 0) {
            how->emulate_bf16 = true;
            continue;
        }
        if (strcmp(word, "--backend") == 0)
            how->backend = value;
        else if (strcmp(word, "--json") == 0)
            how->json = value;
        else if (strcmp(word, "--threads") == 0)
            how->threads = value ? atoi(value) : 0;
        else if (strcmp(word, "--seconds") == 0)
            how->seconds = value ? atof(value) : 0.0;
        else if (strcmp(word, "--precision") == 0)
            known = value && read_precision(value, &how->precision);
        else if (strcmp(word, "--shape") == 0)
            known = value && read_shape(value, &how->shape);
        else
            known = false;
        if (!known)
            return usage();
        ++i;
    }
    return how->threads >= 0 && how->seconds > 0.0 ? 0 : usage();
}

static bool open_contexts(bench *run)
{
    bp_context_options options = {.plugin_dir = BP_BINARY_DIR,
                                  .backend = run->how.backend,
                                  .precision = run->how.precision,
                                  .emulate_bf16 = run->how.emulate_bf16,
                                  .threads = run->how.threads};
    bp_context_options judge = {.backend = "reference", .threads = 1};
    if (bp_context_create(&options, &run->context) == BP_STATUS_OK &&
        bp_context_create(&judge, &run->judge) == BP_STATUS_OK)
        return true;
    fprintf(stderr, "bench_ops: %s\n", bp_last_error(run->judge ? run->judge : run->context));
    return false;
}

int main(int count, char **words)
{
    bench run = {.how = {.backend = "cpu", .seconds = 0.5}};
    int status = parse(count, words, &run.how);
    if (status)
        return status;
    if (bpb_refusal()) {
        fprintf(stderr, "bench_ops: %s: nothing to time; configure with --preset release\n", bpb_refusal());
        return 1;
    }
    bool done = open_contexts(&run) && bench_all(&run);
    if (run.report)
        done = bpb_report_write(run.report, run.how.json) && done;
    json_decref(run.report);
    bp_context_destroy(run.judge);
    bp_context_destroy(run.context);
    return done ? 0 : 1;
}
