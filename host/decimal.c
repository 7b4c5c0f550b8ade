/* decimal.c: decimal text to double, always the nearest double. Numbers of up to 19 digits with small exponents are
 * done here, exactly; the others by strtod in the C locale. */
#include "host/decimal.h"

#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* digits * 10^exponent, cut to 19 digits (19 nines fit 64 bits). */
typedef struct decimal {
    uint64_t digits;
    int64_t exponent;
    bool cut; /* digits other than leading zeros were left out */
} decimal;

enum { MAX_DIGITS = 19, LARGEST_EXPONENT = 99999 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits from `at` on. Returns where they end; *count counts those that are not leading zeros. */
static const char *scan_digits(const char *at, decimal *number, int *count)
{
    for (; is_digit(*at); at++) {
        if (*count == MAX_DIGITS) {
            number->cut = true;
            continue;
        }
        number->digits = number->digits * 10 + (uint64_t)(*at - '0');
        *count += number->digits != 0;
    }
    return at;
}

/* What follows the digits, where it is an exponent; otherwise nothing is taken. */
static const char *scan_exponent(const char *at, decimal *number)
{
    if (*at != 'e' && *at != 'E')
        return at;
    const char *digit = at + 1;
    bool negative = *digit == '-';
    if (*digit == '-' || *digit == '+')
        digit++;
    if (!is_digit(*digit))
        return at;
    int64_t exponent = 0;
    for (; is_digit(*digit); digit++)
        if (exponent < LARGEST_EXPONENT)
            exponent = exponent * 10 + (*digit - '0');
    number->exponent += negative ? -exponent : exponent;
    return digit;
}

static const char *scan(const char *text, decimal *number)
{
    int count = 0;
    const char *whole = text;
    const char *at = scan_digits(whole, number, &count);
    bool any = at != whole;
    if (*at == '.') {
        const char *fraction = at + 1;
        at = scan_digits(fraction, number, &count);
        any = any || at != fraction;
        number->exponent = fraction - at;
    }
    return any ? scan_exponent(at, number) : NULL;
}

/* digits / 10^power for 2^53 <= digits < 2^64, 1 <= power <= 27. 10^power = 2^power 5^power, and 5^27 < 2^63, so the
 * quotient of digits 2^64 by 5^power has at least 54 bits: 53, one that tells which way to round, and the remainder. */
static double divide(uint64_t digits, int power)
{
    uint64_t divisor = 1;
    for (int i = 0; i < power; i++)
        divisor *= 5;
    unsigned __int128 numerator = (unsigned __int128)digits << 64;
    unsigned __int128 quotient = numerator / divisor;
    bool exact = quotient * divisor == numerator;
    uint64_t high = (uint64_t)(quotient >> 64);
    int bits = high ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll((uint64_t)quotient);
    int drop = bits - 53;
    uint64_t kept = (uint64_t)(quotient >> drop);
    unsigned __int128 rest = quotient - ((unsigned __int128)kept << drop);
    unsigned __int128 half = (unsigned __int128)1 << (drop - 1);
    if (rest > half || (rest == half && (!exact || (kept & 1))))
        kept++; /* up to 2^53, which is exact in double */
    return ldexp((double)kept, drop - 64 - power);
}

/* strtod reads the decimal point of the process's locale, which is not ours to change. */
static double convert_slowly(const char *text)
{
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale == (locale_t)0)
        return (double)NAN;
    locale_t previous = uselocale(c_locale);
    double value = strtod(text, NULL);
    uselocale(previous);
    freelocale(c_locale);
    return value;
}

const char *bpi_decimal_parse(const char *text, double *value)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    decimal number = {0, 0, false};
    bool negative = *text == '-';
    const char *start = text + (*text == '-' || *text == '+');
    const char *end = scan(start, &number);
    if (!end)
        return NULL;
    double magnitude;
    /* Both factors are exact in double, so the one rounding is the right one. */
    if (!number.cut && number.digits <= (uint64_t)1 << 53 && number.exponent >= -22 && number.exponent <= 22)
        magnitude = number.exponent < 0 ? (double)number.digits / powers[-number.exponent]
                                        : (double)number.digits * powers[number.exponent];
    else if (!number.cut && number.digits >= (uint64_t)1 << 53 && number.exponent < 0 && number.exponent >= -27)
        magnitude = divide(number.digits, (int)-number.exponent);
    else
        magnitude = convert_slowly(start);
    *value = negative ? -magnitude : magnitude;
    return end;
}
