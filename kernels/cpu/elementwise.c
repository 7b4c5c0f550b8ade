/* elementwise.c: operations that go once over a matrix: by groups of rows in parallel, with one row of column sums per
 * group where a bias gradient is wanted, added up in the order of the groups. */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <string.h>

typedef struct pass {
    const bpi_cpu_loops *loops;
    bpi_cpu_rows cut;
    bp_activation activation;
    float slope;
    bpi_matrix left, right, out;
    float *column_sums; /* [groups, sums_stride], or NULL */
    int64_t sums_stride;
} pass;

typedef struct rows {
    int64_t count;
    bpi_cpu_tile left, right, out;
    float *sums;
} rows;

static bpi_cpu_tile tile_at(bpi_matrix matrix, int64_t first)
{
    bpi_cpu_tile tile = {matrix.data ? bpi_cpu_row(matrix, first) : NULL, matrix.ld};
    return tile;
}

/* The rows of a group; its column sums are set to zero. */
static rows rows_of_group(const pass *work, int64_t group)
{
    int64_t first = group * work->cut.group_rows, rest = work->cut.rows - first;
    rows part = {
        .count = rest < work->cut.group_rows ? rest : work->cut.group_rows,
        .left = tile_at(work->left, first),
        .right = tile_at(work->right, first),
        .out = tile_at(work->out, first),
        .sums = work->column_sums ? work->column_sums + group * work->sums_stride : NULL,
    };
    if (part.sums)
        memset(part.sums, 0, (size_t)work->left.cols * sizeof *part.sums);
    return part;
}

static void forward_group(void *context, int64_t group, int thread)
{
    (void)thread;
    const pass *work = context;
    rows part = rows_of_group(work, group);
    work->loops->forward(work->activation, work->slope, part.count, work->left.cols, part.left, NULL, part.out);
}

static void backward_group(void *context, int64_t group, int thread)
{
    (void)thread;
    const pass *work = context;
    rows part = rows_of_group(work, group);
    work->loops->backward(work->activation, work->slope, part.count, work->left.cols, part.left, part.right, part.out,
                          part.sums);
}

static void derivative_group(void *context, int64_t group, int thread)
{
    (void)thread;
    const pass *work = context;
    rows part = rows_of_group(work, group);
    work->loops->derivative(work->activation, work->slope, part.count, work->left.cols, part.left, part.out);
}

static void hadamard_group(void *context, int64_t group, int thread)
{
    (void)thread;
    const pass *work = context;
    rows part = rows_of_group(work, group);
    work->loops->hadamard(part.count, work->left.cols, part.left, part.right, part.out);
}

static void column_sums_group(void *context, int64_t group, int thread)
{
    (void)thread;
    const pass *work = context;
    rows part = rows_of_group(work, group);
    work->loops->column_sums(part.count, work->left.cols, part.left, part.sums);
}

static void run(const bpi_cpu *cpu, pass *work, bpi_cpu_task task)
{
    work->loops = cpu->loops;
    work->cut = bpi_cpu_rows_of_loop(work->left.rows, work->left.cols);
    bpi_cpu_run(cpu->pool, bpi_cpu_threads_for_loop(cpu->threads, work->left.rows * work->left.cols), work->cut.groups,
                task, work);
}

static void run_with_sums(const bpi_cpu *cpu, pass *work, bpi_cpu_task task, bool accumulate, float *d_b)
{
    int64_t cols = work->left.cols;
    work->sums_stride = bpi_cpu_round_up(cols, BPI_CPU_LINE_FLOATS);
    work->column_sums = d_b ? cpu->workspace : NULL;
    run(cpu, work, task);
    if (d_b)
        cpu->loops->add_parts(cols, work->column_sums, work->sums_stride, work->cut.groups, accumulate, d_b);
}

bp_status bpi_cpu_activation_forward(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix z,
                                     bpi_matrix a)
{
    pass work = {.activation = activation, .slope = slope, .left = z, .out = a};
    run(bpi_cpu_of(backend), &work, forward_group);
    return BP_STATUS_OK;
}

bp_status bpi_cpu_activation_backward(bpi_backend *backend, const bpi_activation_args *args)
{
    pass work = {.activation = args->activation,
                 .slope = args->slope,
                 .left = args->saved,
                 .right = args->d_a,
                 .out = args->delta};
    run_with_sums(bpi_cpu_of(backend), &work, backward_group, args->accumulate, args->d_b);
    return BP_STATUS_OK;
}

bp_status bpi_cpu_activation_derivative(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix saved,
                                        bpi_matrix derivative)
{
    pass work = {.activation = activation, .slope = slope, .left = saved, .out = derivative};
    run(bpi_cpu_of(backend), &work, derivative_group);
    return BP_STATUS_OK;
}

bp_status bpi_cpu_hadamard(bpi_backend *backend, bpi_matrix left, bpi_matrix right, bpi_matrix product)
{
    pass work = {.left = left, .right = right, .out = product};
    run(bpi_cpu_of(backend), &work, hadamard_group);
    return BP_STATUS_OK;
}

bp_status bpi_cpu_bias_grad(bpi_backend *backend, bpi_matrix delta, bool accumulate, void *d_b)
{
    assert(d_b);
    pass work = {.left = delta};
    run_with_sums(bpi_cpu_of(backend), &work, column_sums_group, accumulate, d_b);
    return BP_STATUS_OK;
}
