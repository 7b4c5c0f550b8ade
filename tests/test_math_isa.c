/* Every function of kernels/math gives the same bits without SIMD, on SSE2 without FMA, on AVX2 and on AVX-512. */
#include <criterion/criterion.h>
#include <math.h>

#include "kernels/math/philox.h"
#include "math/loops.h"

#define CHUNK 4099 /* not a multiple of a vector: the loops' tails are compared too */

static void expect_same_bits(const math_loop_table *table, const char *name, const float *y, const float *expected,
                             const float *x)
{
    for (size_t i = 0; i < CHUNK; i++) {
        bool same = bpi_bits_from_float(y[i]) == bpi_bits_from_float(expected[i]);
        cr_assert(same || (isnan(y[i]) && isnan(expected[i])), "%s, %s: %a at %a, baseline %a", name, table->isa,
                  (double)y[i], (double)x[i], (double)expected[i]);
    }
}

Test(math_isa, gives_the_same_bits_on_every_instruction_set)
{
    static float x[CHUNK], expected[CHUNK], y[CHUNK];
    const math_loop_table *tables[4];
    size_t count = math_loop_tables(tables);
    const uint64_t stride = 8209;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += CHUNK * stride) {
        for (uint64_t i = 0; i < CHUNK; i++) {
            x[i] = bpi_float_from_bits((uint32_t)(bits + i * stride));
        }
        for (size_t f = 0; f < tables[0]->count; f++) {
            tables[0]->loops[f].run(expected, x, CHUNK);
            for (size_t t = 1; t < count; t++) {
                tables[t]->loops[f].run(y, x, CHUNK);
                expect_same_bits(tables[t], tables[t]->loops[f].name, y, expected, x);
            }
        }
    }
    if (count == 1) {
        cr_skip_test("this CPU has one instruction set alone for these loops");
    }
}

/* Arguments of every size and sign, of which the second is often near the first: that is where losses are. */
static void draw_pairs(uint64_t chunk, float *x1, float *x2)
{
    for (uint64_t i = 0; i < CHUNK; i++) {
        bpi_philox_block r = bpi_philox(3, chunk, i);
        x1[i] = bpi_float_from_bits(r.word[0]);
        float near = x1[i] + bpi_uniform_from_0(r.word[1]);
        float scaled = (bpi_uniform_from_0(r.word[2]) - 0.5f) * 20.0f;
        x2[i] = r.word[3] % 3 == 0 ? bpi_float_from_bits(r.word[1]) : r.word[3] % 3 == 1 ? near : scaled;
        x1[i] = r.word[3] & 0x40000000u ? scaled * near : x1[i];
    }
}

Test(math_isa, gives_the_same_bits_for_losses_and_optimisers)
{
    static float x1[CHUNK], x2[CHUNK], expected[CHUNK], y[CHUNK];
    const math_loop_table *tables[4];
    size_t count = math_loop_tables(tables);
    for (uint64_t chunk = 0; chunk < 200; chunk++) {
        draw_pairs(chunk, x1, x2);
        for (size_t f = 0; f < tables[0]->count2; f++) {
            tables[0]->loops2[f].run(expected, x1, x2, CHUNK);
            for (size_t t = 1; t < count; t++) {
                tables[t]->loops2[f].run(y, x1, x2, CHUNK);
                expect_same_bits(tables[t], tables[t]->loops2[f].name, y, expected, x1);
            }
        }
    }
    if (count == 1) {
        cr_skip_test("this CPU has one instruction set alone for these loops");
    }
}
