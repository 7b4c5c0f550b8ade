/* test_streams.c: order between streams, events and the host. Order faults are the corpus's; here is what must work. */
#include "support.h"

#include <pthread.h>

enum { N = 1000 };

static cudaStream_t new_stream(void)
{
    cudaStream_t s;
    MUST(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    return s;
}

Test(streams, have_the_flags_and_priorities_they_were_made_with)
{
    cudaStream_t high, low, plain;
    int least, greatest, priority, device = -1;
    unsigned flags;
    unsigned long long first, second;
    MUST(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    cr_assert(greatest < least);
    MUST(cudaStreamCreateWithPriority(&high, cudaStreamNonBlocking, greatest - 10));
    MUST(cudaStreamCreateWithPriority(&low, cudaStreamDefault, least));
    MUST(cudaStreamCreate(&plain));
    MUST(cudaStreamGetPriority(high, &priority));
    cr_assert_eq(priority, greatest);
    MUST(cudaStreamGetFlags(high, &flags));
    cr_assert_eq(flags, cudaStreamNonBlocking);
    MUST(cudaStreamGetFlags(plain, &flags));
    cr_assert_eq(flags, cudaStreamDefault);
    MUST(cudaStreamGetId(high, &first));
    MUST(cudaStreamGetId(low, &second));
    cr_assert_neq(first, second);
    MUST(cudaStreamGetDevice(low, &device));
    cr_assert_eq(device, 0);
    cr_assert_eq(cudaStreamCreateWithFlags(&plain, 77), cudaErrorInvalidValue);
    MUST(cudaStreamDestroy(high));
    MUST(cudaStreamDestroy(low));
    MUST(cudaStreamDestroy(plain));
}

Test(streams, an_event_orders_two_streams)
{
    float *pinned, *a = device_bytes(N * 4), *b = device_bytes(N * 4);
    cudaStream_t s = new_stream(), t = new_stream();
    cudaEvent_t e;
    MUST(cudaEventCreate(&e));
    MUST(cudaMallocHost((void **)&pinned, N * 4));
    fill_random(pinned, N, 1);
    float first = pinned[0];
    for (int i = 0; i < 5; i++) {
        MUST(cudaMemcpyAsync(a, pinned, N * 4, cudaMemcpyHostToDevice, s));
        MUST(cudaEventRecord(e, s));
        MUST(cudaStreamWaitEvent(t, e, 0));
        MUST(cudaMemcpyAsync(b, a, N * 4, cudaMemcpyDeviceToDevice, t));
        MUST(cudaEventRecord(e, t)); /* the same event, recorded anew: who waited before is not touched by that */
        MUST(cudaStreamWaitEvent(s, e, 0));
    }
    MUST(cudaMemcpyAsync(pinned, b, N * 4, cudaMemcpyDeviceToHost, s));
    MUST(cudaStreamSynchronize(s));
    cr_assert(pinned[0] == first && first != 0);
    MUST(cudaEventDestroy(e));
    MUST(cudaStreamDestroy(s));
    MUST(cudaStreamDestroy(t));
    MUST(cudaFreeHost(pinned));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
}

Test(streams, the_default_stream_orders_blocking_streams)
{
    static float in[N], out[N];
    float *a = device_bytes(N * 4), *b = device_bytes(N * 4);
    cudaStream_t s, t;
    fill_random(in, N, 2);
    MUST(cudaStreamCreate(&s));
    MUST(cudaStreamCreate(&t));
    MUST(cudaMemcpy(a, in, sizeof in, cudaMemcpyHostToDevice));
    MUST(cudaMemcpyAsync(b, a, sizeof in, cudaMemcpyDeviceToDevice, s));
    MUST(cudaMemset(a, 0, sizeof in)); /* after s */
    MUST(cudaMemcpyAsync(a, b, sizeof in, cudaMemcpyDeviceToDevice, t));
    MUST(cudaMemcpy(out, a, sizeof in, cudaMemcpyDeviceToHost));
    cr_assert(memcmp(in, out, sizeof in) == 0);
    MUST(cudaMemcpyAsync(b, a, sizeof in, cudaMemcpyDeviceToDevice, cudaStreamPerThread));
    MUST(cudaMemset(a, 0, sizeof in));
    MUST(cudaStreamDestroy(s));
    MUST(cudaStreamDestroy(t));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
}

Test(streams, polling_comes_to_an_end)
{
    float *a = device_bytes(N * 4);
    cudaStream_t s = new_stream();
    cudaEvent_t e;
    cudaError_t status;
    int turns = 0;
    MUST(cudaEventCreateWithFlags(&e, cudaEventDisableTiming));
    MUST(cudaEventQuery(e)); /* never recorded: complete */
    MUST(cudaMemsetAsync(a, 0, N * 4, s));
    MUST(cudaEventRecord(e, s));
    while ((status = cudaEventQuery(e)) == cudaErrorNotReady && turns < 1000)
        turns++;
    MUST(status);
    MUST(cudaMemsetAsync(a, 0, N * 4, s));
    while ((status = cudaStreamQuery(s)) == cudaErrorNotReady && turns < 1000)
        turns++;
    MUST(status);
    cr_assert(turns < 1000);
    cr_assert_eq(cudaGetLastError(), cudaSuccess); /* not ready is no error that stays */
    MUST(cudaEventDestroy(e));
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
}

Test(streams, events_measure_time_that_passes)
{
    float *a = device_bytes(1 << 20), ms = -1;
    cudaEvent_t first, second;
    MUST(cudaEventCreate(&first));
    MUST(cudaEventCreate(&second));
    MUST(cudaEventRecord(first, NULL));
    MUST(cudaMemset(a, 0, 1 << 20));
    MUST(cudaEventRecord(second, NULL));
    MUST(cudaEventSynchronize(second));
    MUST(cudaEventElapsedTime(&ms, first, second));
    cr_assert(ms > 0);
    MUST(cudaEventDestroy(first));
    MUST(cudaEventDestroy(second));
    MUST(cudaFree(a));
}

static void add_one(void *user)
{
    ++*(int *)user;
}

static void double_it(void *user)
{
    *(int *)user *= 2;
}

Test(streams, host_functions_run_in_stream_order)
{
    static int value = 1;
    cudaStream_t s = new_stream(), t = new_stream();
    cudaEvent_t e;
    MUST(cudaEventCreate(&e));
    MUST(cudaLaunchHostFunc(s, add_one, &value));
    MUST(cudaLaunchHostFunc(s, double_it, &value));
    MUST(cudaEventRecord(e, s));
    MUST(cudaStreamWaitEvent(t, e, 0));
    MUST(cudaLaunchHostFunc(t, add_one, &value));
    MUST(cudaStreamSynchronize(t));
    cr_assert_eq(value, 5);
    MUST(cudaEventDestroy(e));
    MUST(cudaStreamDestroy(s));
    MUST(cudaStreamDestroy(t));
}

Test(streams, work_outlives_its_stream_and_long_queues_are_no_trouble)
{
    enum { MANY = 20000 };
    static int value;
    cudaStream_t s = new_stream();
    for (int i = 0; i < MANY; i++)
        MUST(cudaLaunchHostFunc(s, add_one, &value));
    MUST(cudaStreamDestroy(s));
    MUST(cudaDeviceSynchronize());
    cr_assert_eq(value, MANY);
}

Test(streams, synchronisations_are_counted)
{
    int64_t before = host_counter("synchronisations");
    cudaStream_t s = new_stream();
    MUST(cudaStreamSynchronize(s));
    MUST(cudaDeviceSynchronize());
    cr_assert_eq(host_counter("synchronisations") - (before > 0 ? before : 0), 2);
    MUST(cudaStreamDestroy(s));
}

/* Each thread has a stream, memory and events of its own; the library is shared. */
static void *one_thread(void *user)
{
    int value = *(int *)user;
    unsigned char *a = device_bytes(N), *b = device_bytes(N), *pinned;
    cudaStream_t s = new_stream(), t = new_stream();
    cudaEvent_t e;
    MUST(cudaMallocHost((void **)&pinned, N));
    MUST(cudaEventCreate(&e));
    for (int i = 0; i < 50; i++) {
        MUST(cudaMemsetAsync(a, value + i, N, s));
        MUST(cudaEventRecord(e, s));
        MUST(cudaStreamWaitEvent(t, e, 0));
        MUST(cudaMemcpyAsync(b, a, N, cudaMemcpyDeviceToDevice, t));
        MUST(cudaMemcpyAsync(pinned, b, N, cudaMemcpyDeviceToHost, t));
        MUST(cudaStreamSynchronize(t));
        cr_assert_eq(pinned[N / 2], (unsigned char)(value + i));
    }
    MUST(cudaEventDestroy(e));
    MUST(cudaStreamDestroy(s));
    MUST(cudaStreamDestroy(t));
    MUST(cudaFreeHost(pinned));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
    return NULL;
}

Test(streams, threads_work_side_by_side)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int values[THREADS] = {10, 20, 30, 40};
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, one_thread, &values[i]), 0);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    cr_assert_eq(report_count(), 0);
}
