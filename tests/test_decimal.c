/* decimal: every number becomes the double that is nearest to it, which strtod of the C library finds as well. */
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/decimal.h"
#include "support/random.h"
#include "support/status.h"

static void assert_same_as_strtod(const char *text)
{
    double got = (double)NAN;
    char *end;
    double wanted = strtod(text, &end);
    const char *stop = bpi_decimal_parse(text, &got);
    cr_assert(stop == end, "%s: stopped at %s", text, stop ? stop : "nothing");
    cr_assert_eq(memcmp(&got, &wanted, sizeof got), 0, "%s: %a, wanted %a", text, got, wanted);
}

Test(decimal, hard_and_easy_numbers_are_rounded_like_strtod)
{
    static const char *const table[] = {
        "0",
        "-0",
        "+0",
        "1",
        "-1",
        "+1",
        "007",
        "0.1",
        ".5",
        "5.",
        "-.5e-3",
        "1e0",
        "1E5",
        "1e+5",
        "1e-5",
        "123456789",
        "0.000000000000000000000000000000000000001",
        "1e22",
        "1e23",
        "1e-22",
        "1e-23",
        "1e-27",
        "1e-28",
        /* around 2^53, where integers stop to be exact */
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "9007199254740994",
        "9007199254740995",
        "900719925474099.3",
        "9007199254740993e-1",
        "9007199254740993e-5",
        "9007199254740993e-22",
        /* ties and their neighbours: 1 + 2^-53 written out */
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124",
        "1.00000000000000011102230246251565404236316680908203126",
        /* 17 to 20 digits */
        "0.30000000000000004",
        "1.7976931348623157e308",
        "123456789012345678",
        "1234567890123456789",
        "12345678901234567890",
        "18446744073709551615",
        "18446744073709551616",
        "9999999999999999999",
        "0.9999999999999999999",
        "9223372036854775807e-27",
        "9999999999999999999e-27",
        "9999999999999999999e-1",
        "9007199254740993e-27",
        /* the ends of the range */
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e308",
        "1e309",
        "1e99999999999",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1e-400",
        "1e-99999999999",
        "0e99999999999",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        /* where a number ends */
        "1,2",
        "1 ",
        "1e",
        "1e+",
        "1e-x",
        "1.5.5",
        "1-",
        "0y10",
        "1\"",
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_same_as_strtod(table[i]);
}

Test(decimal, text_without_a_number_is_none)
{
    static const char *const table[] = {"",    " 1",   ".",   "-",   "+", "-.",    "e5",  ".e5", "nan",
                                        "inf", "-inf", "NaN", "abc", ",", "\"1\"", "--1", "+-1", "x"};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        double value;
        cr_assert_null(bpi_decimal_parse(table[i], &value), "%s", table[i]);
    }
    double value;
    const char *text = "0x10";
    cr_assert(bpi_decimal_parse(text, &value) == text + 1 && value == 0.0, "hexadecimal numbers are no decimals");
}

/* 400,000 numbers in the forms that programs print: shortest and 17 digits of random doubles, fixed notation, and
 * random digits with random exponents. */
Test(decimal, random_numbers_are_rounded_like_strtod)
{
    bpt_random random = {7};
    for (int i = 0; i < 100000; i++) {
        char text[400];
        uint64_t bits = bpt_random_bits(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) {
            snprintf(text, sizeof text, "%.17g", value);
            assert_same_as_strtod(text);
        }
        snprintf(text, sizeof text, "%.16g", bpt_random_uniform(&random, -10.0, 10.0));
        assert_same_as_strtod(text);
        snprintf(text, sizeof text, "%.*f", (int)bpt_random_below(&random, 20), bpt_random_uniform(&random, -1e6, 1e6));
        assert_same_as_strtod(text);
        uint64_t digits = bpt_random_bits(&random) >> bpt_random_below(&random, 64);
        snprintf(text, sizeof text, "%" PRIu64 "e%d", digits, (int)bpt_random_below(&random, 80) - 40);
        assert_same_as_strtod(text);
    }
}

/* Halfway between two doubles, and one unit of the last digit beside it: odd / 2^k with 54 bits is such a number, and
 * it is odd 5^k / 10^k; odd 5^4 still fits 64 bits and mostly has 19 digits or fewer. */
Test(decimal, ties_go_to_even)
{
    bpt_random random = {8};
    for (int i = 0; i < 20000; i++) {
        uint64_t digits = (bpt_random_bits(&random) >> 10 | (uint64_t)1 << 53) | 1;
        for (int k = 1; k <= 4; k++) {
            digits *= 5;
            for (int off = -1; off <= 1; off++) {
                char text[64];
                snprintf(text, sizeof text, "%" PRIu64 "e-%d", digits + (uint64_t)off, k);
                assert_same_as_strtod(text);
            }
        }
    }
}

Test(decimal, decimal_point_is_a_point_in_every_locale)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8", "de_DE", "fr_FR"};
    bool found = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++)
        found = setlocale(LC_ALL, names[i]) && localeconv()->decimal_point[0] == ',';
    if (!found)
        cr_skip_test("no locale with a decimal comma is installed (Debian: locales-all)");
    double value;
    const char *text = "0.12345678901234567890123";
    cr_assert(bpi_decimal_parse(text, &value) == text + strlen(text));
    cr_assert_eq(value, 0.12345678901234567890123);
    cr_assert_eq(strtod("0.5", NULL), 0.0, "the locale of the process was changed");
}
