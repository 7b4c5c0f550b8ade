/* support.h: what the tests of the host side share. They are linked to the ordinary libraries and run on cuemu. */
#ifndef HOST_TEST_SUPPORT_H
#define HOST_TEST_SUPPORT_H

#include "cuemu_api.h"

#include <criterion/criterion.h>
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void must_at(int status, const char *call, int line)
{
    if (status != 0)
        cr_assert_fail("line %d: %s gives %d", line, call, status);
}
#define MUST(call) must_at((int)(call), #call, __LINE__)

static inline void *cuemu(const char *name)
{
    void *function = dlsym(RTLD_DEFAULT, name);
    cr_assert(function != NULL, "%s: this is not cuemu", name);
    return function;
}

static inline int report_count(void)
{
    return ((cuemu_report_count_fn *)(uintptr_t)cuemu("cuemu_report_count"))();
}

static inline int64_t host_counter(const char *name)
{
    return ((cuemu_counter_fn *)(uintptr_t)cuemu("cuemu_counter"))("host", name);
}

/* The reports that a test provokes on purpose: at least one came, and all are of this kind; then they are forgotten. */
static inline void forgive(const char *kind, int line)
{
    cuemu_report_get_fn *get = (cuemu_report_get_fn *)(uintptr_t)cuemu("cuemu_report_get");
    cuemu_report r;
    cr_assert(report_count() > 0, "line %d: nothing was reported", line);
    for (int i = 0; get(i, &r) == 0; i++)
        cr_assert_str_eq(r.kind, kind, "line %d: %s: %s", line, r.kind, r.text);
    ((cuemu_forgive_reports_fn *)(uintptr_t)cuemu("cuemu_forgive_reports"))();
}
#define FORGIVE(kind) forgive((kind), __LINE__)

/* refused: the call gives this status and one report of this kind. */
#define REFUSED(call, status, kind)                                                                                    \
    do {                                                                                                               \
        cr_assert_eq((int)(call), (int)(status));                                                                      \
        FORGIVE(kind);                                                                                                 \
    } while (0)

/* Numbers in [-1, 1] with full mantissas; never all zero. */
static inline float next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(int64_t)*state / 9223372036854775808.0);
}

static inline void fill_random(float *x, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        x[i] = next_random(&seed);
}

static inline void *to_device(const void *host, size_t bytes)
{
    void *device = NULL;
    MUST(cudaMalloc(&device, bytes));
    MUST(cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice));
    MUST(cudaStreamSynchronize(NULL));
    return device;
}

static inline void *device_bytes(size_t bytes)
{
    void *device = NULL;
    MUST(cudaMalloc(&device, bytes));
    return device;
}

static inline void from_device(void *host, const void *device, size_t bytes)
{
    MUST(cudaDeviceSynchronize());
    MUST(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost));
}

/* Within the bound, and not NaN. What follows says which element, printf-like. */
#define WITHIN(value, expected, bound, ...)                                                                            \
    do {                                                                                                               \
        double v_ = (value), e_ = (expected), b_ = (bound);                                                            \
        char which_[256];                                                                                              \
        if (!(fabs(v_ - e_) <= b_)) {                                                                                  \
            snprintf(which_, sizeof which_, __VA_ARGS__);                                                              \
            cr_assert_fail("%s: %.9g instead of %.9g, bound %.3g", which_, v_, e_, b_);                                \
        }                                                                                                              \
    } while (0)

#endif
