/* test_device_math.c: NVIDIA's device library as nvcc compiles it into PTX, executed by cuemu, against libm in long
 * double, within the bounds that the CUDA manual gives. Whatever is wrong in an instruction shows here in company. */
#include "device_math.h"
#include "expect.h"

#include <criterion/criterion.h>
#include <cuda_runtime_api.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Spread over the range: half of the numbers evenly, half by magnitude. */
static double spread(double low, double high)
{
    double even = low + (high - low) * (double)(next_random() >> 11) * 0x1p-53;
    if (next_random() % 2)
        return even;
    double small = even * exp2(-(double)(next_random() % 20));
    return small < low ? low : small;
}

static void *on_device(const void *bytes, size_t size)
{
    void *p;
    cr_assert_eq(cudaMalloc(&p, size), cudaSuccess);
    cr_assert_eq(cudaMemcpy(p, bytes, size, cudaMemcpyHostToDevice), cudaSuccess);
    return p;
}

typedef struct function {
    const char *name;
    double low, high, ulps;
} function;

static const function of_f32[] = {
#define ENTRY(name, device, host, low, high, ulps) {#name, low, high, ulps},
    DEVICE_MATH_F32(ENTRY)};
static const function of_f64[] = {DEVICE_MATH_F64(ENTRY)};

/* The manual counts ulps from the correctly rounded result, which is up to half an ulp from the exact one. */
static double bound(const function *f)
{
    return f->ulps >= 1 ? f->ulps + 0.5 : f->ulps;
}

static long double host_f32(size_t which, long double x)
{
    size_t n = 0;
#define IF_IT_IS(name, device, host, low, high, ulps)                                                                  \
    if (which == n++)                                                                                                  \
        return host;
    DEVICE_MATH_F32(IF_IT_IS)
    return NAN;
}

static long double host_f64(size_t which, long double x)
{
    size_t n = 0;
    DEVICE_MATH_F64(IF_IT_IS)
    return NAN;
}

Test(device_math, f32_within_the_manual)
{
    float in[DEVICE_MATH_COUNT], out[DEVICE_MATH_COUNT];
    memset(in, 0, sizeof in);
    void *to = on_device(in, sizeof in);
    for (size_t f = 0; f < sizeof of_f32 / sizeof of_f32[0]; f++) {
        for (int i = 0; i < DEVICE_MATH_COUNT; i++)
            in[i] = (float)spread(of_f32[f].low, of_f32[f].high);
        void *from = on_device(in, sizeof in);
        cr_assert_eq(device_math_f32((int)f, to, from), 0);
        cr_assert_eq(cudaMemcpy(out, to, sizeof out, cudaMemcpyDeviceToHost), cudaSuccess);
        for (int i = 0; i < DEVICE_MATH_COUNT; i++) {
            uint32_t bits;
            memcpy(&bits, &out[i], 4);
            double ulps = expect_ulps(bits, (double)host_f32(f, in[i]), EXPECT_F32);
            cr_assert_leq(ulps, bound(&of_f32[f]), "%s(%.9g) = %.9g: %g ulp", of_f32[f].name, (double)in[i],
                          (double)out[i], ulps);
        }
        cudaFree(from);
    }
    cudaFree(to);
}

Test(device_math, f64_within_the_manual)
{
    double in[DEVICE_MATH_COUNT], out[DEVICE_MATH_COUNT];
    memset(in, 0, sizeof in);
    void *to = on_device(in, sizeof in);
    for (size_t f = 0; f < sizeof of_f64 / sizeof of_f64[0]; f++) {
        for (int i = 0; i < DEVICE_MATH_COUNT; i++)
            in[i] = spread(of_f64[f].low, of_f64[f].high);
        void *from = on_device(in, sizeof in);
        cr_assert_eq(device_math_f64((int)f, to, from), 0);
        cr_assert_eq(cudaMemcpy(out, to, sizeof out, cudaMemcpyDeviceToHost), cudaSuccess);
        for (int i = 0; i < DEVICE_MATH_COUNT; i++) {
            int exponent;
            long double want = host_f64(f, in[i]);
            frexpl(want, &exponent);
            double ulps = want == 0 ? fabs(out[i]) : (double)(fabsl(out[i] - want) / ldexpl(1, exponent - 53));
            cr_assert_leq(ulps, bound(&of_f64[f]), "%s(%.17g) = %.17g: %g ulp", of_f64[f].name, in[i], out[i], ulps);
        }
        cudaFree(from);
    }
    cudaFree(to);
}

static void check_halves(int (*run)(unsigned short *, const unsigned short *), expect_format format)
{
    unsigned short in[DEVICE_MATH_COUNT], out[3 * DEVICE_MATH_COUNT / 2];
    int one = format == EXPECT_F16 ? 0x3c00 : 0x3f80;
    for (int i = 0; i < DEVICE_MATH_COUNT; i++) /* near one, both signs, so that sums cancel and round */
        in[i] = (unsigned short)((one - 1500 + (int)(next_random() % 3000)) | (next_random() % 2 ? 0x8000 : 0));
    memset(out, 0, sizeof out);
    void *from = on_device(in, sizeof in), *to = on_device(out, sizeof out);
    int status = run(to, from);
    if (status < 0) {
        cudaFree(from);
        cudaFree(to);
        cr_skip_test("no arithmetic in bf16 before compute_80");
    }
    cr_assert_eq(status, 0);
    cr_assert_eq(cudaMemcpy(out, to, sizeof out, cudaMemcpyDeviceToHost), cudaSuccess);
    for (int i = 0; i < DEVICE_MATH_COUNT / 2; i++) {
        double a = expect_to_double(in[2 * i], format), b = expect_to_double(in[2 * i + 1], format);
        const expect_value want[3] = {
            {EXPECT_SUM, a, b, 0}, {EXPECT_PRODUCT_SUM, a, b, 0}, {EXPECT_PRODUCT_SUM, a, b, a}};
        for (int k = 0; k < 3; k++) {
            exact zero = k == 0 ? want[k].a + want[k].b : want[k].a * want[k].b + want[k].c;
            uint64_t bits = zero == 0 ? 0 : expect_round(&want[k], format, EXPECT_RN);
            cr_assert_eq(out[3 * i + k] & (zero == 0 ? 0x7fff : 0xffff), bits, "%g and %g, operation %d", a, b, k);
        }
    }
    cudaFree(from);
    cudaFree(to);
}

Test(device_math, half_arithmetic_rounds_once)
{
    check_halves(device_math_f16, EXPECT_F16);
    check_halves(device_math_bf16, EXPECT_BF16);
}

Test(device_math, integers_divide)
{
    long long in[DEVICE_MATH_COUNT], out[3 * DEVICE_MATH_COUNT / 2];
    memset(out, 0, sizeof out);
    for (int i = 0; i < DEVICE_MATH_COUNT; i++)
        in[i] = (long long)(next_random() >> next_random() % 60) | 1;
    void *from = on_device(in, sizeof in), *to = on_device(out, sizeof out);
    cr_assert_eq(device_math_divide(to, from), 0);
    cr_assert_eq(cudaMemcpy(out, to, sizeof out, cudaMemcpyDeviceToHost), cudaSuccess);
    for (int i = 0; i < DEVICE_MATH_COUNT / 2; i++) {
        long long a = in[2 * i], b = in[2 * i + 1];
        cr_assert_eq(out[3 * i], a / b);
        cr_assert_eq(out[3 * i + 1], a % b);
        cr_assert_eq((unsigned long long)out[3 * i + 2], (unsigned long long)a / (unsigned long long)b);
    }
    cudaFree(from);
    cudaFree(to);
}
