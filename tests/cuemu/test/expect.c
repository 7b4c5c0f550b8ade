/* expect.c: see expect.h. */
#include "expect.h"

#include <math.h>
#include <string.h>

static const struct {
    int fraction_bits, exponent_bits;
} formats[] = {[EXPECT_F16] = {10, 5}, [EXPECT_BF16] = {7, 8}, [EXPECT_F32] = {23, 8}, [EXPECT_F64] = {52, 11}};

int expect_bits(expect_format format)
{
    return 1 + formats[format].fraction_bits + formats[format].exponent_bits;
}

uint64_t expect_sign_bit(expect_format format)
{
    return (uint64_t)1 << (expect_bits(format) - 1);
}

static uint64_t infinity_bits(expect_format format)
{
    return (((uint64_t)1 << formats[format].exponent_bits) - 1) << formats[format].fraction_bits;
}

bool expect_is_nan(uint64_t bits, expect_format format)
{
    return (bits & (expect_sign_bit(format) - 1)) > infinity_bits(format);
}

bool expect_is_subnormal(uint64_t bits, expect_format format)
{
    uint64_t magnitude = bits & (expect_sign_bit(format) - 1);
    return magnitude != 0 && magnitude >> formats[format].fraction_bits == 0;
}

uint64_t expect_nan(expect_format format)
{
    return format == EXPECT_F64 ? 0x7ff8000000000000u : expect_sign_bit(format) - 1;
}

static exact power_of_two(int n)
{
    exact p = 1, base = n < 0 ? (exact)0.5 : (exact)2;
    for (int k = n < 0 ? -n : n; k > 0; k >>= 1) {
        if (k & 1)
            p *= base;
        base *= base;
    }
    return p;
}

/* value_of: a magnitude; the one after the largest finite number stands for where infinity begins. */
static exact value_of(uint64_t magnitude, expect_format format)
{
    int fraction_bits = formats[format].fraction_bits, bias = (1 << (formats[format].exponent_bits - 1)) - 1;
    uint64_t exponent = magnitude >> fraction_bits, fraction = magnitude & (((uint64_t)1 << fraction_bits) - 1);
    if (exponent != 0)
        fraction |= (uint64_t)1 << fraction_bits;
    return (exact)fraction * power_of_two((exponent != 0 ? (int)exponent : 1) - bias - fraction_bits);
}

double expect_to_double(uint64_t bits, expect_format format)
{
    bits &= expect_sign_bit(format) | (expect_sign_bit(format) - 1);
    uint64_t magnitude = bits & (expect_sign_bit(format) - 1);
    double value = expect_is_nan(bits, format)          ? (double)NAN
                   : magnitude == infinity_bits(format) ? (double)INFINITY
                                                        : (double)value_of(magnitude, format);
    return bits & expect_sign_bit(format) ? -value : value;
}

static exact size(exact x)
{
    return x < 0 ? -x : x;
}

static int sign(exact x)
{
    return x > 0 ? 1 : x < 0 ? -1 : 0;
}

/* sign_of_sum: of a + b - x. The two largest in size are added first: where they cancel their sum is exact, and where
 * they do not, what is lost cannot turn the sign. */
static int sign_of_sum(exact a, exact b, exact x)
{
    exact terms[3] = {a, b, -x};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2 - i; k++)
            if (size(terms[k]) < size(terms[k + 1])) {
                exact t = terms[k];
                terms[k] = terms[k + 1];
                terms[k + 1] = t;
            }
    return sign((terms[0] + terms[1]) + terms[2]);
}

/* compare: sign of the exact value minus x. */
static int compare(const expect_value *v, exact x)
{
    switch (v->kind) {
    case EXPECT_SUM:
        return sign_of_sum(v->a, v->b, x);
    case EXPECT_PRODUCT_SUM:
        return sign_of_sum(v->a * v->b, v->c, x);
    case EXPECT_QUOTIENT:
        return sign(v->a - x * v->b) * sign(v->b);
    default:
        return x < 0 ? 1 : sign(v->a - x * x);
    }
}

uint64_t expect_round(const expect_value *value, expect_format format, expect_rounding rounding)
{
    bool negative = compare(value, 0) < 0;
    int turn = negative ? -1 : 1;
    uint64_t low = 0, high = infinity_bits(format); /* low <= |value|, and high is too large or infinity */
    if (turn * compare(value, turn * value_of(high, format)) >= 0)
        low = high;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (turn * compare(value, turn * value_of(middle, format)) >= 0)
            low = middle;
        else
            high = middle;
    }
    bool is_exact = low < infinity_bits(format) && compare(value, turn * value_of(low, format)) == 0;
    bool up = false;
    if (!is_exact && low < infinity_bits(format)) {
        int middle = turn * compare(value, turn * ((value_of(low, format) + value_of(low + 1, format)) / 2));
        up = rounding == EXPECT_RN   ? middle > 0 || (middle == 0 && (low & 1))
             : rounding == EXPECT_RZ ? false
             : rounding == EXPECT_RM ? negative
                                     : !negative;
    } else if (low == infinity_bits(format)) {
        bool stays =
            rounding == EXPECT_RZ || (rounding == EXPECT_RM && !negative) || (rounding == EXPECT_RP && negative);
        low -= stays;
    }
    return (negative ? expect_sign_bit(format) : 0) | (low + up);
}

double expect_ulps(uint64_t got, double want, expect_format format)
{
    if (isnan(want) || expect_is_nan(got, format))
        return isnan(want) && expect_is_nan(got, format) ? 0 : HUGE_VAL;
    double value = expect_to_double(got, format);
    if (value == want)
        return 0;
    double largest = (double)value_of(infinity_bits(format) - 1, format);
    if (isinf(value) || isinf(want)) /* infinity for what rounds beyond the largest number */
        return fabs(isinf(value) ? want : value) >= largest && (value > 0) == (want > 0) ? 1 : HUGE_VAL;
    int exponent;
    frexp(want, &exponent);
    int lowest = 2 - (1 << (formats[format].exponent_bits - 1));
    exponent = exponent - 1 < lowest ? lowest : exponent - 1;
    return fabs(value - want) / ldexp(1.0, exponent - formats[format].fraction_bits);
}
