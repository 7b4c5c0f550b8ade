/* series.h: a curve made fit for drawing: not more points than can be seen, and its trend. */
#ifndef CLI_SERIES_H
#define CLI_SERIES_H

#include <stddef.h>

typedef struct series {
    double *x, *y; /* y NaN: the curve has a gap here */
    size_t count;
} series;

/* Room for count points; x is NULL where memory is out. Free with series_free. */
series series_make(size_t count);
void series_free(series *s);

/* Keeps about `most` points: of each stretch of neighbours the lowest and the highest, so that no peak is lost. In
 * place. */
void series_thin(series *s, size_t most);

enum { SERIES_TREND_LEAST = 50 };

/* The centred mean over a 25th of the curve; NaN where all of that is NaN. A curve of fewer than SERIES_TREND_LEAST
 * points is its own trend. */
series series_trend(const series *s);

#endif
