/* bf16, the upper half of an f32, and back. Exact to f32; to bf16 rounded to nearest, ties to even, relative error at
 * most 2^-8 in the normal range. Infinity stays, a finite value past 0x1.fep127 + half a unit becomes infinity, NaN
 * stays NaN (quiet, so that truncating its payload cannot make infinity of it), denormals are kept. */
#ifndef BPI_MATH_BF16_H
#define BPI_MATH_BF16_H

#include "kernels/math/portable.h"

BPI_MATH_FN float bpi_float_from_bf16(uint16_t bf16)
{
    return bpi_float_from_bits((uint32_t)bf16 << 16);
}

/* Adding 0x7fff, and one more where the kept part is odd, carries exactly where rounding goes up. */
BPI_MATH_FN uint16_t bpi_bf16_from_float(float x)
{
    uint32_t bits = bpi_bits_from_float(x);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    uint32_t quiet = (bits >> 16) | 0x40u;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

#endif
