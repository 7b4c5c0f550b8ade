/* load.c: a batch out of a source in host memory, by groups of rows. */
#include "kernels/cpu/cpu.h"

#include <assert.h>

typedef struct batch {
    const bpi_cpu_loops *loops;
    const bpi_load_args *args;
    bool narrow;
    bpi_cpu_rows cut;
} batch;

static void load_group(void *context, int64_t group, int thread)
{
    (void)thread;
    const batch *work = context;
    int64_t first = group * work->cut.group_rows, rest = work->cut.rows - first;
    work->loops->load(work->args, work->narrow, first, rest < work->cut.group_rows ? rest : work->cut.group_rows);
}

bp_status bpi_cpu_load(bpi_backend *backend, const bpi_load_args *args)
{
    assert(!args->mean == !args->inv_std && args->x.cols == args->source->inputs);
    bpi_cpu *cpu = bpi_cpu_of(backend);
    batch work = {cpu->loops, args, bpi_cpu_is_short(cpu), bpi_cpu_rows_of_loop(args->rows, args->source->inputs)};
    bpi_cpu_run(cpu->pool, bpi_cpu_threads_for_loop(cpu->threads, args->rows * args->source->inputs), work.cut.groups,
                load_group, &work);
    return BP_STATUS_OK;
}
