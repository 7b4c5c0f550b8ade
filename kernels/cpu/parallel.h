/* parallel.h: the one place where tasks meet threads.
 *
 * Which thread runs a task must never show in a result: a task writes what no other task writes, and the tasks follow
 * from shapes alone (partition.h).
 *
 * A pool of threads of the backend's own, and not OpenMP's: libgomp's threads spin for milliseconds at the end of every
 * parallel region, and where the cores are shared with other processes, training took ten times as long as it does here
 * (docs/cpu-backend.md); its wait policy is set for a whole process by the environment, which is not a library's to
 * set. */
#ifndef BPI_CPU_PARALLEL_H
#define BPI_CPU_PARALLEL_H

#include <stdint.h>

#include "backprop/context.h"
#include "kernels/error.h"

typedef struct bpi_cpu_pool bpi_cpu_pool;

/* threads >= 1 counts the calling thread. */
bp_status bpi_cpu_pool_create(const bp_allocator *allocator, int threads, bpi_error *error, bpi_cpu_pool **pool);
void bpi_cpu_pool_destroy(bpi_cpu_pool *pool); /* accepts NULL */

/* thread: which one runs the task, 0 <= thread < threads of the pool; for scratch memory. */
typedef void (*bpi_cpu_task)(void *context, int64_t task, int thread);

/* Runs tasks 0 .. tasks - 1 on up to `threads` threads and waits for all of them; with one thread or one task in the
 * calling thread alone. A pool serves one caller at a time. */
void bpi_cpu_run(bpi_cpu_pool *pool, int threads, int64_t tasks, bpi_cpu_task task, void *context);

/* The same for tasks 0 .. ends[threads - 1] - 1, of which thread t begins with those from ends[t - 1] (0 for the first)
 * up to ends[t] - 1: where it is known in whose cache the data of a task lie. threads >= 2, ends in growing order. */
void bpi_cpu_run_parts(bpi_cpu_pool *pool, int threads, const int64_t *ends, bpi_cpu_task task, void *context);

#endif
