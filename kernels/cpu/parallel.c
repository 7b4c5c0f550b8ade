/* parallel.c: a pool of threads that share a list of tasks.
 *
 * Each thread begins with its own part of the list, the same in every operation on a batch, so that rows stay in its
 * cache and in its memory node; then it helps the others. The caller works too and waits only for tasks that a thread
 * has begun: where a thread gets no core, the caller does its part. A thread without work spins for some 50 us, so that
 * the next operation of a step finds it awake, then offers its core to others for about 100 us, and then sleeps. */
#include "kernels/cpu/parallel.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define SPINS 2000
#define YIELDS 300

/* What is left of one thread's part of the list; on a cache line of its own. */
typedef struct part {
    _Alignas(64) atomic_int_least64_t next;
    int64_t end;
} part;

typedef struct worker {
    bpi_cpu_pool *pool;
    pthread_t thread;
    int number;
} worker;

struct bpi_cpu_pool {
    bp_allocator allocator;
    int threads, started; /* threads - 1 workers are to be started */
    size_t bytes;
    worker *workers;
    part *parts; /* [threads] */

    /* The job: written by the caller while it is closed and nobody is inside. */
    bpi_cpu_task task;
    void *context;
    int part_count;

    _Alignas(64) atomic_uint generation; /* counts jobs, and the call to stop */
    atomic_bool open;                    /* the job may be entered */
    atomic_bool stop;
    _Alignas(64) atomic_int inside; /* workers that look at the job */
    atomic_int sleepers;            /* workers that wait for `work` */
    atomic_bool caller_sleeps;      /* the caller waits for `idle` */
    pthread_mutex_t mutex;
    pthread_cond_t work, idle;
};

/* Between two looks at what is waited for, SPINS + YIELDS of them. */
static void relax(int look)
{
    if (look >= SPINS)
        sched_yield();
#if defined(__x86_64__)
    else
        __builtin_ia32_pause();
#endif
}

/* Own part first, then those of the others in turn. */
static void work_on(bpi_cpu_pool *pool, int number)
{
    for (int p = 0; p < pool->part_count; ++p) {
        part *from = &pool->parts[(number + p) % pool->part_count];
        for (;;) {
            int64_t task = atomic_fetch_add_explicit(&from->next, 1, memory_order_relaxed);
            if (task >= from->end)
                break;
            pool->task(pool->context, task, number);
        }
    }
}

static void wait_for_work(bpi_cpu_pool *pool, unsigned seen)
{
    for (int look = 0; look < SPINS + YIELDS; ++look) {
        if (atomic_load_explicit(&pool->generation, memory_order_relaxed) != seen)
            return;
        relax(look);
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->generation) == seen)
        pthread_cond_wait(&pool->work, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
}

/* Order matters, and all of it is sequentially consistent: a worker is counted as inside before it looks whether the
 * job is open, and the caller closes the job before it looks who is inside. So a worker either sees a closed job and
 * leaves it alone, or the caller sees the worker and waits. */
static void *worker_main(void *argument)
{
    worker *self = argument;
    bpi_cpu_pool *pool = self->pool;
    unsigned seen = 0;
    for (;;) {
        wait_for_work(pool, seen);
        seen = atomic_load(&pool->generation);
        if (atomic_load(&pool->stop))
            return NULL;
        atomic_fetch_add(&pool->inside, 1);
        if (atomic_load(&pool->open) && self->number < pool->part_count)
            work_on(pool, self->number);
        if (atomic_fetch_sub(&pool->inside, 1) == 1 && atomic_load(&pool->caller_sleeps)) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->idle);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
}

static void call_workers(bpi_cpu_pool *pool)
{
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers) == 0)
        return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
}

static void wait_for_workers(bpi_cpu_pool *pool)
{
    for (int look = 0; look < SPINS + YIELDS; ++look) {
        if (atomic_load(&pool->inside) == 0)
            return;
        relax(look);
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, true);
    while (atomic_load(&pool->inside) != 0)
        pthread_cond_wait(&pool->idle, &pool->mutex);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->mutex);
}

/* The parts are filled in. */
static void run_job(bpi_cpu_pool *pool, int threads, bpi_cpu_task task, void *context)
{
    pool->task = task;
    pool->context = context;
    pool->part_count = threads;
    atomic_store(&pool->open, true);
    call_workers(pool);
    work_on(pool, 0);
    atomic_store(&pool->open, false);
    wait_for_workers(pool);
}

void bpi_cpu_run(bpi_cpu_pool *pool, int threads, int64_t tasks, bpi_cpu_task task, void *context)
{
    assert(threads <= pool->threads);
    if (threads > tasks)
        threads = (int)tasks;
    if (threads <= 1) {
        for (int64_t t = 0; t < tasks; ++t)
            task(context, t, 0);
        return;
    }
    for (int p = 0; p < threads; ++p) {
        atomic_store_explicit(&pool->parts[p].next, tasks * p / threads, memory_order_relaxed);
        pool->parts[p].end = tasks * (p + 1) / threads;
    }
    run_job(pool, threads, task, context);
}

void bpi_cpu_run_parts(bpi_cpu_pool *pool, int threads, const int64_t *ends, bpi_cpu_task task, void *context)
{
    assert(threads >= 2 && threads <= pool->threads);
    for (int p = 0; p < threads; ++p) {
        atomic_store_explicit(&pool->parts[p].next, p ? ends[p - 1] : 0, memory_order_relaxed);
        pool->parts[p].end = ends[p];
    }
    run_job(pool, threads, task, context);
}

static bp_status start_workers(bpi_cpu_pool *pool, bpi_error *error)
{
    for (int w = 0; w < pool->threads - 1; ++w) {
        worker *next = &pool->workers[w];
        next->pool = pool;
        next->number = w + 1;
        int code = pthread_create(&next->thread, NULL, worker_main, next);
        if (code)
            return bpi_fail(error, BP_STATUS_OUT_OF_MEMORY,
                            "backend cpu: the system starts no thread %d of %d (error %d): use fewer threads", w + 2,
                            pool->threads, code);
        pool->started = w + 1;
    }
    return BP_STATUS_OK;
}

static bp_status start(bpi_cpu_pool *pool, bpi_error *error)
{
    int code = pthread_mutex_init(&pool->mutex, NULL);
    if (!code)
        code = pthread_cond_init(&pool->work, NULL);
    if (!code)
        code = pthread_cond_init(&pool->idle, NULL);
    if (code)
        return bpi_fail(error, BP_STATUS_OUT_OF_MEMORY, "backend cpu: the system makes no lock (error %d)", code);
    return start_workers(pool, error);
}

bp_status bpi_cpu_pool_create(const bp_allocator *allocator, int threads, bpi_error *error, bpi_cpu_pool **result)
{
    size_t bytes = sizeof(bpi_cpu_pool) + (size_t)threads * (sizeof(part) + sizeof(worker));
    *result = NULL;
    bpi_cpu_pool *pool = allocator->allocate(allocator->user, bytes, 64);
    if (!pool)
        return bpi_fail(error, BP_STATUS_OUT_OF_MEMORY, "backend cpu: no memory for %zu bytes", bytes);
    memset(pool, 0, bytes);
    pool->allocator = *allocator;
    pool->threads = threads;
    pool->bytes = bytes;
    pool->parts = (part *)(pool + 1);
    pool->workers = (worker *)(pool->parts + threads);
    bp_status status = start(pool, error);
    if (status != BP_STATUS_OK) {
        bpi_cpu_pool_destroy(pool);
        return status;
    }
    *result = pool;
    return BP_STATUS_OK;
}

void bpi_cpu_pool_destroy(bpi_cpu_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    call_workers(pool);
    for (int w = 0; w < pool->started; ++w)
        pthread_join(pool->workers[w].thread, NULL);
    pthread_cond_destroy(&pool->idle);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    bp_allocator allocator = pool->allocator;
    allocator.release(allocator.user, pool, pool->bytes);
}
