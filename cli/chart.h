/* chart.h: a curve, and single values, as bars of characters. */
#ifndef CLI_CHART_H
#define CLI_CHART_H

#include <stdbool.h>
#include <stddef.h>

/* What a curve spans, over its finite values. Where they are positive and span more than a factor of 50, the axis is
 * logarithmic: else nothing would be seen of all but the largest. */
typedef struct chart_range {
    double least, most; /* least > most: there is no finite value */
    bool log;
} chart_range;

chart_range chart_span(const double *values, size_t count);

/* Bars over `width` columns with the range at the left; values that are not finite are gaps. To standard output. */
void chart_print(const double *values, size_t count, const chart_range *range, int width, bool utf8);

/* One bar from the left in that many columns, all of which are written: the longest for range->most, from 0 on a plain
 * axis; on a logarithmic one the shortest for range->least. None for 0 and what is not finite. To standard output. */
void chart_bar(double value, const chart_range *range, int columns, bool utf8);

#endif
