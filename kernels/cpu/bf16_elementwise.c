/* bf16_elementwise.c: operations that go once over a matrix of bf16: see bf16.h. Groups and column sums are as in
 * elementwise.c. */
#include "kernels/cpu/bf16.h"

#include <assert.h>
#include <string.h>

typedef enum operation { FORWARD, BACKWARD, DERIVATIVE, HADAMARD, SUM } operation;

typedef struct pass {
    operation what;
    const bpi_cpu_loops *loops;
    bpi_cpu_rows cut;
    bp_activation activation;
    float slope;
    bpi_matrix left, right, out; /* data NULL: there is none */
    bool wide_left;
    float *column_sums; /* [groups, sums_stride], or NULL */
    int64_t sums_stride;
} pass;

static bpi_cpu_mixed tile_at(bpi_matrix matrix, bool wide, int64_t first)
{
    size_t at = (size_t)(first * matrix.ld) * (wide ? sizeof(float) : sizeof(uint16_t));
    return (bpi_cpu_mixed){matrix.data ? (char *)matrix.data + at : NULL, matrix.ld, wide};
}

static void run_group(void *context, int64_t group, int thread)
{
    (void)thread;
    const pass *work = context;
    const bpi_cpu_loops *loops = work->loops;
    int64_t cols = work->left.cols, first = group * work->cut.group_rows, rest = work->cut.rows - first;
    int64_t rows = rest < work->cut.group_rows ? rest : work->cut.group_rows;
    bpi_cpu_mixed left = tile_at(work->left, work->wide_left, first), right = tile_at(work->right, false, first);
    bpi_cpu_mixed out = tile_at(work->out, false, first), none = {NULL, 0, false};
    float *sums = work->column_sums ? work->column_sums + group * work->sums_stride : NULL;
    if (sums)
        memset(sums, 0, (size_t)cols * sizeof *sums);
    switch (work->what) {
    case FORWARD:
        loops->short_forward(work->activation, work->slope, rows, cols, left, NULL, none, out);
        break;
    case BACKWARD:
        loops->short_backward(work->activation, work->slope, rows, cols, left, right, out, sums);
        break;
    case DERIVATIVE:
        loops->short_derivative(work->activation, work->slope, rows, cols, left, out);
        break;
    case HADAMARD:
        loops->short_hadamard(rows, cols, left, right, out);
        break;
    case SUM:
        loops->short_column_sums(rows, cols, left, sums);
        break;
    }
}

static void run(const bpi_cpu *cpu, pass *work, bool accumulate, float *d_b)
{
    int64_t rows = work->left.rows, cols = work->left.cols;
    work->loops = cpu->loops;
    work->cut = bpi_cpu_rows_of_loop(rows, cols);
    work->sums_stride = bpi_cpu_round_up(cols, BPI_CPU_LINE_FLOATS);
    work->column_sums = d_b ? cpu->workspace : NULL;
    bpi_cpu_run(cpu->pool, bpi_cpu_threads_for_loop(cpu->threads, rows * cols), work->cut.groups, run_group, work);
    if (d_b)
        cpu->loops->add_parts(cols, work->column_sums, work->sums_stride, work->cut.groups, accumulate, d_b);
}

bp_status bpi_cpu_bf16_activation_forward(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix z,
                                          bpi_matrix a)
{
    run(bpi_cpu_of(backend), &(pass){.what = FORWARD, .activation = activation, .slope = slope, .left = z, .out = a},
        false, NULL);
    return BP_STATUS_OK;
}

bp_status bpi_cpu_bf16_activation_backward(bpi_backend *backend, const bpi_activation_args *args)
{
    pass work = {.what = BACKWARD,
                 .activation = args->activation,
                 .slope = args->slope,
                 .left = args->saved,
                 .right = args->d_a,
                 .out = args->delta,
                 .wide_left = args->wide};
    run(bpi_cpu_of(backend), &work, args->accumulate, args->d_b);
    return BP_STATUS_OK;
}

bp_status bpi_cpu_bf16_activation_derivative(bpi_backend *backend, bp_activation activation, float slope,
                                             bpi_matrix saved, bpi_matrix derivative)
{
    run(bpi_cpu_of(backend),
        &(pass){.what = DERIVATIVE, .activation = activation, .slope = slope, .left = saved, .out = derivative}, false,
        NULL);
    return BP_STATUS_OK;
}

bp_status bpi_cpu_bf16_hadamard(bpi_backend *backend, bpi_matrix left, bpi_matrix right, bpi_matrix product)
{
    run(bpi_cpu_of(backend), &(pass){.what = HADAMARD, .left = left, .right = right, .out = product}, false, NULL);
    return BP_STATUS_OK;
}

bp_status bpi_cpu_bf16_bias_grad(bpi_backend *backend, bpi_matrix delta, bool accumulate, void *d_b)
{
    assert(d_b);
    run(bpi_cpu_of(backend), &(pass){.what = SUM, .left = delta}, accumulate, d_b);
    return BP_STATUS_OK;
}
