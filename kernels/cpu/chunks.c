/* chunks.c: which thread begins with which chunk of the parameter array, in the norm and in the update.
 *
 * The gradients of a weight lie in the caches of the threads that made them, each one's outputs one behind the other,
 * and its parameters are read there by the next forward product that is cut over the outputs. So the chunks are shared
 * out as the outputs are, tensor by tensor, instead of by halves of the whole array. It is known from the calls of
 * linear_weight_grad, and is no more than a hint: a chunk's result doesn't depend on who makes it. */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <stdint.h>

/* At the end of the workspace of an operation on chunks: ends [threads], then chunks in the order of their owners, and
 * their owners, [chunks] each. */
size_t bpi_cpu_order_bytes(const bpi_cpu *cpu, int64_t chunks)
{
    return (size_t)cpu->threads * sizeof(int64_t) + 2 * (size_t)chunks * sizeof(int32_t);
}

void bpi_cpu_note_made(bpi_cpu *cpu, const float *first, int64_t count)
{
    for (int i = 0; i < cpu->made_count; ++i)
        if (cpu->made[i].first == first)
            return;
    if (cpu->made_count < BPI_CPU_MOST_MADE)
        cpu->made[cpu->made_count++] = (bpi_cpu_made){first, count};
}

typedef struct ordered {
    bpi_cpu_task task;
    void *context;
    const int32_t *order;
    int64_t count;
} ordered;

static void run_ordered(void *context, int64_t task, int thread)
{
    const ordered *work = context;
    work->task(work->context, task < work->count ? work->order[task] : task, thread);
}

enum { NOBODY = -1 };

/* ends[t] = chunks of thread t. */
static void find_owners(const bpi_cpu *cpu, const float *gradients, int64_t chunks, int32_t *owners, int64_t *ends)
{
    int threads = cpu->threads;
    for (int64_t c = 0; c < chunks; ++c)
        owners[c] = NOBODY;
    for (int t = 0; t < threads; ++t)
        ends[t] = 0;
    for (int i = 0; i < cpu->made_count; ++i) {
        const bpi_cpu_made *made = &cpu->made[i];
        if ((uintptr_t)made->first < (uintptr_t)gradients ||
            (uintptr_t)made->first >= (uintptr_t)(gradients + chunks * BPI_CPU_CHUNK))
            continue;
        int64_t first = made->first - gradients, end = first + made->count;
        for (int64_t c = first / BPI_CPU_CHUNK; c < chunks; ++c) {
            int64_t middle = c * BPI_CPU_CHUNK + BPI_CPU_CHUNK / 2;
            if (middle >= end)
                break;
            if (middle < first || owners[c] != NOBODY) /* notes may be of arrays that are gone */
                continue;
            owners[c] = (int32_t)((middle - first) * threads / made->count);
            ends[owners[c]]++;
        }
    }
}

static int least(const int64_t *counts, int threads)
{
    int best = 0;
    for (int t = 1; t < threads; ++t)
        best = counts[t] < counts[best] ? t : best;
    return best;
}

/* A counting sort; from counts to ends. */
static void sort_chunks(int64_t chunks, int threads, int32_t *owners, int32_t *order, int64_t *ends)
{
    for (int64_t c = 0; c < chunks; ++c)
        if (owners[c] == NOBODY)
            ends[owners[c] = least(ends, threads)]++;
    int64_t before = 0;
    for (int t = 0; t < threads; ++t) {
        int64_t count = ends[t];
        ends[t] = before;
        before += count;
    }
    for (int64_t c = 0; c < chunks; ++c)
        order[ends[owners[c]]++] = (int32_t)c;
}

void bpi_cpu_run_chunks(bpi_cpu *cpu, const float *gradients, int64_t count, int64_t more, void *memory,
                        bpi_cpu_task task, void *context)
{
    int64_t chunks = bpi_cpu_chunks(count), all = chunks > bpi_cpu_chunks(more) ? chunks : bpi_cpu_chunks(more);
    int threads = bpi_cpu_threads_for_loop(cpu->threads, all * BPI_CPU_CHUNK);
    if (threads < 2 || all < threads || all > INT32_MAX) {
        bpi_cpu_run(cpu->pool, threads, all, task, context);
        return;
    }
    int64_t *ends = memory;
    int32_t *owners = (int32_t *)(ends + threads), *order = owners + chunks;
    find_owners(cpu, gradients, chunks, owners, ends);
    sort_chunks(chunks, threads, owners, order, ends);
    ends[threads - 1] = all;
    ordered work = {task, context, order, chunks};
    bpi_cpu_run_parts(cpu->pool, threads, ends, run_ordered, &work);
}
