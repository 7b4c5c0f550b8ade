/* observe.c: what an observed step is looked at for, chunk by chunk, while update.c has the chunk in the cache.
 *
 * Chunks and tensors cut the arrays into pieces. From one piece to the next the chunk's number grows, or the tensor's,
 * or both: so their sum is a place of its own for each piece, and no two threads write to the same one. */
#include "kernels/cpu/cpu.h"
#include "kernels/math/bf16.h"

#include <assert.h>
#include <string.h>

static int64_t pieces_of(int64_t count, int64_t tensors)
{
    return bpi_cpu_chunks(count) + tensors;
}

static bpi_tensor_sums *piece_at(const bpi_observe_args *args, int64_t chunk, int64_t tensor)
{
    return (bpi_tensor_sums *)args->scratch + chunk + tensor;
}

/* The pieces, then a chunk of parameters for each thread. */
size_t bpi_cpu_observe_scratch_bytes(bpi_backend *backend, int64_t count, int64_t tensors)
{
    return (size_t)pieces_of(count, tensors) * sizeof(bpi_tensor_sums) +
           (size_t)bpi_cpu_of(backend)->threads * BPI_CPU_CHUNK * sizeof(float);
}

/* ---------------------------------------------------------------- pieces of a chunk */

typedef struct piece {
    int64_t tensor, first, count;
} piece;

/* The first tensor that reaches beyond `first`. */
static int64_t tensor_after(const bpi_observe_args *args, int64_t first)
{
    int64_t low = 0, high = args->tensors;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (args->ranges[middle].offset + args->ranges[middle].count <= first)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The part of [first, end) that lies in a tensor; count <= 0 where none does. */
static piece piece_of(const bpi_observe_args *args, int64_t tensor, int64_t first, int64_t end)
{
    const bpi_observed_range *range = &args->ranges[tensor];
    int64_t begin = range->offset > first ? range->offset : first;
    int64_t stop = range->offset + range->count < end ? range->offset + range->count : end;
    return (piece){tensor, begin, stop - begin};
}

void bpi_cpu_observe_gradient_chunk(const bpi_cpu_loops *loops, const bpi_observe_args *args, const float *gradients,
                                    int64_t chunk, int64_t count)
{
    int64_t first = chunk * BPI_CPU_CHUNK;
    for (int64_t t = tensor_after(args, first); t < args->tensors; ++t) {
        piece here = piece_of(args, t, first, first + count);
        if (here.count <= 0)
            return;
        bpi_tensor_sums *sums = piece_at(args, chunk, t);
        *sums = (bpi_tensor_sums){0};
        loops->gradient_sums(here.count, gradients + here.first, sums);
    }
}

float *bpi_cpu_observe_old_chunk(const bpi_observe_args *args, int64_t total, int thread)
{
    return (float *)(void *)((bpi_tensor_sums *)args->scratch + pieces_of(total, args->tensors)) +
           (int64_t)thread * BPI_CPU_CHUNK;
}

void bpi_cpu_observe_move_chunk(const bpi_cpu_loops *loops, const bpi_observe_args *args, const float *before,
                                const float *parameters, int64_t chunk, int64_t count)
{
    int64_t first = chunk * BPI_CPU_CHUNK;
    for (int64_t t = tensor_after(args, first); t < args->tensors; ++t) {
        piece here = piece_of(args, t, first, first + count);
        if (here.count <= 0)
            return;
        bpi_tensor_sums *sums = piece_at(args, chunk, t);
        sums->weight_square_sum = sums->move_square_sum = 0.0;
        loops->move_sums(here.count, before + (here.first - first), parameters + here.first, sums);
    }
}

/* ---------------------------------------------------------------- tensors */

typedef enum half { GRADIENT, MOVE } half;

static void add_up(const bpi_observe_args *args, int64_t tensor, half which)
{
    const bpi_observed_range *range = &args->ranges[tensor];
    bpi_tensor_sums sums = args->sums[tensor], zero = {0};
    if (which == GRADIENT)
        sums = zero;
    else
        sums.weight_square_sum = sums.move_square_sum = 0.0;
    for (int64_t c = range->offset / BPI_CPU_CHUNK; c * BPI_CPU_CHUNK < range->offset + range->count; ++c) {
        const bpi_tensor_sums *part = piece_at(args, c, tensor);
        if (which == MOVE) {
            sums.weight_square_sum += part->weight_square_sum;
            sums.move_square_sum += part->move_square_sum;
            continue;
        }
        sums.square_sum += part->square_sum;
        sums.sum += part->sum;
        sums.largest = part->largest > sums.largest ? part->largest : sums.largest;
        sums.zeros += part->zeros;
        sums.nonfinite += part->nonfinite;
    }
    args->sums[tensor] = sums;
}

bp_status bpi_cpu_observe_gradients(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients, int64_t count,
                                    bpi_step_state *state, const bpi_observe_args *args)
{
    BPI_TRY(bpi_cpu_prepare(bpi_cpu_of(backend), hyper, gradients, count, state, args));
    for (int64_t t = 0; t < args->tensors; ++t)
        add_up(args, t, GRADIENT);
    return BP_STATUS_OK;
}

bp_status bpi_cpu_observe_update(bpi_backend *backend, const bpi_update_args *update, const bpi_observe_args *args)
{
    BPI_TRY(bpi_cpu_move_parameters(bpi_cpu_of(backend), update, args));
    for (int64_t t = 0; t < args->tensors; ++t)
        add_up(args, t, MOVE);
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- units */

typedef struct units {
    const bpi_cpu_loops *loops;
    bpi_cpu_rows cut;
    bp_activation activation;
    bpi_matrix a;
    bool is_short;   /* a is bf16 */
    int32_t *counts; /* [groups, stride] */
    int64_t stride;
} units;

/* As f32 on the way into the loop, a part of a row at a time. */
static void count_short(const units *work, int64_t first, int64_t rows, int32_t *counts)
{
    enum { PART = 256 };
    float part[PART];
    for (int64_t b = first; b < first + rows; ++b)
        for (int64_t o = 0; o < work->a.cols; o += PART) {
            int64_t cols = work->a.cols - o < PART ? work->a.cols - o : PART;
            const uint16_t *from = (const uint16_t *)work->a.data + b * work->a.ld + o;
            for (int64_t k = 0; k < cols; ++k)
                part[k] = bpi_float_from_bf16(from[k]);
            work->loops->count_off(work->activation, 1, cols, (bpi_cpu_tile){part, PART}, counts + o);
        }
}

static void count_group(void *context, int64_t group, int thread)
{
    (void)thread;
    const units *work = context;
    int64_t first = group * work->cut.group_rows, rest = work->cut.rows - first;
    int32_t *counts = work->counts + group * work->stride;
    int64_t rows = rest < work->cut.group_rows ? rest : work->cut.group_rows;
    memset(counts, 0, (size_t)work->a.cols * sizeof *counts);
    if (work->is_short)
        count_short(work, first, rows, counts);
    else
        work->loops->count_off(work->activation, rows, work->a.cols,
                               (bpi_cpu_tile){bpi_cpu_row(work->a, first), work->a.ld}, counts);
}

bp_status bpi_cpu_observe_units(bpi_backend *backend, bp_activation activation, bpi_matrix a, bool wide,
                                bool accumulate, int64_t *counts)
{
    bpi_cpu *cpu = bpi_cpu_of(backend);
    assert(activation == BP_ACTIVATION_RELU || activation == BP_ACTIVATION_SIGMOID || activation == BP_ACTIVATION_TANH);
    units work = {.loops = cpu->loops,
                  .cut = bpi_cpu_rows_of_loop(a.rows, a.cols),
                  .activation = activation,
                  .a = a,
                  .is_short = !wide && backend->traits.activation_type == BPI_TYPE_BF16,
                  .counts = cpu->workspace,
                  .stride = bpi_cpu_round_up(a.cols, BPI_CPU_LINE_FLOATS)};
    bpi_cpu_run(cpu->pool, bpi_cpu_threads_for_loop(cpu->threads, a.rows * a.cols), work.cut.groups, count_group,
                &work);
    for (int64_t o = 0; o < a.cols; ++o) {
        int64_t count = accumulate ? counts[o] : 0;
        for (int64_t g = 0; g < work.cut.groups; ++g)
            count += work.counts[g * work.stride + o];
        counts[o] = count;
    }
    return BP_STATUS_OK;
}
