/* See judge.h. */
#include "support/judge.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool bpt_within(double got, double want, double bound)
{
    return isfinite(bound) && fabs(got - want) <= bound;
}

int64_t bpt_first_outside(const double *got, const double *want, const double *bound, int64_t count)
{
    for (int64_t k = 0; k < count; ++k)
        if (!bpt_within(got[k], want[k], bound[k]))
            return k;
    return -1;
}

bool bpt_says_something(const double *want, int64_t count)
{
    for (int64_t k = 0; k < count; ++k)
        if (fabs(want[k]) > 0.0)
            return true;
    return false;
}

void bpt_compare(const double *got, const double *want, const double *bound, int64_t count, const char *format, ...)
{
    char words[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    cr_assert(bpt_says_something(want, count), "%s: a comparison of %lld elements that are all zero", words,
              (long long)count);
    int64_t at = bpt_first_outside(got, want, bound, count);
    if (at >= 0)
        cr_assert_fail("%s: element %lld of %lld is %.17g, should be %.17g within %.3g, is off by %.3g", words,
                       (long long)at, (long long)count, got[at], want[at], bound[at], fabs(got[at] - want[at]));
}

void bpt_same_bits(const double *first, const double *second, int64_t count, const char *format, ...)
{
    char words[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    cr_assert_gt(count, 0, "%s: a comparison of nothing", words);
    for (int64_t k = 0; k < count; ++k)
        if (memcmp(&first[k], &second[k], sizeof *first) != 0)
            cr_assert_fail("%s: element %lld of %lld is %.17g once and %.17g another time", words, (long long)k,
                           (long long)count, first[k], second[k]);
}
