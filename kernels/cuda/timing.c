/* timing.c: what a layer's products take on this device, by events, before the first step: for the host, which chooses
 * among their ways. Arrays are the timing's own, of random numbers: cards are faster on zeros.
 *
 * A round is as many runs as last a millisecond, at most 64; the figure is the median of five rounds, after one run
 * that loads code. */
#include "kernels/cuda/cuda.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 5, MOST_RUNS = 64, PATTERN_BYTES = 1 << 20 };

static const double round_seconds = 1e-3;

typedef struct layer {
    bpi_cuda *cuda;
    bpi_linear_spec spec;
    bpi_linear_plan *plan;
    char *memory;
    size_t bytes;
    char *x, *w, *bias, *z, *a, *mask, *delta, *d_x, *d_w, *d_b, *below_mask, *below_d_b;
    cudaEvent_t begin, end;
} layer;

static char *cut(layer *l, size_t bytes)
{
    char *slice = l->memory ? l->memory + l->bytes : NULL;
    l->bytes += (bytes + 255) / 256 * 256;
    return slice;
}

/* With memory NULL it measures. */
static void lay_out(layer *l)
{
    const bpi_linear_spec *s = &l->spec;
    size_t element = bpi_type_bytes(l->cuda->backend.traits.activation_type), wide = s->wide ? sizeof(float) : element;
    l->bytes = 0;
    l->x = cut(l, (size_t)(s->rows * s->ld_x) * element);
    l->w = cut(l, (size_t)(s->outputs * s->ld_w) * element);
    l->bias = cut(l, (size_t)s->outputs * sizeof(float));
    l->z = cut(l, (size_t)(s->rows * s->ld_a) * wide);
    l->a = cut(l, (size_t)(s->rows * s->ld_a) * wide);
    l->mask = cut(l, bpi_mask_bytes(s->rows, s->outputs));
    l->delta = cut(l, (size_t)(s->rows * s->ld_delta) * element);
    l->d_x = cut(l, (size_t)(s->rows * s->ld_d_x) * element);
    l->d_w = cut(l, (size_t)(s->outputs * s->ld_w) * sizeof(float));
    l->d_b = cut(l, (size_t)s->outputs * sizeof(float));
    l->below_mask = cut(l, bpi_mask_bytes(s->rows, s->inputs));
    l->below_d_b = cut(l, (size_t)s->inputs * sizeof(float));
}

/* Numbers in [-1,1), whose upper halves are numbers of bf16: a congruential sequence is random enough for a power
 * supply. */
static bp_status fill(layer *l)
{
    bpi_cuda *cuda = l->cuda;
    const bp_allocator *allocator = &cuda->allocator;
    bool halves = cuda->backend.traits.activation_type == BPI_TYPE_BF16;
    size_t filled = l->bytes < PATTERN_BYTES ? l->bytes : PATTERN_BYTES;
    char *pattern = allocator->allocate(allocator->user, PATTERN_BYTES, 64);
    if (!pattern)
        return bpi_fail(cuda->backend.error, BP_STATUS_OUT_OF_MEMORY, "backend cuda: no memory for %d bytes",
                        PATTERN_BYTES);
    uint32_t state = 12345;
    for (size_t at = 0; at < PATTERN_BYTES; at += halves ? 2 : 4) {
        state = state * 1664525u + 1013904223u;
        float value = (float)(int32_t)state * 0x1p-31f;
        memcpy(pattern + at, (char *)&value + (halves ? 2 : 0), halves ? 2 : 4);
    }
    bp_status status = bpi_cuda_upload(&cuda->backend, pattern, filled, l->memory);
    allocator->release(allocator->user, pattern, PATTERN_BYTES);
    while (status == BP_STATUS_OK && filled < l->bytes) {
        size_t more = filled < l->bytes - filled ? filled : l->bytes - filled;
        status = bpi_cuda_check(
            cuda->backend.error,
            cudaMemcpyAsync(l->memory + filled, l->memory, more, cudaMemcpyDeviceToDevice, cuda->lanes[0]),
            "cudaMemcpyAsync", __FILE__, __LINE__);
        filled += more;
    }
    return status;
}

static void close_layer(layer *l)
{
    (void)bpi_cuda_synchronize(&l->cuda->backend);
    if (l->begin)
        (void)cudaEventDestroy(l->begin);
    if (l->end)
        (void)cudaEventDestroy(l->end);
    bpi_cuda_linear_unplan(&l->cuda->backend, l->plan);
    (void)cudaFree(l->memory);
}

static bp_status open_layer(layer *l)
{
    bpi_backend *backend = &l->cuda->backend;
    void *memory;
    lay_out(l);
    BPI_TRY(bpi_cuda_device_memory(l->cuda, l->bytes, &memory));
    l->memory = memory;
    lay_out(l);
    BPI_TRY(fill(l));
    bpi_workspace workspace = bpi_cuda_workspace_bytes(backend, &l->spec, 1);
    size_t below = l->spec.below_runs ? bpi_cuda_pass_bytes(l->spec.rows, l->spec.inputs) : 0;
    workspace.bytes = workspace.bytes > below ? workspace.bytes : below;
    BPI_TRY(bpi_cuda_reserve(backend, workspace));
    BPI_TRY(bpi_cuda_linear_plan(backend, &l->spec, &l->plan));
    BPI_CUDA_TRY(backend->error, cudaEventCreate(&l->begin));
    BPI_CUDA_TRY(backend->error, cudaEventCreate(&l->end));
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- what is timed */

static bp_status run_forward(const layer *l)
{
    bpi_backend *backend = &l->cuda->backend;
    const void *bias = l->spec.bias ? l->bias : NULL;
    if (l->spec.keeps_mask)
        return bpi_cuda_linear_forward_mask(backend, l->plan, l->x, l->w, bias, l->a, l->mask);
    void *z = bpi_activation_saves_z(l->spec.activation) ? l->z : NULL;
    return bpi_cuda_linear_forward(backend, l->plan, l->x, l->w, bias, z, l->a);
}

static bp_status run_below(const layer *l)
{
    const bpi_linear_spec *s = &l->spec;
    bpi_backend *backend = &l->cuda->backend;
    bpi_matrix d_x = {l->d_x, s->rows, s->inputs, s->ld_d_x};
    bpi_activation_args args = {.activation = s->below,
                                .slope = s->slope,
                                .saved = {l->x, s->rows, s->inputs, s->ld_x},
                                .d_a = d_x,
                                .delta = d_x,
                                .d_b = s->below_bias ? l->below_d_b : NULL,
                                .mask = l->below_mask};
    if (bpi_goes(s->ways, BPI_WAY_DELTA))
        return bpi_cuda_linear_hidden_delta(backend, l->plan, l->delta, l->w, &args);
    BPI_TRY(bpi_cuda_linear_input_grad(backend, l->plan, l->delta, l->w, l->d_x));
    return s->below_runs ? bpi_cuda_activation_backward(backend, &args) : BP_STATUS_OK;
}

static bp_status run_backward(const layer *l)
{
    const bpi_linear_spec *s = &l->spec;
    bpi_backend *backend = &l->cuda->backend;
    int lane = bpi_goes(s->ways, BPI_WAY_ONE_LANE) ? 0 : 1;
    if (lane == 1)
        BPI_TRY(bpi_cuda_lane_fork(backend));
    if (bpi_goes(s->ways, BPI_WAY_BIAS))
        BPI_TRY(bpi_cuda_linear_weight_bias_grad(backend, l->plan, lane, l->delta, l->x, false, l->d_w, l->d_b));
    else
        BPI_TRY(bpi_cuda_linear_weight_grad(backend, l->plan, lane, l->delta, l->x, false, l->d_w));
    if (s->input_grad)
        BPI_TRY(run_below(l));
    return lane == 1 ? bpi_cuda_lane_join(backend) : BP_STATUS_OK;
}

/* ---------------------------------------------------------------- the clock */

static bp_status time_runs(const layer *l, bool backward, int runs, double *seconds)
{
    bpi_error *error = l->cuda->backend.error;
    float ms = 0.0f;
    BPI_CUDA_TRY(error, cudaEventRecord(l->begin, l->cuda->lanes[0]));
    for (int i = 0; i < runs; ++i)
        BPI_TRY(backward ? run_backward(l) : run_forward(l));
    BPI_CUDA_TRY(error, cudaEventRecord(l->end, l->cuda->lanes[0]));
    BPI_CUDA_TRY(error, cudaEventSynchronize(l->end));
    BPI_CUDA_TRY(error, cudaEventElapsedTime(&ms, l->begin, l->end));
    *seconds = 1e-3 * (double)ms / runs;
    return BP_STATUS_OK;
}

static int compare_seconds(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static bp_status time_layer(const layer *l, bool backward, double *seconds)
{
    double rounds[ROUNDS], one;
    BPI_TRY(time_runs(l, backward, 1, &one)); /* loads code */
    BPI_TRY(time_runs(l, backward, 1, &one));
    double wanted = one > 0.0 ? ceil(round_seconds / one) : MOST_RUNS;
    int runs = wanted < 1.0 ? 1 : wanted > MOST_RUNS ? MOST_RUNS : (int)wanted;
    for (int i = 0; i < ROUNDS; ++i)
        BPI_TRY(time_runs(l, backward, runs, &rounds[i]));
    qsort(rounds, ROUNDS, sizeof *rounds, compare_seconds);
    *seconds = rounds[ROUNDS / 2];
    return BP_STATUS_OK;
}

/* NaN in the first sample must be in all of its outputs: of cublasLt's relu it is not documented. */
static bp_status check_nan(const layer *l)
{
    const bpi_linear_spec *s = &l->spec;
    bpi_cuda *cuda = l->cuda;
    const float nan_value = (float)NAN;
    if (!bpi_goes(s->ways, BPI_WAY_FORWARD))
        return BP_STATUS_OK;
    size_t bytes = (size_t)s->outputs * sizeof(float);
    float *row = cuda->allocator.allocate(cuda->allocator.user, bytes, 64), kept;
    if (!row)
        return bpi_fail(cuda->backend.error, BP_STATUS_OUT_OF_MEMORY, "backend cuda: no memory for %zu bytes", bytes);
    bp_status status = bpi_cuda_download(&cuda->backend, l->x, sizeof kept, &kept);
    if (status == BP_STATUS_OK)
        status = bpi_cuda_upload(&cuda->backend, &nan_value, sizeof nan_value, l->x);
    if (status == BP_STATUS_OK)
        status = run_forward(l);
    if (status == BP_STATUS_OK)
        status = bpi_cuda_download(&cuda->backend, l->a, bytes, row);
    for (int64_t o = 0; status == BP_STATUS_OK && o < s->outputs; ++o)
        if (!isnan(row[o]))
            status =
                bpi_fail(cuda->backend.error, BP_STATUS_UNSUPPORTED, "cublasLt's epilogue loses NaN on this device");
    cuda->allocator.release(cuda->allocator.user, row, bytes);
    return status == BP_STATUS_OK ? bpi_cuda_upload(&cuda->backend, &kept, sizeof kept, l->x) : status;
}

bp_status bpi_cuda_linear_time(bpi_backend *backend, const bpi_linear_spec *spec, bool backward, double *seconds)
{
    layer l = {.cuda = bpi_cuda_of(backend), .spec = *spec};
    bp_status status = open_layer(&l);
    if (status == BP_STATUS_OK && !backward)
        status = check_nan(&l);
    if (status == BP_STATUS_OK)
        status = time_layer(&l, backward, seconds);
    close_layer(&l);
    return status;
}
