/* parallel.h: the one place where tasks meet threads.
 *
 * Which thread runs a task must never show in a result: a task writes what no other task writes, and the tasks follow
 * from shapes alone (partition.h). */
#ifndef BPI_CPU_PARALLEL_H
#define BPI_CPU_PARALLEL_H

#include <stdint.h>

/* thread: which one runs the task, 0 <= thread < threads; for scratch memory. */
typedef void (*bpi_cpu_task)(void *context, int64_t task, int thread);

/* Runs tasks 0 .. tasks - 1 on up to `threads` threads and waits for all of them; with one thread or one task in the
 * calling thread, without OpenMP. May be called from a parallel region of the user's. */
void bpi_cpu_run(int threads, int64_t tasks, bpi_cpu_task task, void *context);

#endif
