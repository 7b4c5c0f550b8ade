/* Ground for kernels/math: the function qualifier, the fused multiply-add and bit access, the same in C11 and CUDA C++.
 *
 * Contract: every function of kernels/math gives the same bits in scalar code, at every SIMD width, with and without
 * hardware FMA, and on the GPU (a NaN is a NaN; its payload is free). That holds for builds that round each operation
 * once and keep denormals: C with -ffp-contract=off and without -ffast-math or flush-to-zero, nvcc with --fmad=false
 * and its defaults --ftz=false --prec-div=true --prec-sqrt=true. Loops over the functions vectorise in gcc and clang
 * with -fno-trapping-math -fno-math-errno (clang's own defaults on Linux but for errno; neither changes a value). */
#ifndef BPI_MATH_PORTABLE_H
#define BPI_MATH_PORTABLE_H

#include <stdint.h>

#if defined(__FAST_MATH__) || defined(__CUDA_FTZ) || (defined(__USE_FAST_MATH__) && __USE_FAST_MATH__)
#error "kernels/math needs IEEE arithmetic: build without fast-math and without flush-to-zero"
#endif

/* Always inline: a loop around a call doesn't vectorise, and in a function with a target attribute the body must be
 * compiled for that target. */
#if defined(__CUDACC__)
#define BPI_MATH_FN static __host__ __device__ __forceinline__
#else
#define BPI_MATH_FN static inline __attribute__((always_inline))
#endif

/* 1 where bpi_fmaf may be an instruction. Code that reaches FMA through __attribute__((target("fma"))), which leaves
 * __FMA__ undefined, defines BPI_MATH_HARDWARE_FMA as 1 before the first include and calls from such functions alone.
 */
#if !defined(BPI_MATH_HARDWARE_FMA)
#if defined(__CUDA_ARCH__) || defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define BPI_MATH_HARDWARE_FMA 1
#else
#define BPI_MATH_HARDWARE_FMA 0
#endif
#endif

#define BPI_MATH_INF (__builtin_inff())
#define BPI_MATH_NAN (__builtin_nanf(""))

typedef union {
    float as_float;
    uint32_t as_bits;
} bpi_float_bits;

BPI_MATH_FN uint32_t bpi_bits_from_float(float x)
{
    bpi_float_bits v;
    v.as_float = x;
    return v.as_bits;
}

BPI_MATH_FN float bpi_float_from_bits(uint32_t bits)
{
    bpi_float_bits v;
    v.as_bits = bits;
    return v.as_float;
}

/* a * b + c rounded once, without an FMA instruction and without libm, in steps that vectorise on SSE2.
 * The product is exact in double. s + e is the exact sum (Knuth's two-sum). Rounding s to float goes wrong only where s
 * lies midway between two floats and e says which of them is nearer; such an s has at most 25 significant bits, so it
 * equals its own Veltkamp head of 25 bits, and then it may be moved by one or two units in its last place towards e
 * without meeting another midpoint. Infinities and NaN make e and rest NaN: no move. */
BPI_MATH_FN float bpi_fmaf_emulated(float a, float b, float c)
{
    double product = (double)a * (double)b;
    double addend = (double)c;
    double s = product + addend;
    double t = s - product;
    double e = (product - (s - t)) + (addend - t);
    double scaled = s * 268435457.0; /* 2^28 + 1 */
    double rest = s - (scaled - (scaled - s));
    double step = __builtin_fabs(s) * 0x1p-52;
    double up = s + step;
    double down = s - step;
    double moved = e > 0.0 ? up : s;
    moved = e < 0.0 ? down : moved;
    moved = rest > 0.0 ? s : moved;
    moved = rest < 0.0 ? s : moved;
    return (float)moved;
}

/* a * b + c rounded once. */
BPI_MATH_FN float bpi_fmaf(float a, float b, float c)
{
#if BPI_MATH_HARDWARE_FMA
    return __builtin_fmaf(a, b, c);
#else
    return bpi_fmaf_emulated(a, b, c);
#endif
}

BPI_MATH_FN float bpi_abs(float x)
{
    return __builtin_fabsf(x);
}

/* The magnitude of `magnitude` (which must not be negative) with the sign of `sign`. */
BPI_MATH_FN float bpi_with_sign_of(float magnitude, float sign)
{
    return bpi_float_from_bits(bpi_bits_from_float(magnitude) | (bpi_bits_from_float(sign) & 0x80000000u));
}

/* Limits that let NaN through: a comparison with NaN is false. */
BPI_MATH_FN float bpi_at_least(float x, float low)
{
    return x < low ? low : x;
}

BPI_MATH_FN float bpi_at_most(float x, float high)
{
    return x > high ? high : x;
}

/* value, or x itself where x is NaN: for results of comparisons, which would lose the NaN. */
BPI_MATH_FN float bpi_unless_nan(float x, float value)
{
    return __builtin_isnan(x) ? x : value;
}

/* Correctly rounded; a vector instruction only with -fno-math-errno. */
BPI_MATH_FN float bpi_sqrt(float x)
{
    return __builtin_sqrtf(x);
}

#endif
