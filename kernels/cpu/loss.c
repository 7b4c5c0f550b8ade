/* loss.c: value and error of the loss in one pass, by groups of rows; their sums are added up in the order of the
 * groups, in f64 for the value. */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <string.h>

bp_status bpi_cpu_step_begin(bpi_backend *backend, bpi_step_state *state, const bpi_running *running)
{
    bpi_cpu_of(backend)->made_count = 0;
    state->loss_sum = 0.0;
    state->correct = 0;
    state->passes = running ? running->passes : 0;
    if (running)
        memcpy(running->moved, running->kept, (size_t)running->count * sizeof(float));
    return BP_STATUS_OK;
}

typedef struct loss {
    const bpi_cpu_loops *loops;
    const bpi_loss_args *args;
    bool narrow;
    bpi_cpu_rows cut;
    bpi_cpu_loss_sums *totals; /* [groups] */
    float *column_sums;        /* [groups, sums_stride], or NULL */
    int64_t sums_stride;
    float *scratch; /* [threads, scratch_stride] */
    int64_t scratch_stride;
} loss;

static void loss_group(void *context, int64_t group, int thread)
{
    const loss *work = context;
    int64_t first = group * work->cut.group_rows, rest = work->cut.rows - first;
    float *sums = work->column_sums ? work->column_sums + group * work->sums_stride : NULL;
    if (sums)
        memset(sums, 0, (size_t)work->args->z.cols * sizeof *sums);
    bpi_cpu_loss_sums totals = {0.0, 0};
    work->loops->loss(work->args, work->narrow, first, rest < work->cut.group_rows ? rest : work->cut.group_rows,
                      work->scratch + thread * work->scratch_stride, sums, &totals);
    work->totals[group] = totals;
}

bp_status bpi_cpu_loss(bpi_backend *backend, const bpi_loss_args *args)
{
    assert(args->state && (args->classes || args->targets.data));
    assert(!args->classes || args->loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY);
    bpi_cpu *cpu = bpi_cpu_of(backend);
    int64_t rows = args->z.rows, cols = args->z.cols;
    loss work = {
        .loops = cpu->loops, .args = args, .narrow = bpi_cpu_is_short(cpu), .cut = bpi_cpu_rows_of_loop(rows, cols)};
    work.totals = cpu->workspace;
    work.sums_stride = bpi_cpu_round_up(cols, BPI_CPU_LINE_FLOATS);
    work.scratch_stride = bpi_cpu_round_up(bpi_cpu_loss_scratch(cols), BPI_CPU_LINE_FLOATS);
    work.scratch = (float *)(work.totals + bpi_cpu_round_up(work.cut.groups, 4));
    work.column_sums = args->d_b ? work.scratch + cpu->threads * work.scratch_stride : NULL;
    /* a row costs an exponential and more for each element: worth a thread earlier than a plain loop */
    bpi_cpu_run(cpu->pool, bpi_cpu_threads_for_loop(cpu->threads, 8 * rows * cols), work.cut.groups, loss_group, &work);

    double value = 0.0;
    int64_t correct = 0;
    for (int64_t g = 0; g < work.cut.groups; ++g) {
        value += work.totals[g].value;
        correct += work.totals[g].correct;
    }
    args->state->loss_sum += args->scale * value;
    args->state->correct += correct;
    if (args->d_b)
        cpu->loops->add_parts(cols, work.column_sums, work.sums_stride, work.cut.groups, args->accumulate, args->d_b);
    return BP_STATUS_OK;
}
