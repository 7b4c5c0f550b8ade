/* device_math.h: functions of NVIDIA's device library that the test runs: one list for the kernels and for the test.
 * X(name, in C on the device, in C on the host in long double, lowest and highest argument, ulps as the CUDA manual) */
#ifndef CUE_DEVICE_MATH_H
#define CUE_DEVICE_MATH_H

#define DEVICE_MATH_F32(X)                                                                                             \
    X(sin, sinf(x), sinl(x), -100000.0, 100000.0, 2)                                                                   \
    X(cos, cosf(x), cosl(x), -100000.0, 100000.0, 2)                                                                   \
    X(tan, tanf(x), tanl(x), -1000.0, 1000.0, 4)                                                                       \
    X(exp, expf(x), expl(x), -90.0, 90.0, 2)                                                                           \
    X(exp2, exp2f(x), exp2l(x), -140.0, 130.0, 2)                                                                      \
    X(exp10, exp10f(x), powl(10.0L, x), -38.0, 38.0, 2)                                                                \
    X(expm1, expm1f(x), expm1l(x), -20.0, 20.0, 1)                                                                     \
    X(log, logf(x), logl(x), 0.0, 1e30, 1)                                                                             \
    X(log2, log2f(x), log2l(x), 0.0, 1e6, 1)                                                                           \
    X(log10, log10f(x), log10l(x), 0.0, 1e6, 2)                                                                        \
    X(log1p, log1pf(x), log1pl(x), -0.99, 1000.0, 1)                                                                   \
    X(pow, powf(x, 1.7f), powl(x, (long double)1.7f), 0.0, 1e6, 4)                                                     \
    X(erf, erff(x), erfl(x), -5.0, 5.0, 2)                                                                             \
    X(erfc, erfcf(x), erfcl(x), -5.0, 8.0, 4)                                                                          \
    X(tanh, tanhf(x), tanhl(x), -12.0, 12.0, 2)                                                                        \
    X(sinh, sinhf(x), sinhl(x), -80.0, 80.0, 3)                                                                        \
    X(cosh, coshf(x), coshl(x), -80.0, 80.0, 2)                                                                        \
    X(atan, atanf(x), atanl(x), -100.0, 100.0, 2)                                                                      \
    X(asin, asinf(x), asinl(x), -1.0, 1.0, 2)                                                                          \
    X(acos, acosf(x), acosl(x), -1.0, 1.0, 2)                                                                          \
    X(cbrt, cbrtf(x), cbrtl(x), -1000.0, 1000.0, 1)                                                                    \
    X(hypot, hypotf(x, 3.0f), hypotl(x, 3.0L), -100.0, 100.0, 3)                                                       \
    X(rsqrt, rsqrtf(x), 1.0L / sqrtl(x), 0.0, 1e20, 2)                                                                 \
    X(sqrt, sqrtf(x), sqrtl(x), 0.0, 1e30, 0.5)                                                                        \
    X(divide, 3.0f / x, 3.0L / x, -1e20, 1e20, 0.5)                                                                    \
    X(fmod, fmodf(x, 3.25f), fmodl(x, 3.25L), -10000.0, 10000.0, 0)                                                    \
    X(round, roundf(x), roundl(x), -1000.0, 1000.0, 0)                                                                 \
    X(rint, rintf(x), rintl(x), -1000.0, 1000.0, 0)                                                                    \
    X(fast_exp, __expf(x), expl(x), -20.0, 20.0, 40)                                                                   \
    X(fast_divide, __fdividef(x, 3.0f), x / 3.0L, -100.0, 100.0, 2)

#define DEVICE_MATH_F64(X)                                                                                             \
    X(sin, sin(x), sinl(x), -100000.0, 100000.0, 2)                                                                    \
    X(cos, cos(x), cosl(x), -1e9, 1e9, 2)                                                                              \
    X(tan, tan(x), tanl(x), -1000.0, 1000.0, 2)                                                                        \
    X(exp, exp(x), expl(x), -700.0, 700.0, 1)                                                                          \
    X(log, log(x), logl(x), 0.0, 1e100, 1)                                                                             \
    X(pow, pow(x, 1.7), powl(x, (long double)1.7), 0.0, 1e50, 2)                                                       \
    X(erf, erf(x), erfl(x), -6.0, 6.0, 2)                                                                              \
    X(tanh, tanh(x), tanhl(x), -20.0, 20.0, 2)                                                                         \
    X(log1p, log1p(x), log1pl(x), -0.99, 1000.0, 1)                                                                    \
    X(expm1, expm1(x), expm1l(x), -30.0, 30.0, 1)                                                                      \
    X(cbrt, cbrt(x), cbrtl(x), -1000.0, 1000.0, 1)                                                                     \
    X(rsqrt, rsqrt(x), 1.0L / sqrtl(x), 0.0, 1e200, 1)                                                                 \
    X(sqrt, sqrt(x), sqrtl(x), 0.0, 1e200, 0.5)                                                                        \
    X(divide, 3.0 / x, 3.0L / x, -1e100, 1e100, 0.5)                                                                   \
    X(floor, floor(x), floorl(x), -1000.0, 1000.0, 0)

enum { DEVICE_MATH_COUNT = 4000 };

#ifdef __cplusplus
extern "C" {
#endif
/* Run function `which` of the list over DEVICE_MATH_COUNT numbers in device memory. */
int device_math_f32(int which, float *out, const float *in);
int device_math_f64(int which, double *out, const double *in);
/* Arithmetic in f16 and bf16, as nvcc writes it for the architecture: out[3 * i] holds a + b, a * b, a * b + a.
 * -1 where the architecture has none (before compute_80). */
int device_math_f16(unsigned short *out, const unsigned short *in);
int device_math_bf16(unsigned short *out, const unsigned short *in);
/* 64-bit division and remainder, which are calls of nvcc's own code. */
int device_math_divide(long long *out, const long long *in);
#ifdef __cplusplus
}
#endif

#endif
