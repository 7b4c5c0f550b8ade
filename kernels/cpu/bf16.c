/* bf16.c: loads, products, loss and update of the emulated precision bf16: see bf16.h. Where an operation of f32 takes
 * whole matrices, they stand in f32 at the end of the workspace, whose front that operation uses itself. */
#include "kernels/cpu/bf16.h"

#include <assert.h>

#include "kernels/cpu/linear.h"

/* ---------------------------------------------------------------- matrices in f32 */

static int64_t padded(int64_t count)
{
    return bpi_cpu_round_up(count, BPI_CPU_LINE_FLOATS);
}

/* The most that an operation wants: x, weights, and two of z, a and delta. */
static size_t workspace_bytes(bpi_backend *backend, const bpi_linear_spec *spec, int64_t parameter_count)
{
    int64_t floats = padded(spec->rows * spec->ld_x) + padded(spec->outputs * spec->ld_w) +
                     2 * padded(spec->rows * bpi_cpu_round_up(spec->ld_a, BPI_CPU_LINE_FLOATS));
    size_t front = bpi_cpu_workspace_bytes(backend, spec, parameter_count);
    return (front + 63) / 64 * 64 + (size_t)floats * sizeof(float);
}

/* `count` floats before those taken already. */
static float *take(const bpi_cpu *cpu, int64_t *taken, int64_t count)
{
    *taken += padded(count);
    assert((size_t)*taken * sizeof(float) <= cpu->workspace_bytes);
    return (float *)((char *)cpu->workspace + cpu->workspace_bytes / 64 * 64) - *taken;
}

typedef struct conversion {
    bpi_cpu_rows cut;
    uint16_t *narrow;
    float *wide;
    int64_t cols, ld_narrow, ld_wide;
    bool shortens;
} conversion;

static void convert_group(void *context, int64_t group, int thread)
{
    (void)thread;
    const conversion *work = context;
    int64_t first = group * work->cut.group_rows, end = first + work->cut.group_rows;
    for (int64_t r = first; r < (end < work->cut.rows ? end : work->cut.rows); ++r)
        if (work->shortens)
            bpi_cpu_shorten(work->cols, work->wide + r * work->ld_wide, work->narrow + r * work->ld_narrow);
        else
            bpi_cpu_expand(work->cols, work->narrow + r * work->ld_narrow, work->wide + r * work->ld_wide);
}

static void convert(const bpi_cpu *cpu, int64_t rows, conversion work)
{
    work.cut = bpi_cpu_rows_of_loop(rows, work.cols);
    bpi_cpu_run(cpu->pool, bpi_cpu_threads_for_loop(cpu->threads, rows * work.cols), work.cut.groups, convert_group,
                &work);
}

/* What is only read is not written: the cast drops a const that the one struct for both ways has no place for. */
static const float *expanded(const bpi_cpu *cpu, int64_t *taken, const void *narrow, int64_t rows, int64_t cols,
                             int64_t ld)
{
    float *wide = take(cpu, taken, rows * ld);
    convert(cpu, rows,
            (conversion){
                .narrow = (uint16_t *)(uintptr_t)narrow, .wide = wide, .cols = cols, .ld_narrow = ld, .ld_wide = ld});
    return wide;
}

static void shorten(const bpi_cpu *cpu, float *wide, int64_t ld_wide, bpi_matrix to)
{
    convert(cpu, to.rows,
            (conversion){.narrow = to.data,
                         .wide = wide,
                         .cols = to.cols,
                         .ld_narrow = to.ld,
                         .ld_wide = ld_wide,
                         .shortens = true});
}

/* ---------------------------------------------------------------- samples */

typedef struct batch {
    const bpi_load_args *args;
    bpi_cpu_rows cut;
} batch;

static void load_inputs(const bpi_load_args *args, int64_t from, uint16_t *x)
{
    const bpi_source *source = args->source;
    for (int64_t i = 0; i < args->x.ld; ++i) {
        int64_t at = from * source->inputs + i;
        float value = 0.0f;
        if (i < source->inputs)
            value = source->x_type == BPI_TYPE_U8 ? (float)((const uint8_t *)source->x)[at] / source->divisor
                                                  : ((const float *)source->x)[at];
        if (i < source->inputs && args->mean)
            value = (value - args->mean[i]) * args->inv_std[i];
        x[i] = bpi_bf16_from_float(value);
    }
}

static void load_group(void *context, int64_t group, int thread)
{
    (void)thread;
    const batch *work = context;
    const bpi_load_args *args = work->args;
    int64_t first = group * work->cut.group_rows, end = first + work->cut.group_rows;
    for (int64_t b = first; b < (end < work->cut.rows ? end : work->cut.rows); ++b)
        load_inputs(args, args->index ? args->index[b] : args->first + b, (uint16_t *)args->x.data + b * args->x.ld);
}

/* Classes and targets are loaded as in f32. */
static bp_status load(bpi_backend *backend, const bpi_load_args *args)
{
    bpi_cpu *cpu = bpi_cpu_of(backend);
    bpi_load_args rest = *args;
    rest.x.data = NULL;
    BPI_TRY(bpi_cpu_load(backend, &rest));
    if (!args->x.data)
        return BP_STATUS_OK;
    batch work = {args, bpi_cpu_rows_of_loop(args->rows, args->source->inputs)};
    bpi_cpu_run(cpu->pool, bpi_cpu_threads_for_loop(cpu->threads, args->rows * args->source->inputs), work.cut.groups,
                load_group, &work);
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- linear layer */

static bp_status convert_weights(bpi_backend *backend, const void *parameters, int64_t count, void *weights)
{
    bpi_matrix row = {weights, bpi_cpu_chunks(count), BPI_CPU_CHUNK, BPI_CPU_CHUNK};
    float *from = (float *)(uintptr_t)parameters; /* read alone, as in expanded() */
    int64_t rest = count % BPI_CPU_CHUNK;
    row.rows -= rest > 0;
    if (row.rows > 0)
        shorten(bpi_cpu_of(backend), from, BPI_CPU_CHUNK, row);
    bpi_cpu_shorten(rest, from + count - rest, (uint16_t *)weights + count - rest);
    return BP_STATUS_OK;
}

static bp_status linear_forward(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                const void *bias, void *z, void *a)
{
    const bpi_cpu *cpu = bpi_cpu_of(backend);
    const bpi_linear_spec *s = &plan->spec;
    int64_t taken = 0;
    const float *samples = expanded(cpu, &taken, x, s->rows, s->inputs, s->ld_x);
    const float *weights = expanded(cpu, &taken, w, s->outputs, s->inputs, s->ld_w);
    if (s->wide)
        return bpi_cpu_linear_forward(backend, plan, samples, weights, bias, z, a);
    float *sums = z ? take(cpu, &taken, s->rows * s->ld_a) : NULL, *values = take(cpu, &taken, s->rows * s->ld_a);
    BPI_TRY(bpi_cpu_linear_forward(backend, plan, samples, weights, bias, sums, values));
    if (z)
        shorten(cpu, sums, s->ld_a, (bpi_matrix){z, s->rows, s->outputs, s->ld_a});
    shorten(cpu, values, s->ld_a, (bpi_matrix){a, s->rows, s->outputs, s->ld_a});
    return BP_STATUS_OK;
}

static bp_status linear_input_grad(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta, const void *w,
                                   void *d_x)
{
    const bpi_cpu *cpu = bpi_cpu_of(backend);
    const bpi_linear_spec *s = &plan->spec;
    int64_t taken = 0;
    const float *errors = expanded(cpu, &taken, delta, s->rows, s->outputs, s->ld_a);
    const float *weights = expanded(cpu, &taken, w, s->outputs, s->inputs, s->ld_w);
    float *out = take(cpu, &taken, s->rows * s->ld_x);
    BPI_TRY(bpi_cpu_linear_input_grad(backend, plan, errors, weights, out));
    shorten(cpu, out, s->ld_x, (bpi_matrix){d_x, s->rows, s->inputs, s->ld_x});
    return BP_STATUS_OK;
}

static bp_status linear_weight_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                    const void *x, bool accumulate, void *d_w)
{
    const bpi_cpu *cpu = bpi_cpu_of(backend);
    const bpi_linear_spec *s = &plan->spec;
    int64_t taken = 0;
    const float *errors = expanded(cpu, &taken, delta, s->rows, s->outputs, s->ld_a);
    const float *samples = expanded(cpu, &taken, x, s->rows, s->inputs, s->ld_x);
    return bpi_cpu_linear_weight_grad(backend, plan, lane, errors, samples, accumulate, d_w);
}

/* ---------------------------------------------------------------- loss and update */

static bp_status loss(bpi_backend *backend, const bpi_loss_args *args)
{
    if (!args->delta.data)
        return bpi_cpu_loss(backend, args);
    const bpi_cpu *cpu = bpi_cpu_of(backend);
    bpi_loss_args plain = *args;
    int64_t taken = 0;
    plain.delta.ld = padded(args->delta.cols);
    plain.delta.data = take(cpu, &taken, args->delta.rows * plain.delta.ld);
    BPI_TRY(bpi_cpu_loss(backend, &plain));
    shorten(cpu, plain.delta.data, plain.delta.ld, args->delta);
    return BP_STATUS_OK;
}

static bp_status update(bpi_backend *backend, const bpi_update_args *args)
{
    BPI_TRY(bpi_cpu_update(backend, args));
    if (!args->weights || args->state->nonfinite)
        return BP_STATUS_OK;
    return convert_weights(backend, args->parameters, args->count, args->weights);
}

static bp_status observe_update(bpi_backend *backend, const bpi_update_args *update_args, const bpi_observe_args *args)
{
    BPI_TRY(bpi_cpu_observe_update(backend, update_args, args));
    if (!update_args->weights || update_args->state->nonfinite)
        return BP_STATUS_OK;
    return convert_weights(backend, update_args->parameters, update_args->count, update_args->weights);
}

void bpi_cpu_bf16_choose(bpi_ops *ops, bpi_traits *traits)
{
    traits->activation_type = traits->weight_type = BPI_TYPE_BF16;
    traits->alignment = 8;
    ops->workspace_bytes = workspace_bytes;
    ops->load = load;
    ops->convert_weights = convert_weights;
    ops->linear_forward = linear_forward;
    ops->linear_input_grad = linear_input_grad;
    ops->linear_weight_grad = linear_weight_grad;
    ops->linear_hidden_delta = NULL;
    ops->activation_forward = bpi_cpu_bf16_activation_forward;
    ops->activation_backward = bpi_cpu_bf16_activation_backward;
    ops->activation_derivative = bpi_cpu_bf16_activation_derivative;
    ops->hadamard = bpi_cpu_bf16_hadamard;
    ops->bias_grad = bpi_cpu_bf16_bias_grad;
    ops->loss = loss;
    ops->update = update;
    ops->observe_update = observe_update;
    ops->block_forward = NULL;
    ops->block_backward = NULL;
}
