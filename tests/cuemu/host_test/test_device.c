/* test_device.c: the modelled card, versions, errors, and texts that must be those of NVIDIA's libraries. */
#include "support.h"

#include <pthread.h>

Test(device, is_one_card_of_compute_capability_9)
{
    struct cudaDeviceProp p;
    int count = 0, device = -1, value = 0;
    MUST(cudaGetDeviceCount(&count));
    cr_assert_eq(count, 1);
    MUST(cudaSetDevice(0));
    MUST(cudaGetDevice(&device));
    cr_assert_eq(device, 0);
    MUST(cudaGetDeviceProperties(&p, 0));
    cr_assert(p.major == 9 && p.minor == 0 && p.multiProcessorCount == 132 && p.warpSize == 32);
    cr_assert(p.sharedMemPerBlockOptin == 227 * 1024 && p.sharedMemPerBlock == 48 * 1024);
    MUST(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0));
    cr_assert_eq(value, p.multiProcessorCount);
    MUST(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
    cr_assert_eq(value, (int)p.sharedMemPerBlockOptin);
    cr_assert_eq(cudaSetDevice(1), cudaErrorInvalidDevice);
    cr_assert_eq(cudaGetDeviceProperties(&p, 1), cudaErrorInvalidDevice);
}

Test(device, versions_are_those_of_the_headers)
{
    int runtime = 0, driver = 0;
    MUST(cudaRuntimeGetVersion(&runtime));
    MUST(cudaDriverGetVersion(&driver));
    cr_assert_eq(runtime, CUDART_VERSION);
    cr_assert(driver >= runtime);
}

Test(device, the_last_error_is_kept_until_it_is_fetched)
{
    cr_assert_eq(cudaSetDevice(3), cudaErrorInvalidDevice);
    MUST(cudaDeviceSynchronize());
    cr_assert_eq(cudaPeekAtLastError(), cudaErrorInvalidDevice);
    cr_assert_eq(cudaGetLastError(), cudaErrorInvalidDevice);
    cr_assert_eq(cudaGetLastError(), cudaSuccess);
}

static void *other_thread(void *user)
{
    *(cudaError_t *)user = cudaGetLastError();
    return NULL;
}

Test(device, the_last_error_belongs_to_its_thread)
{
    pthread_t thread;
    cudaError_t seen = cudaErrorUnknown;
    cr_assert_eq(cudaSetDevice(3), cudaErrorInvalidDevice);
    cr_assert_eq(pthread_create(&thread, NULL, other_thread, &seen), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(seen, cudaSuccess);
    cr_assert_eq(cudaGetLastError(), cudaErrorInvalidDevice);
}

Test(device, an_illegal_address_stays_an_error_until_the_reset)
{
    char host[8], *p = device_bytes(16);
    void *q;
    (void)cudaMemcpy(p, host, 8, cudaMemcpyHostToDevice);
    MUST(cudaDeviceSynchronize());
    REFUSED(cudaMemcpy(host, p + 12, 8, cudaMemcpyDeviceToHost), cudaErrorIllegalAddress, "out-of-bounds");
    cr_assert_eq(cudaMalloc(&q, 4), cudaErrorIllegalAddress);
    cr_assert_eq(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
    cr_assert_eq(cudaGetLastError(), cudaErrorIllegalAddress);
    cr_assert_eq(cudaGetLastError(), cudaErrorIllegalAddress);
    MUST(cudaDeviceReset());
    cr_assert_eq(cudaGetLastError(), cudaSuccess);
    MUST(cudaMalloc(&q, 4));
    MUST(cudaFree(q));
}

Test(device, a_reset_takes_everything_away)
{
    cudaStream_t s;
    cudaEvent_t e;
    void *p, *h;
    MUST(cudaStreamCreate(&s));
    MUST(cudaEventCreate(&e));
    MUST(cudaMalloc(&p, 100));
    MUST(cudaMallocHost(&h, 100));
    MUST(cudaMemsetAsync(p, 0, 100, s));
    MUST(cudaDeviceReset());
    REFUSED(cudaFree(p), cudaErrorInvalidValue, "bad-free");
    REFUSED(cudaStreamSynchronize(s), cudaErrorInvalidResourceHandle, "api");
}

#define REAL(library) "/usr/local/cuda/lib64/" library

Test(device, names_and_texts_of_errors_are_those_of_nvidia)
{
    void *real = dlmopen(LM_ID_NEWLM, REAL("libcudart.so.13"), RTLD_NOW);
    if (real == NULL)
        cr_skip_test("NVIDIA's libcudart is not installed: %s", dlerror());
    const char *(*name)(cudaError_t) = (const char *(*)(cudaError_t))(uintptr_t)dlsym(real, "cudaGetErrorName");
    const char *(*text)(cudaError_t) = (const char *(*)(cudaError_t))(uintptr_t)dlsym(real, "cudaGetErrorString");
    cr_assert(name != NULL && text != NULL && name != cudaGetErrorName);
    for (int code = -1; code <= 1000; code++) {
        cr_assert_str_eq(cudaGetErrorName((cudaError_t)code), name((cudaError_t)code));
        cr_assert_str_eq(cudaGetErrorString((cudaError_t)code), text((cudaError_t)code));
    }
}

Test(device, names_and_texts_of_statuses_are_those_of_nvidia)
{
    void *real = dlmopen(LM_ID_NEWLM, REAL("libcublasLt.so.13"), RTLD_LAZY);
    if (real == NULL)
        cr_skip_test("NVIDIA's libcublasLt is not installed: %s", dlerror());
    const char *(*name)(cublasStatus_t) =
        (const char *(*)(cublasStatus_t))(uintptr_t)dlsym(real, "cublasLtGetStatusName");
    const char *(*text)(cublasStatus_t) =
        (const char *(*)(cublasStatus_t))(uintptr_t)dlsym(real, "cublasLtGetStatusString");
    cr_assert(name != NULL && text != NULL && name != cublasLtGetStatusName);
    for (int status = -1; status <= 30; status++) {
        cr_assert_str_eq(cublasGetStatusName((cublasStatus_t)status), name((cublasStatus_t)status));
        cr_assert_str_eq(cublasGetStatusString((cublasStatus_t)status), text((cublasStatus_t)status));
    }
}
