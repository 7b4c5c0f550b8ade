/* peaks.c: the rates that a step is measured against, on the context's own backend, through its table of operations.
 * The contract is include/backprop/profile.h. */
#include <math.h>

#include "backprop/profile.h"
#include "host/context.h"
#include "host/model.h"
#include "host/trainer.h"

/* Products of n x n x n are tried from SMALLEST on, doubling, until one takes ENOUGH_S: large enough for the peak on a
 * card, short enough on a processor, and on the reference. */
enum { SMALLEST = 64, LARGEST = 8192, TRIES = 5, CALLS = 64 };
static const double ENOUGH_S = 0.02;

typedef struct arrays {
    bpi_backend *backend;
    size_t bytes[3];
    void *memory[3];
} arrays;

static bp_status take(arrays *a, int index, int64_t elements, bpi_type type)
{
    a->bytes[index] = (size_t)elements * bpi_type_bytes(type);
    return a->backend->ops->allocate(a->backend, a->bytes[index], &a->memory[index]);
}

static void give_back(arrays *a)
{
    for (int i = 0; i < 3; i++)
        a->backend->ops->release(a->backend, a->memory[i], a->bytes[i]);
}

/* Numbers like those of a network, [rows, cols] with zeros up to ld: a product of zeros costs less energy, and on some
 * cards less time. */
static bp_status draw(bp_context *context, bpi_matrix shape, size_t *bytes, float **values)
{
    *bytes = (size_t)(shape.rows * shape.ld) * sizeof(float);
    BPI_TRY(bpi_alloc(context, *bytes, "bp_context_measure", (void **)values));
    uint32_t state = 1;
    for (int64_t row = 0; row < shape.rows; row++)
        for (int64_t col = 0; col < shape.cols; col++) {
            state = state * 1664525u + 1013904223u;
            (*values)[row * shape.ld + col] = (float)(state >> 8) * 0x1p-24f - 0.5f;
        }
    return BP_STATUS_OK;
}

/* `load` is the way into a backend's type of activations, which is that of weights too. */
static bp_status fill(bp_context *context, bpi_matrix to, bpi_type type)
{
    bpi_backend *backend = context->backend;
    bool loads = type == backend->traits.activation_type;
    bpi_matrix shape = to;
    shape.ld = loads ? to.cols : to.ld;
    size_t bytes;
    float *values;
    BPI_TRY(draw(context, shape, &bytes, &values));
    bpi_source source = {.x = values, .x_type = BPI_TYPE_F32, .divisor = 1.0f, .rows = to.rows, .inputs = to.cols};
    bpi_load_args args = {.source = &source, .rows = to.rows, .x = to};
    bp_status status =
        loads ? backend->ops->load(backend, &args) : backend->ops->upload(backend, values, bytes, to.data);
    if (status == BP_STATUS_OK)
        status = backend->ops->synchronize(backend);
    bpi_free(context, values, bytes);
    return status;
}

/* ---------------------------------------------------------------- products */

/* Seconds of the fastest of some products n x n x n. */
static bp_status time_product(bpi_backend *backend, const bpi_linear_plan *plan, const arrays *a, double *best)
{
    const bpi_ops *ops = backend->ops;
    *best = INFINITY;
    for (int k = 0; k <= TRIES; k++) { /* the first warms up */
        double begin = bpi_now_seconds();
        BPI_TRY(ops->linear_forward(backend, plan, a->memory[0], a->memory[1], NULL, NULL, a->memory[2]));
        BPI_TRY(ops->synchronize(backend));
        double seconds = bpi_now_seconds() - begin;
        if (k > 0 && seconds < *best)
            *best = seconds;
    }
    return BP_STATUS_OK;
}

static bp_status try_product(bp_context *context, int64_t n, double *seconds)
{
    bpi_backend *backend = context->backend;
    int64_t ld = bpi_leading_dimension(backend, n);
    bpi_linear_spec spec = {
        .rows = n, .inputs = n, .outputs = n, .ld_x = ld, .ld_w = ld, .ld_a = ld, .ld_d_x = ld, .ld_delta = ld};
    arrays a = {.backend = backend};
    bpi_linear_plan *plan = NULL;
    bp_status status;
    BPI_TRY_GOTO(take(&a, 0, n * ld, backend->traits.activation_type), status, done);
    BPI_TRY_GOTO(take(&a, 1, n * ld, backend->traits.weight_type), status, done);
    BPI_TRY_GOTO(take(&a, 2, n * ld, backend->traits.activation_type), status, done);
    BPI_TRY_GOTO(fill(context, (bpi_matrix){a.memory[0], n, n, ld}, backend->traits.activation_type), status, done);
    BPI_TRY_GOTO(fill(context, (bpi_matrix){a.memory[1], n, n, ld}, backend->traits.weight_type), status, done);
    BPI_TRY_GOTO(backend->ops->reserve(backend, backend->ops->workspace_bytes(backend, &spec, n * ld)), status, done);
    BPI_TRY_GOTO(backend->ops->linear_plan(backend, &spec, &plan), status, done);
    status = time_product(backend, plan, &a, seconds);
done:
    backend->ops->linear_unplan(backend, plan);
    give_back(&a);
    return status;
}

static bp_status measure_products(bp_context *context, bp_peaks *peaks)
{
    double seconds = 0.0;
    for (int64_t n = SMALLEST; n <= LARGEST && seconds < ENOUGH_S; n *= 2) {
        BPI_TRY(try_product(context, n, &seconds));
        double cube = (double)n * (double)n * (double)n;
        peaks->product_flops = fmax(peaks->product_flops, 2.0 * cube / seconds);
    }
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- copies */

enum { COPY_COLS = 1 << 10 };
static const double COPY_S = 5e-3; /* of copies between two looks at the clock, unless one takes longer */
static const double LONG_S = 0.5;

typedef struct copy_run {
    bpi_backend *backend;
    bpi_matrix from, to;
    const void *host;
    size_t bytes; /* of one of the two */
    bool uploads;
} copy_run;

static bp_status run_copies(const copy_run *run, int64_t repeats, double *seconds)
{
    const bpi_ops *ops = run->backend->ops;
    double begin = bpi_now_seconds();
    for (int64_t i = 0; i < repeats; i++)
        BPI_TRY(run->uploads ? ops->upload(run->backend, run->host, run->bytes, run->to.data)
                             : ops->activation_forward(run->backend, BP_ACTIVATION_IDENTITY, 0.0f, run->from, run->to));
    BPI_TRY(ops->synchronize(run->backend));
    *seconds = (bpi_now_seconds() - begin) / (double)repeats;
    return BP_STATUS_OK;
}

/* Seconds of the fastest; of the first alone where that is long. */
static bp_status time_copy(const copy_run *run, double *best)
{
    BPI_TRY(run_copies(run, 1, best));
    if (*best > LONG_S)
        return BP_STATUS_OK;
    BPI_TRY(run_copies(run, 1, best));
    int64_t repeats = *best < COPY_S ? (int64_t)(COPY_S / (*best + 1e-9)) + 1 : 1;
    for (int k = 0; k < TRIES; k++) {
        double seconds;
        BPI_TRY(run_copies(run, repeats, &seconds));
        *best = fmin(*best, seconds);
    }
    return BP_STATUS_OK;
}

/* The identity of an array; and an upload, which on a processor is a copy too. */
static bp_status time_size(const arrays *a, const void *host, int size, bp_peaks *peaks, double *seconds)
{
    size_t row_bytes = COPY_COLS * bpi_type_bytes(a->backend->traits.activation_type);
    bpi_matrix from = {a->memory[0], (int64_t)(a->bytes[0] / row_bytes), COPY_COLS, COPY_COLS}, to = from;
    to.data = a->memory[1];
    copy_run run = {.backend = a->backend, .from = from, .to = to, .host = host, .bytes = a->bytes[0]};
    double copied, uploaded;
    BPI_TRY(time_copy(&run, &copied));
    run.uploads = true;
    BPI_TRY(time_copy(&run, &uploaded));
    *seconds = fmin(copied, uploaded);
    peaks->copy_bytes[size] = 2.0 * (double)a->bytes[0] / *seconds;
    peaks->upload_bytes = (double)a->bytes[0] / uploaded; /* of the largest, in the end */
    return BP_STATUS_OK;
}

static bp_status measure_size(bp_context *context, int size, bp_peaks *peaks, double *seconds)
{
    bpi_backend *backend = context->backend;
    bpi_type type = backend->traits.activation_type;
    int64_t elements = (int64_t)(BP_PEAKS_COPY_BYTES(size) / 2 / bpi_type_bytes(type));
    arrays a = {.backend = backend};
    void *host = NULL;
    bp_status status;
    BPI_TRY_GOTO(take(&a, 0, elements, type), status, done);
    BPI_TRY_GOTO(take(&a, 1, elements, type), status, done);
    bpi_matrix from = {a.memory[0], elements / COPY_COLS, COPY_COLS, COPY_COLS};
    BPI_TRY_GOTO(fill(context, from, type), status, done);
    BPI_TRY_GOTO(bpi_alloc(context, a.bytes[0], "bp_context_measure", &host), status, done);
    status = time_size(&a, host, size, peaks, seconds);
done:
    bpi_free(context, host, a.bytes[0]);
    give_back(&a);
    return status;
}

/* Where a copy takes long, as on a device that is emulated, larger ones are taken to be no faster. */
static bp_status measure_copies(bp_context *context, bp_peaks *peaks)
{
    double seconds = 0.0;
    for (int size = 0; size < BP_PEAKS_COPIES; size++) {
        if (seconds < LONG_S)
            BPI_TRY(measure_size(context, size, peaks, &seconds));
        else
            peaks->copy_bytes[size] = peaks->copy_bytes[size - 1];
    }
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- calls */

static bp_status call_many(bpi_backend *backend, bpi_matrix one)
{
    for (int i = 0; i < CALLS; i++)
        BPI_TRY(backend->ops->hadamard(backend, one, one, one));
    return BP_STATUS_OK;
}

static bp_status time_calls(bpi_backend *backend, bpi_matrix one, void *graph, bp_peaks *peaks)
{
    peaks->call_s = INFINITY;
    for (int k = 0; k < TRIES; k++) {
        double begin = bpi_now_seconds();
        BPI_TRY(graph ? backend->ops->graph_launch(backend, graph) : call_many(backend, one));
        BPI_TRY(backend->ops->synchronize(backend));
        peaks->call_s = fmin(peaks->call_s, (bpi_now_seconds() - begin) / CALLS);
    }
    return BP_STATUS_OK;
}

static bp_status record_calls(bpi_backend *backend, bpi_matrix one, void **graph)
{
    BPI_TRY(call_many(backend, one)); /* a first call may load code, which no recording allows */
    BPI_TRY(backend->ops->synchronize(backend));
    BPI_TRY(backend->ops->capture_begin(backend));
    bp_status called = call_many(backend, one);
    bp_status ended = backend->ops->capture_end(backend, graph);
    return called != BP_STATUS_OK ? called : ended;
}

static bp_status measure_calls(bp_context *context, bp_peaks *peaks)
{
    bpi_backend *backend = context->backend;
    arrays a = {.backend = backend};
    void *graph = NULL;
    BPI_TRY(take(&a, 0, backend->traits.alignment, backend->traits.activation_type));
    bpi_matrix one = {a.memory[0], 1, 1, backend->traits.alignment};
    bp_status status = backend->ops->capture_begin ? record_calls(backend, one, &graph) : BP_STATUS_OK;
    if (status == BP_STATUS_OK)
        status = time_calls(backend, one, graph, peaks);
    if (graph)
        backend->ops->graph_release(backend, graph);
    give_back(&a);
    return status;
}

bp_status bp_context_measure(bp_context *context, bp_peaks *peaks)
{
    if (!context || !context->backend || !peaks)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_context_measure: %s is NULL",
                        !context ? "context"
                        : peaks  ? "the context's backend"
                                 : "peaks");
    *peaks = (bp_peaks){0};
    BPI_TRY(measure_products(context, peaks));
    BPI_TRY(measure_copies(context, peaks));
    return measure_calls(context, peaks);
}
