/* parallel.c: tasks on OpenMP threads. Static schedule: in every operation on a batch the same thread has the same part
 * of the rows, so they stay in its cache and in its memory node. */
#include "kernels/cpu/parallel.h"

#include <omp.h>

void bpi_cpu_run(int threads, int64_t tasks, bpi_cpu_task task, void *context)
{
    if (threads > tasks)
        threads = (int)tasks;
    if (threads <= 1) {
        for (int64_t t = 0; t < tasks; ++t)
            task(context, t, 0);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        int thread = omp_get_thread_num();
#pragma omp for schedule(static)
        for (int64_t t = 0; t < tasks; ++t)
            task(context, t, thread);
    }
}
