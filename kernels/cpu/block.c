/* block.c: what a block does after its product, by groups of rows in parallel; sums over the batch are added up in the
 * order of the groups. The loops are in loops_block.h, the definitions in kernels/ops.h (bpi_block_spec). */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- groups ---- */

static int64_t group_rows_of(const bpi_cpu_rows *cut, int64_t group)
{
    int64_t rest = cut->rows - group * cut->group_rows;
    return rest < cut->group_rows ? rest : cut->group_rows;
}

static int64_t stride_of(int64_t cols)
{
    return bpi_cpu_round_up(cols, BPI_CPU_LINE_FLOATS);
}

/* Forward: a sum and a sum of squares in f64 for each group and column. Backward: three rows of f32 for each group, and
 * three for the whole. */
static size_t sums_bytes(int64_t rows, int64_t cols)
{
    bpi_cpu_rows cut = bpi_cpu_rows_of_loop(rows, cols);
    size_t forward = (size_t)(2 * cut.groups * stride_of(cols)) * sizeof(double);
    size_t backward = (size_t)(3 * (cut.groups + 1) * stride_of(cols)) * sizeof(float);
    return forward > backward ? forward : backward;
}

/* Behind them, in bf16: the first row of u in f32, and rows for each thread. */
size_t bpi_cpu_block_workspace(const bpi_cpu *cpu, int64_t rows, int64_t cols)
{
    int64_t own = bpi_cpu_is_short(cpu) ? 1 + cpu->threads * BPI_CPU_BLOCK_SCRATCH : 0;
    return sums_bytes(rows, cols) + (size_t)(own * stride_of(cols)) * sizeof(float);
}

static float *first_row(const bpi_cpu *cpu, bpi_matrix u)
{
    return (float *)((char *)cpu->workspace + sums_bytes(u.rows, u.cols));
}

static float *rows_of_thread(const bpi_cpu *cpu, bpi_matrix u, int thread)
{
    return first_row(cpu, u) + (1 + thread * BPI_CPU_BLOCK_SCRATCH) * stride_of(u.cols);
}

/* ---- forward ---- */

typedef struct forward_work {
    const bpi_cpu *cpu;
    const bpi_cpu_loops *loops;
    const bpi_block_args *args;
    bpi_cpu_rows cut;
    double *moments; /* [groups][2][stride] */
    bool narrow;     /* u is bf16 */
    float *shift;    /* [O] what the moments are taken about: the first row of u */
} forward_work;

static void moments_group(void *context, int64_t group, int thread)
{
    const forward_work *work = context;
    bpi_matrix u = work->args->u;
    int64_t stride = stride_of(u.cols), first = group * work->cut.group_rows, rows = group_rows_of(&work->cut, group);
    double *sums = work->moments + 2 * group * stride;
    memset(sums, 0, (size_t)(2 * stride) * sizeof *sums);
    if (!work->narrow) {
        bpi_cpu_tile tile = {bpi_cpu_row(u, first), u.ld};
        work->loops->column_moments(rows, u.cols, tile, work->shift, sums, sums + stride);
        return;
    }
    bpi_cpu_tile row = {rows_of_thread(work->cpu, u, thread), u.cols};
    for (int64_t r = first; r < first + rows; ++r) {
        work->loops->expand(u.cols, (const uint16_t *)u.data + r * u.ld, row.data);
        work->loops->column_moments(1, u.cols, row, work->shift, sums, sums + stride);
    }
}

static void move_running(float *running, double momentum, double value)
{
    *running = (float)((1.0 - momentum) * (double)*running + momentum * value);
}

/* Mean and variance of every column from the groups' sums about the first row. */
static void finish_moments(const forward_work *work)
{
    const bpi_block_args *args = work->args;
    int64_t stride = stride_of(args->u.cols);
    const float *shift = work->shift;
    float *mean = args->mean, *inv_std = args->inv_std, *running_mean = args->running_mean;
    float *running_var = args->running_var;
    double rows = (double)args->u.rows, momentum = args->spec.norm_momentum;
    for (int64_t o = 0; o < args->u.cols; ++o) {
        double sum = 0.0, square = 0.0;
        for (int64_t g = 0; g < work->cut.groups; ++g) {
            sum += work->moments[2 * g * stride + o];
            square += work->moments[(2 * g + 1) * stride + o];
        }
        double centre = (double)shift[o] + sum / rows, squares = square - sum * sum / rows;
        squares = squares < 0.0 ? 0.0 : squares; /* NaN stays */
        mean[o] = (float)centre;
        inv_std[o] = (float)(1.0 / sqrt(squares / rows + args->spec.norm_epsilon));
        if (running_mean)
            move_running(&running_mean[o], momentum, centre);
        if (running_var)
            move_running(&running_var[o], momentum, squares / (rows - 1.0));
    }
}

static void take_running(const bpi_block_args *args)
{
    const float *running_mean = args->running_mean, *running_var = args->running_var;
    float *mean = args->mean, *inv_std = args->inv_std;
    for (int64_t o = 0; o < args->u.cols; ++o) {
        mean[o] = running_mean[o];
        inv_std[o] = (float)(1.0 / sqrt((double)running_var[o] + args->spec.norm_epsilon));
    }
}

static void forward_group(void *context, int64_t group, int thread)
{
    const forward_work *work = context;
    int64_t first = group * work->cut.group_rows, rows = group_rows_of(&work->cut, group);
    if (bpi_cpu_is_short(work->cpu))
        work->loops->short_block_forward(work->args, first, rows, rows_of_thread(work->cpu, work->args->u, thread),
                                         stride_of(work->args->u.cols));
    else
        work->loops->block_forward(work->args, first, rows);
}

bp_status bpi_cpu_block_forward(bpi_backend *backend, const bpi_block_args *args)
{
    bpi_cpu *cpu = bpi_cpu_of(backend);
    forward_work work = {.cpu = cpu,
                         .loops = cpu->loops,
                         .args = args,
                         .cut = bpi_cpu_rows_of_loop(args->u.rows, args->u.cols),
                         .moments = cpu->workspace,
                         .narrow = bpi_cpu_is_short(cpu) && !args->wide,
                         .shift = args->u.data};
    if (work.narrow) {
        work.shift = first_row(cpu, args->u);
        cpu->loops->expand(args->u.cols, args->u.data, work.shift);
    }
    int threads = bpi_cpu_threads_for_loop(cpu->threads, args->u.rows * args->u.cols);
    if (args->spec.norm == BP_NORM_BATCH && args->training) {
        assert(args->u.rows >= 2);
        bpi_cpu_run(cpu->pool, threads, work.cut.groups, moments_group, &work);
        finish_moments(&work);
    } else if (args->spec.norm == BP_NORM_BATCH)
        take_running(args);
    bpi_cpu_run(cpu->pool, threads, work.cut.groups, forward_group, &work);
    return BP_STATUS_OK;
}

/* ---- backward ---- */

typedef struct backward_work {
    const bpi_cpu *cpu;
    const bpi_cpu_loops *loops;
    const bpi_block_grad_args *args;
    bpi_cpu_rows cut;
    float *sums;                         /* [groups + 1][3][stride]: gamma, beta, bias; the last for the whole batch */
    const float *gamma_mean, *beta_mean; /* batch norm's second pass */
} backward_work;

static float *sums_of(const backward_work *work, int64_t group, int kind)
{
    return work->sums + (3 * group + kind) * stride_of(work->args->u.cols);
}

static void backward_group(void *context, int64_t group, int thread)
{
    const backward_work *work = context;
    float *first = sums_of(work, group, 0);
    memset(first, 0, (size_t)(3 * stride_of(work->args->u.cols)) * sizeof *first);
    bpi_cpu_block_sums sums = {first, sums_of(work, group, 1), work->args->d_b ? sums_of(work, group, 2) : NULL};
    int64_t row = group * work->cut.group_rows, rows = group_rows_of(&work->cut, group);
    if (bpi_cpu_is_short(work->cpu))
        work->loops->short_block_backward(work->args, row, rows, sums, rows_of_thread(work->cpu, work->args->u, thread),
                                          stride_of(work->args->u.cols));
    else
        work->loops->block_backward(work->args, row, rows, sums);
}

static void batch_norm_group(void *context, int64_t group, int thread)
{
    const backward_work *work = context;
    int64_t row = group * work->cut.group_rows, rows = group_rows_of(&work->cut, group);
    float *bias_sums = work->args->d_b ? sums_of(work, group, 2) : NULL;
    if (bpi_cpu_is_short(work->cpu))
        work->loops->short_batch_norm_delta(work->args, row, rows, work->gamma_mean, work->beta_mean, bias_sums,
                                            rows_of_thread(work->cpu, work->args->u, thread),
                                            stride_of(work->args->u.cols));
    else
        work->loops->batch_norm_delta(work->args, row, rows, work->gamma_mean, work->beta_mean, bias_sums);
}

/* The groups' sums of one kind, in their order, into out. */
static void add_groups(const backward_work *work, int kind, bool accumulate, float *out)
{
    int64_t cols = work->args->u.cols;
    work->loops->add_parts(cols, sums_of(work, 0, kind), 3 * stride_of(cols), work->cut.groups, accumulate, out);
}

/* The batch's own sums as means, before the gradients of earlier parts come to them. */
static void batch_means(backward_work *work)
{
    float rows = (float)work->args->u.rows;
    float *gamma = sums_of(work, work->cut.groups, 0), *beta = sums_of(work, work->cut.groups, 1);
    add_groups(work, 0, false, gamma);
    add_groups(work, 1, false, beta);
    for (int64_t o = 0; o < work->args->u.cols; ++o) {
        gamma[o] /= rows;
        beta[o] /= rows;
    }
    work->gamma_mean = gamma;
    work->beta_mean = beta;
}

bp_status bpi_cpu_block_backward(bpi_backend *backend, const bpi_block_grad_args *args)
{
    bpi_cpu *cpu = bpi_cpu_of(backend);
    backward_work work = {.cpu = cpu,
                          .loops = cpu->loops,
                          .args = args,
                          .cut = bpi_cpu_rows_of_loop(args->u.rows, args->u.cols),
                          .sums = cpu->workspace};
    int threads = bpi_cpu_threads_for_loop(cpu->threads, args->u.rows * args->u.cols);
    bpi_cpu_run(cpu->pool, threads, work.cut.groups, backward_group, &work);
    if (args->spec.norm != BP_NORM_NONE) {
        add_groups(&work, 0, args->accumulate, args->d_gamma);
        add_groups(&work, 1, args->accumulate, args->d_beta);
    }
    if (args->spec.norm == BP_NORM_BATCH) {
        batch_means(&work);
        bpi_cpu_run(cpu->pool, threads, work.cut.groups, batch_norm_group, &work);
    }
    if (args->d_b)
        add_groups(&work, 2, args->accumulate, args->d_b);
    return BP_STATUS_OK;
}
