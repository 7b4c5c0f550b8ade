/* bf16: every one of its 65,536 values, and the rounding of float32 against a search for the nearest. */
#include <criterion/criterion.h>
#include <math.h>

#include "kernels/math/bf16.h"
#include "kernels/math/philox.h"

Test(math_bf16, every_bf16_comes_back_from_float)
{
    for (uint32_t bits = 0; bits <= UINT16_MAX; bits++) {
        float x = bpi_float_from_bf16((uint16_t)bits);
        uint32_t back = bpi_bf16_from_float(x);
        if (isnan(x)) {
            cr_assert(isnan(bpi_float_from_bf16((uint16_t)back)) && (back & 0x40u) != 0, "NaN %#x became %#x", bits,
                      back);
        } else {
            cr_assert(back == bits, "%#x became %#x", bits, back);
        }
    }
}

/* The candidates are the truncation and its neighbour away from zero; distances are exact in double. Infinity counts as
 * 2^128, as IEEE 754 says. */
static void expect_nearest_even(float x)
{
    uint32_t low = bpi_bits_from_float(x) >> 16;
    double below = (double)bpi_float_from_bf16((uint16_t)low);
    double above = (double)bpi_float_from_bf16((uint16_t)(low + 1));
    above = isinf(above) ? copysign(0x1p128, above) : above;
    double to_below = fabs((double)x - below), to_above = fabs((double)x - above);
    uint32_t expected = to_below < to_above || (to_below <= to_above && (low & 1u) == 0) ? low : low + 1;
    cr_assert(bpi_bf16_from_float(x) == expected, "%a became %#x, not %#x", (double)x, bpi_bf16_from_float(x),
              expected);
}

Test(math_bf16, rounds_to_the_nearest_and_ties_to_even)
{
    for (uint64_t i = 0; i < 1000000; i++) {
        uint32_t word = bpi_philox(41, 0, i).word[0];
        uint32_t tie = (word & 0xffff0000u) | 0x8000u;
        const uint32_t candidates[] = {word, tie, tie - 1u, tie + 1u, word & 0xffff0000u};
        for (size_t k = 0; k < sizeof candidates / sizeof candidates[0]; k++) {
            float x = bpi_float_from_bits(candidates[k]);
            if (isfinite(x)) {
                expect_nearest_even(x);
            }
        }
    }
}

Test(math_bf16, keeps_infinity_and_never_makes_one_of_nan)
{
    cr_expect(isinf(bpi_float_from_bf16(bpi_bf16_from_float(-INFINITY))));
    cr_expect(isinf(bpi_float_from_bf16(bpi_bf16_from_float(0x1.fffffep+127f))));
    cr_expect(isfinite(bpi_float_from_bf16(bpi_bf16_from_float(0x1.fefffep+127f))));
    const uint32_t nans[] = {0x7f800001u, 0xff800001u, 0x7fffffffu, 0xffffffffu, 0x7fc00000u, 0x7f80ffffu};
    for (size_t i = 0; i < sizeof nans / sizeof nans[0]; i++) {
        float back = bpi_float_from_bf16(bpi_bf16_from_float(bpi_float_from_bits(nans[i])));
        cr_expect(isnan(back), "%#x", nans[i]);
        cr_expect((signbit(back) != 0) == (nans[i] >> 31 != 0), "the sign of %#x", nans[i]);
    }
}
