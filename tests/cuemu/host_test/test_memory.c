/* test_memory.c: allocation, copies, memset, pinned memory and what CUDA says about pointers. */
#include "support.h"

Test(memory, copies_in_all_directions_carry_the_bytes)
{
    enum { N = 777 };
    static float in[N], out[N];
    fill_random(in, N, 1);
    float *a = to_device(in, sizeof in), *b = device_bytes(sizeof in), *pinned;
    MUST(cudaMallocHost((void **)&pinned, sizeof in));
    MUST(cudaMemcpy(b, a, sizeof in, cudaMemcpyDeviceToDevice));
    MUST(cudaMemcpy(pinned, b, sizeof in, cudaMemcpyDefault));
    MUST(cudaMemcpy(out, pinned, sizeof in, cudaMemcpyHostToHost));
    cr_assert(memcmp(in, out, sizeof in) == 0);
    cr_assert_eq(host_counter("memcpys"), 4);
    cr_assert_eq(host_counter("memcpy_device_to_host_bytes"), (int64_t)sizeof in);
    MUST(cudaFreeHost(pinned));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
}

Test(memory, two_dimensional_copies_and_memsets_leave_the_padding_alone)
{
    enum { WIDTH = 20, HEIGHT = 5 };
    uint8_t in[HEIGHT][24], out[HEIGHT][WIDTH], padding[HEIGHT];
    uint8_t *device;
    size_t pitch = 0;
    for (int i = 0; i < HEIGHT * 24; i++)
        in[i / 24][i % 24] = (uint8_t)(i + 1);
    MUST(cudaMallocPitch((void **)&device, &pitch, WIDTH, HEIGHT));
    cr_assert(pitch >= WIDTH && pitch % 256 == 0);
    MUST(cudaMemset(device, 0xee, pitch * HEIGHT));
    MUST(cudaMemcpy2D(device, pitch, in, 24, WIDTH, HEIGHT, cudaMemcpyHostToDevice));
    MUST(cudaMemcpy2D(out, WIDTH, device, pitch, WIDTH, HEIGHT, cudaMemcpyDeviceToHost));
    MUST(cudaMemcpy2D(padding, 1, device + WIDTH, pitch, 1, HEIGHT, cudaMemcpyDeviceToHost));
    for (int y = 0; y < HEIGHT; y++) {
        cr_assert(memcmp(in[y], out[y], WIDTH) == 0);
        cr_assert_eq(padding[y], 0xee);
    }
    MUST(cudaMemset2D(device + 1, pitch, 7, 2, HEIGHT));
    MUST(cudaMemcpy2D(out, WIDTH, device, pitch, WIDTH, HEIGHT, cudaMemcpyDeviceToHost));
    cr_assert(out[3][0] == in[3][0] && out[3][1] == 7 && out[3][2] == 7 && out[3][3] == in[3][3]);
    cr_assert_eq(cudaMemcpy2D(out, 1, device, pitch, WIDTH, HEIGHT, cudaMemcpyDeviceToHost),
                 cudaErrorInvalidPitchValue);
    REFUSED(cudaMemcpy(NULL, device, 4, cudaMemcpyDeviceToHost), cudaErrorInvalidValue, "api");
    MUST(cudaFree(device));
}

Test(memory, nothing_is_allocated_for_zero_bytes_and_NULL_is_freed)
{
    void *p = &p;
    MUST(cudaMalloc(&p, 0));
    cr_assert_null(p);
    MUST(cudaFree(NULL));
    MUST(cudaFreeHost(NULL));
}

Test(memory, a_full_device_says_so_and_recovers)
{
    size_t before, total, after;
    void *p, *q = &q;
    MUST(cudaMemGetInfo(&before, &total));
    cr_assert(before <= total && before > 0);
    MUST(cudaMalloc(&p, before / 2));
    cr_assert_eq(cudaMalloc(&q, before / 2 + (64 << 20)), cudaErrorMemoryAllocation);
    cr_assert_eq(cudaGetLastError(), cudaErrorMemoryAllocation);
    cr_assert_eq(cudaGetLastError(), cudaSuccess);
    MUST(cudaMemGetInfo(&after, &total));
    cr_assert(after <= before - before / 2);
    MUST(cudaFree(p));
    MUST(cudaMemGetInfo(&after, &total));
    cr_assert_eq(after, before);
}

Test(memory, pointers_are_known_for_what_they_are)
{
    struct cudaPointerAttributes attributes;
    char *device = device_bytes(100), *pinned, local;
    void *mapped;
    unsigned flags;
    MUST(cudaHostAlloc((void **)&pinned, 100, cudaHostAllocMapped));
    MUST(cudaPointerGetAttributes(&attributes, device + 50));
    cr_assert(attributes.type == cudaMemoryTypeDevice && attributes.devicePointer == device + 50);
    MUST(cudaPointerGetAttributes(&attributes, pinned));
    cr_assert(attributes.type == cudaMemoryTypeHost && attributes.hostPointer == pinned);
    MUST(cudaPointerGetAttributes(&attributes, &local));
    cr_assert_eq(attributes.type, cudaMemoryTypeUnregistered);
    MUST(cudaHostGetDevicePointer(&mapped, pinned, 0));
    cr_assert_eq(mapped, pinned);
    MUST(cudaHostGetFlags(&flags, pinned));
    cr_assert_eq(flags, cudaHostAllocMapped);
    MUST(cudaFree(device));
    MUST(cudaFreeHost(pinned));
}

Test(memory, host_memory_is_registered_once)
{
    static float x[4096];
    float *device = device_bytes(sizeof x);
    MUST(cudaHostRegister(x, sizeof x, cudaHostRegisterDefault));
    cr_assert_eq(cudaHostRegister(x + 10, 16, cudaHostRegisterDefault), cudaErrorHostMemoryAlreadyRegistered);
    x[7] = 3;
    MUST(cudaMemcpyAsync(device, x, sizeof x, cudaMemcpyHostToDevice, NULL));
    MUST(cudaDeviceSynchronize());
    x[7] = 0;
    MUST(cudaMemcpyAsync(x, device, sizeof x, cudaMemcpyDeviceToHost, NULL));
    MUST(cudaDeviceSynchronize());
    cr_assert(x[7] == 3);
    MUST(cudaHostUnregister(x));
    REFUSED(cudaHostUnregister(x), cudaErrorHostMemoryNotRegistered, "bad-free");
    MUST(cudaFree(device));
}

Test(memory, a_round_trip_through_one_pinned_buffer_needs_no_wait_between)
{
    enum { N = 100 };
    float *pinned, *a = device_bytes(N * 4), *b = device_bytes(N * 4);
    cudaStream_t stream;
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    MUST(cudaMallocHost((void **)&pinned, N * 4));
    for (int i = 0; i < N; i++)
        pinned[i] = (float)i;
    MUST(cudaMemcpyAsync(a, pinned, N * 4, cudaMemcpyHostToDevice, stream));
    MUST(cudaMemcpyAsync(pinned, a, N * 4, cudaMemcpyDeviceToHost, stream));
    MUST(cudaMemcpyAsync(b, pinned, N * 4, cudaMemcpyHostToDevice, stream));
    MUST(cudaMemcpyAsync(pinned, b, N * 4, cudaMemcpyDeviceToHost, stream));
    MUST(cudaStreamSynchronize(stream));
    for (int i = 0; i < N; i++)
        cr_assert(pinned[i] == (float)i);
    MUST(cudaStreamDestroy(stream));
    MUST(cudaFreeHost(pinned));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
}

Test(memory, stream_ordered_memory_lives_between_its_operations)
{
    float *p, out;
    cudaStream_t stream;
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    for (int i = 0; i < 10; i++) {
        MUST(cudaMallocAsync((void **)&p, 4, stream));
        MUST(cudaMemsetAsync(p, i, 4, stream));
        MUST(cudaMemcpyAsync(&out, p, 4, cudaMemcpyDeviceToHost, stream)); /* pageable: complete at return */
        cr_assert_eq(*(unsigned char *)&out, i);
        MUST(cudaFreeAsync(p, stream));
    }
    REFUSED(cudaFreeAsync(p, stream), cudaErrorInvalidValue, "bad-free");
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaStreamDestroy(stream));
}
