/* memory.c: host memory through the user's hooks, and the workspace for partial results. */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <string.h>

/* Memory is touched first by the threads that will work on it, in slices of this many bytes. */
#define SLICE_BYTES ((size_t)1 << 20)

/* An array of nothing still gets an address of its own; release must name the same bytes to the user's hook. */
static size_t held_bytes(size_t bytes)
{
    return bytes ? bytes : 64;
}

typedef struct clear {
    char *memory;
    size_t bytes;
} clear;

static void clear_slice(void *context, int64_t task, int thread)
{
    (void)thread;
    const clear *work = context;
    size_t first = (size_t)task * SLICE_BYTES;
    size_t rest = work->bytes - first;
    memset(work->memory + first, 0, rest < SLICE_BYTES ? rest : SLICE_BYTES);
}

static void clear_memory(const bpi_cpu *cpu, void *memory, size_t bytes)
{
    clear work = {memory, bytes};
    bpi_cpu_run(cpu->pool, cpu->threads, (int64_t)((bytes + SLICE_BYTES - 1) / SLICE_BYTES), clear_slice, &work);
}

bp_status bpi_cpu_allocate(bpi_backend *backend, size_t bytes, void **memory)
{
    bpi_cpu *cpu = bpi_cpu_of(backend);
    *memory = cpu->allocator.allocate(cpu->allocator.user, held_bytes(bytes), 64);
    if (!*memory)
        return bpi_fail(backend->error, BP_STATUS_OUT_OF_MEMORY, "backend cpu: no memory for %zu bytes", bytes);
    clear_memory(cpu, *memory, held_bytes(bytes));
    return BP_STATUS_OK;
}

void bpi_cpu_release(bpi_backend *backend, void *memory, size_t bytes)
{
    const bp_allocator *allocator = &bpi_cpu_of(backend)->allocator;
    if (memory)
        allocator->release(allocator->user, memory, held_bytes(bytes));
}

bp_status bpi_cpu_upload(bpi_backend *backend, const void *source, size_t bytes, void *destination)
{
    (void)backend;
    assert(bytes == 0 || (source && destination));
    if (bytes)
        memcpy(destination, source, bytes);
    return BP_STATUS_OK;
}

bp_status bpi_cpu_download(bpi_backend *backend, const void *source, size_t bytes, void *destination)
{
    return bpi_cpu_upload(backend, source, bytes, destination);
}

bp_status bpi_cpu_zero(bpi_backend *backend, void *memory, size_t bytes)
{
    assert(bytes == 0 || memory);
    clear_memory(bpi_cpu_of(backend), memory, bytes);
    return BP_STATUS_OK;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t loss_bytes(const bpi_cpu *cpu, bpi_cpu_rows cut, int64_t cols)
{
    size_t totals = (size_t)bpi_cpu_round_up(cut.groups, 4) * sizeof(bpi_cpu_loss_sums);
    int64_t scratch = bpi_cpu_round_up(bpi_cpu_loss_scratch(cols), BPI_CPU_LINE_FLOATS);
    return totals + (size_t)(cpu->threads * scratch) * sizeof(float) + bpi_cpu_sums_bytes(cut, cols);
}

bpi_workspace bpi_cpu_workspace_bytes(bpi_backend *backend, const bpi_linear_spec *spec, int64_t parameter_count)
{
    int64_t chunks = bpi_cpu_chunks(parameter_count);
    size_t bytes = (size_t)chunks * sizeof(bpi_cpu_square_sum) + bpi_cpu_order_bytes(bpi_cpu_of(backend), chunks);
    bpi_cpu_rows loop = bpi_cpu_rows_of_loop(spec->rows, spec->outputs);
    bytes = larger(bytes, loss_bytes(bpi_cpu_of(backend), loop, spec->outputs));
    bytes = larger(bytes, bpi_cpu_linear_workspace(bpi_cpu_of(backend), spec));
    bytes = larger(bytes, bpi_cpu_sums_bytes(bpi_cpu_rows_of_loop(spec->rows, spec->inputs), spec->inputs));
    bytes = larger(bytes, bpi_cpu_block_workspace(bpi_cpu_of(backend), spec->rows, spec->outputs));
    return (bpi_workspace){bytes, 0};
}

/* A weight gradient is done when it returns, and works in what lane 0 does. */
bp_status bpi_cpu_reserve(bpi_backend *backend, bpi_workspace workspace)
{
    bpi_cpu *cpu = bpi_cpu_of(backend);
    size_t bytes = workspace.bytes;
    if (bytes <= cpu->workspace_bytes)
        return BP_STATUS_OK;
    void *larger_one;
    BPI_TRY(bpi_cpu_allocate(backend, bytes, &larger_one));
    bpi_cpu_release(backend, cpu->workspace, cpu->workspace_bytes);
    cpu->workspace = larger_one;
    cpu->workspace_bytes = bytes;
    return BP_STATUS_OK;
}
