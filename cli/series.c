/* series.c: see series.h. */
#include "series.h"

#include <math.h>
#include <stdlib.h>

series series_make(size_t count)
{
    series s = {.x = calloc(2 * count + 1, sizeof *s.x), .count = count};
    s.y = s.x ? s.x + count : NULL;
    return s;
}

void series_free(series *s)
{
    free(s->x);
    *s = (series){0};
}

/* Indices of the least and the greatest y of [from,to), in the order of x; a stretch without a number yields NaNs. */
static void extremes(const series *s, size_t from, size_t to, size_t at[2])
{
    size_t low = from, high = from;
    for (size_t i = from; i < to; i++) {
        if (!(s->y[low] <= s->y[i]))
            low = isnan(s->y[i]) ? low : i;
        if (!(s->y[high] >= s->y[i]))
            high = isnan(s->y[i]) ? high : i;
    }
    if (low == high)
        high = to - 1; /* a level stretch goes to its end */
    at[0] = low < high ? low : high;
    at[1] = low < high ? high : low;
}

void series_thin(series *s, size_t most)
{
    size_t stretches = most / 2, kept = 0, count = s->count;
    if (count <= most)
        return;
    for (size_t i = 0; i < stretches; i++) {
        size_t at[2];
        /* both ends of a stretch are at or behind what was kept of those before it, so that nothing is overwritten */
        extremes(s, i * count / stretches, (i + 1) * count / stretches, at);
        for (int j = 0; j < 2; j++, kept++) {
            s->x[kept] = s->x[at[j]];
            s->y[kept] = s->y[at[j]];
        }
    }
    s->count = kept;
}

series series_trend(const series *s)
{
    series trend = series_make(s->count);
    size_t half = s->count / SERIES_TREND_LEAST, from = 0, to = 0, finite = 0;
    double sum = 0;
    for (size_t i = 0; trend.x && i < s->count; i++) {
        for (; to < s->count && to <= i + half; to++)
            if (isfinite(s->y[to])) {
                sum += s->y[to];
                finite++;
            }
        for (; from + half < i; from++)
            if (isfinite(s->y[from])) {
                sum -= s->y[from];
                finite--;
            }
        trend.x[i] = s->x[i];
        trend.y[i] = finite ? sum / (double)finite : (double)NAN;
    }
    return trend;
}
