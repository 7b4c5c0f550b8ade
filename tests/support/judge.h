/* judge.h: compares arrays element by element with a bound for each, and refuses comparisons that show nothing. */
#ifndef BPT_JUDGE_H
#define BPT_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

/* False for NaN on any side, and for a bound that is not finite. */
bool bpt_within(double got, double want, double bound);

/* The first element that is not within its bound; -1: none. */
int64_t bpt_first_outside(const double *got, const double *want, const double *bound, int64_t count);

/* Whether a comparison with these wanted values says anything: at least one element, and one that is not zero. */
bool bpt_says_something(const double *want, int64_t count);

/* Fails the test with the words of `format`, the element and the figures, where an element is outside its bound or the
 * comparison says nothing. */
void bpt_compare(const double *got, const double *want, const double *bound, int64_t count, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 5, 6)))
#endif
    ;

/* Fails the test unless both are the same bits; NaN are the same where their bits are. */
void bpt_same_bits(const double *first, const double *second, int64_t count, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;

#endif
