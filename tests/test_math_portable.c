/* The ground of kernels/math: the fused multiply-add without its instruction, and what lets NaN through. */
#include <criterion/criterion.h>
#include <math.h>

#include "kernels/math/philox.h"
#include "kernels/math/portable.h"

static void expect_fmaf(float a, float b, float c)
{
    float y = bpi_fmaf_emulated(a, b, c);
    float expected = fmaf(a, b, c);
    cr_assert((isnan(y) && isnan(expected)) || bpi_bits_from_float(y) == bpi_bits_from_float(expected),
              "%a * %a + %a is %a, not %a", (double)a, (double)b, (double)c, (double)y, (double)expected);
}

Test(math_portable, emulated_fmaf_rounds_once_on_random_bits)
{
    for (uint64_t i = 0; i < 3000000; i++) {
        bpi_philox_block r = bpi_philox(1, 0, i);
        expect_fmaf(bpi_float_from_bits(r.word[0]), bpi_float_from_bits(r.word[1]), bpi_float_from_bits(r.word[2]));
    }
}

/* The sum of the double arithmetic lies midway between floats, and c or the product's tail says which way to go: c at
 * every distance from the product, with few bits, so that carries, ties and near-ties all come. */
Test(math_portable, emulated_fmaf_rounds_once_where_rounding_twice_would_not)
{
    int64_t twice_differs = 0;
    for (uint64_t i = 0; i < 3000000; i++) {
        bpi_philox_block r = bpi_philox(2, 0, i);
        float a = bpi_float_from_bits(0x3f800000u | (r.word[0] & 0x007ff800u & r.word[1]));
        float b = bpi_float_from_bits(0x3f800000u | (r.word[2] & 0x007fffffu & (r.word[1] << 7)));
        float c = bpi_float_from_bits((r.word[3] & 0x80700003u) | (((r.word[3] >> 8) % 128u + 64u) << 23));
        expect_fmaf(a, b, c);
        float twice = (float)((double)a * (double)b + (double)c);
        twice_differs += bpi_bits_from_float(twice) != bpi_bits_from_float(fmaf(a, b, c));
    }
    cr_expect(twice_differs > 100, "only %lld of the cases need the correction", (long long)twice_differs);
}

Test(math_portable, emulated_fmaf_agrees_on_every_kind_of_number)
{
    const float kinds[] = {0.0f,     0x1p-149f,        0x1.fffffcp-127f, 0x1p-126f, 0x1.000002p-1f, 1.0f,
                           0x1p+24f, 0x1.fffffep+127f, 0x1.8p+0f,        0x1p-100f, 0x1p+100f,      INFINITY,
                           NAN};
    const size_t count = sizeof kinds / sizeof kinds[0];
    for (size_t i = 0; i < 8 * count * count * count; i++) {
        size_t k = i / 8;
        float a = kinds[k % count], b = kinds[k / count % count], c = kinds[k / count / count];
        expect_fmaf(i & 1 ? -a : a, i & 2 ? -b : b, i & 4 ? -c : c);
    }
}

Test(math_portable, limits_and_selection_let_nan_through)
{
    cr_expect(isnan(bpi_at_least(NAN, 1.0f)));
    cr_expect(isnan(bpi_at_most(NAN, 1.0f)));
    cr_expect(isnan(bpi_unless_nan(NAN, 1.0f)));
    cr_expect(bpi_unless_nan(INFINITY, 1.0f) == 1.0f);
    cr_expect(bpi_at_least(-INFINITY, 1.0f) == 1.0f);
    cr_expect(bpi_at_most(INFINITY, 1.0f) == 1.0f);
    cr_expect(bpi_with_sign_of(3.0f, -0.0f) == -3.0f);
}
