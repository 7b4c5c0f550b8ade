/* values.c: see values.h. */
#include "values.h"

/* Edges of a format from its parameters: zeros, denormals, the border to normal numbers, ones with their neighbours,
 * values whose sums and products are ties, the largest, infinities, NaNs. */
static int float_edges(uint64_t *edges, expect_format format)
{
    uint64_t sign = expect_sign_bit(format), one, inf;
    int fraction_bits = format == EXPECT_F16 ? 10 : format == EXPECT_BF16 ? 7 : format == EXPECT_F32 ? 23 : 52;
    uint64_t ulp_one = (uint64_t)1 << fraction_bits;
    inf = (sign - 1) / ulp_one * ulp_one;
    one = inf / 2 / ulp_one * ulp_one; /* the bias as exponent */
    uint64_t positive[] = {0,
                           1,
                           ulp_one - 1,
                           ulp_one,
                           ulp_one + 1,
                           one,
                           one + 1,
                           one - 1,
                           one + ulp_one,
                           one + ulp_one / 2,
                           one + ulp_one / 2 + 1,
                           one - ulp_one,
                           one - (uint64_t)(fraction_bits + 1) * ulp_one, /* half an ulp of one */
                           one - (uint64_t)(fraction_bits + 1) * ulp_one + 1,
                           one + (uint64_t)fraction_bits * ulp_one + 1,
                           one + 2 * ulp_one + ulp_one / 4,
                           inf - 1,
                           inf - ulp_one,
                           inf,
                           inf + 1,
                           inf + ulp_one / 2};
    int count = 0;
    for (unsigned i = 0; i < sizeof positive / sizeof positive[0]; i++) {
        edges[count++] = positive[i];
        edges[count++] = positive[i] | sign;
    }
    return count;
}

static uint64_t random_float(expect_format format)
{
    uint64_t bits = test_random() >> 5 & (expect_sign_bit(format) | (expect_sign_bit(format) - 1));
    if (test_random() % 2 == 0)
        return bits;
    /* exponents near that of one, so that sums and products meet */
    int fraction_bits = format == EXPECT_F16 ? 10 : format == EXPECT_BF16 ? 7 : format == EXPECT_F32 ? 23 : 52;
    uint64_t fraction = bits & (((uint64_t)1 << fraction_bits) - 1);
    uint64_t bias = (expect_sign_bit(format) >> fraction_bits) / 2 - 1;
    return (bits & expect_sign_bit(format)) | (bias - 4 + test_random() % 9) << fraction_bits | fraction;
}

static uint64_t rubbish_above(uint64_t value, int bits)
{
    return bits >= 64 ? value : value | test_random() << bits;
}

int test_fill_floats(test_case *cases, int room, expect_format format, bool packed)
{
    uint64_t edges[64];
    int edge_count = float_edges(edges, format), count = 0, bits = expect_bits(format);
    for (; count < room; count++) {
        uint64_t *in = cases[count].in;
        bool edge = count < edge_count * edge_count;
        in[0] = edge ? edges[count % edge_count] : random_float(format);
        in[1] = edge ? edges[count / edge_count] : random_float(format);
        in[2] = test_random() % 3 == 0 ? edges[test_random() % (uint64_t)edge_count] : random_float(format);
        in[3] = test_random();
        for (int k = 0; k < 3 && packed; k++)
            in[k] |= (test_random() % 2 ? edges[test_random() % (uint64_t)edge_count] : random_float(format)) << 16;
        for (int k = 0; k < 3; k++)
            in[k] = rubbish_above(in[k], packed ? 32 : bits);
    }
    return count;
}

int test_fill_integers(test_case *cases, int room, int bits)
{
    uint64_t top = (uint64_t)1 << (bits - 1), all = top | (top - 1);
    const uint64_t edges[] = {0,       1,       2,        3,         7,         8,           15,
                              16,      17,      23,       24,        31,        32,          33,
                              63,      64,      65,       127,       128,       255,         256,
                              257,     top,     top - 1,  top + 1,   all,       all - 1,     all / 3,
                              top / 2, all / 5, 0x12345u, 0x800000u, 0x7fffffu, 0x80000000u, 0x7fffffffu};
    const int edge_count = sizeof edges / sizeof edges[0];
    int count = 0;
    for (; count < room; count++) {
        uint64_t *in = cases[count].in;
        bool edge = count < edge_count * edge_count;
        in[0] = (edge ? edges[count % edge_count] : test_random()) & all;
        in[1] = (edge ? edges[count / edge_count] : test_random() >> test_random() % 64) & all;
        in[2] = (test_random() % 2 ? edges[test_random() % (uint64_t)edge_count] : test_random()) & all;
        in[3] = test_random() % 70;
        for (int k = 0; k < 3; k++)
            in[k] = rubbish_above(in[k], bits);
    }
    return count;
}
