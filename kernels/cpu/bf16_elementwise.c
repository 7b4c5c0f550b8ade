/* bf16_elementwise.c: operations that go once over a matrix of bf16: see bf16.h. Rows are read into f32 some columns at
 * a time, and the loop of f32 runs over these. Groups and column sums are as in elementwise.c. */
#include "kernels/cpu/bf16.h"

#include <assert.h>
#include <string.h>

enum { COLUMNS = 256 }; /* three rows of them stay in the first cache */

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

static void read(const bpi_matrix *matrix, bool wide, int64_t row, int64_t col, int64_t cols, float *to)
{
    int64_t at = row * matrix->ld + col;
    if (wide)
        memcpy(to, (const float *)matrix->data + at, (size_t)cols * sizeof *to);
    else if (matrix->data)
        bpi_cpu_expand(cols, (const uint16_t *)matrix->data + at, to);
}

static void compute(const pass *work, int64_t cols, float *left, float *right, float *sums)
{
    bpi_cpu_tile l = {left, COLUMNS}, r = {right, COLUMNS};
    switch (work->what) {
    case FORWARD:
        work->loops->forward(work->activation, work->slope, 1, cols, l, NULL, l);
        break;
    case BACKWARD:
        work->loops->backward(work->activation, work->slope, 1, cols, l, r, l, sums);
        break;
    case DERIVATIVE:
        work->loops->derivative(work->activation, work->slope, 1, cols, l, l);
        break;
    case HADAMARD:
        work->loops->hadamard(1, cols, l, r, l);
        break;
    case SUM:
        work->loops->column_sums(1, cols, l, sums);
        break;
    }
}

static void run_group(void *context, int64_t group, int thread)
{
    (void)thread;
    const pass *work = context;
    int64_t cols = work->left.cols, first = group * work->cut.group_rows, end = first + work->cut.group_rows;
    float left[COLUMNS], right[COLUMNS];
    float *sums = work->column_sums ? work->column_sums + group * work->sums_stride : NULL;
    if (sums)
        memset(sums, 0, (size_t)cols * sizeof *sums);
    for (int64_t row = first; row < (end < work->cut.rows ? end : work->cut.rows); ++row)
        for (int64_t col = 0; col < cols; col += COLUMNS) {
            int64_t here = cols - col < COLUMNS ? cols - col : COLUMNS;
            read(&work->left, work->wide_left, row, col, here, left);
            read(&work->right, false, row, col, here, right);
            compute(work, here, left, right, sums ? sums + col : NULL);
            if (work->out.data)
                bpi_cpu_shorten(here, left, (uint16_t *)work->out.data + row * work->out.ld + col);
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
