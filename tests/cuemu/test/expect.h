/* expect.h: what a floating-point instruction must give, computed without any rounding of the processor: the result is
 * found by bisection over all numbers of the format, comparing each with the exact value. */
#ifndef CUE_TEST_EXPECT_H
#define CUE_TEST_EXPECT_H

#include <stdbool.h>
#include <stdint.h>

typedef __float128 exact;

typedef enum expect_format { EXPECT_F16, EXPECT_BF16, EXPECT_F32, EXPECT_F64 } expect_format;
typedef enum expect_rounding { EXPECT_RN, EXPECT_RZ, EXPECT_RM, EXPECT_RP } expect_rounding;

/* An exact value, by its sign relative to any x that needs at most 54 bits. */
typedef struct expect_value {
    enum { EXPECT_SUM, EXPECT_PRODUCT_SUM, EXPECT_QUOTIENT, EXPECT_ROOT } kind;
    exact a, b, c; /* a + b | a * b + c | a / b | sqrt(a) */
} expect_value;

/* expect_round: bits of the finite, exact value in the format. An exact zero is the caller's: it has a sign of its own.
 */
uint64_t expect_round(const expect_value *value, expect_format format, expect_rounding rounding);

double expect_to_double(uint64_t bits, expect_format format);
bool expect_is_nan(uint64_t bits, expect_format format);
bool expect_is_subnormal(uint64_t bits, expect_format format);
uint64_t expect_nan(expect_format format); /* what instructions make */
uint64_t expect_sign_bit(expect_format format);
int expect_bits(expect_format format);

/* expect_ulps: distance of two numbers of the format in units of the last place; huge where one is NaN and the other is
 * not. */
double expect_ulps(uint64_t got, double want, expect_format format);

#endif
