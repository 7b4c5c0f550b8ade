/* Scalar conversions between f32 and the narrow types that GEMMs read and write.
 * Bit arithmetic only: no CUDA header, so that the tests can use their own. */
#ifndef CUE_CUBLAS_CONVERT_H
#define CUE_CUBLAS_CONVERT_H

#include <stdint.h>
#include <string.h>

static inline uint32_t cue_bits_of_f32(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float cue_f32_of_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float cue_f32_of_bf16(uint16_t h)
{
    return cue_f32_of_bits((uint32_t)h << 16);
}

/* Round to nearest, ties to even; NaN stays NaN. */
static inline uint16_t cue_bf16_of_f32(float x)
{
    uint32_t u = cue_bits_of_f32(x);
    if (x != x)
        return 0x7fff;
    return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

/* cvt.rna.tf32.f32: 10 mantissa bits, nearest, ties away from zero. */
static inline float cue_tf32_of_f32(float x)
{
    uint32_t u = cue_bits_of_f32(x);
    if ((u & 0x7f800000u) == 0x7f800000u)
        return x;
    return cue_f32_of_bits((u + 0x1000u) & ~0x1fffu);
}

static inline float cue_f32_of_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 1023;
    if (exponent == 31)
        return cue_f32_of_bits(sign | 0x7f800000u | mantissa << 13);
    if (exponent == 0) {
        float magnitude = (float)mantissa * 0x1p-24f;
        return cue_f32_of_bits(sign | cue_bits_of_f32(magnitude));
    }
    return cue_f32_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

/* Round to nearest, ties to even; overflow gives infinity, denormals are kept. */
static inline uint16_t cue_f16_of_f32(float x)
{
    uint32_t u = cue_bits_of_f32(x), sign = (u >> 16) & 0x8000, magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return 0x7fff;
    if (magnitude >= 0x47800000u)
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000u) { /* below 2^-14: let the f32 adder round to a multiple of 2^-24 */
        float shifted = cue_f32_of_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (cue_bits_of_f32(shifted) - 0x3f000000u));
    }
    magnitude += 0xfff + ((magnitude >> 13) & 1);
    return (uint16_t)(sign | ((magnitude >> 13) - (112u << 10)));
}

#endif
