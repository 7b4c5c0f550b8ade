/* chart.c: see chart.h. */
#include "chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "words.h"

enum { ROWS = 8, EIGHTHS = 8, COLUMNS_LEAST = 8, COLUMNS_MOST = 1000 };

static const double LOG_FROM = 50;

chart_range chart_span(const double *values, size_t count)
{
    chart_range range = {.least = (double)INFINITY, .most = -(double)INFINITY};
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            continue;
        range.least = fmin(range.least, values[i]);
        range.most = fmax(range.most, values[i]);
    }
    range.log = range.least > 0 && range.most / range.least > LOG_FROM;
    return range;
}

/* Mean of the finite values of one column's share of the curve; a short curve has the same value in many columns. */
static double column_value(const double *values, size_t count, int column, int columns)
{
    size_t from = count * (size_t)column / (size_t)columns, to = count * ((size_t)column + 1) / (size_t)columns;
    double sum = 0;
    int finite = 0;
    for (size_t i = from; i < (to > from ? to : from + 1); i++)
        if (isfinite(values[i])) {
            sum += values[i];
            finite++;
        }
    return finite ? sum / finite : (double)NAN;
}

/* Height in eighths of a row, 1 to ROWS * EIGHTHS: the least value shows too. 0: no value. */
static int height(double value, const chart_range *range)
{
    if (isnan(value))
        return 0;
    double share = range->log ? log(value / range->least) / log(range->most / range->least)
                              : (value - range->least) / (range->most - range->least);
    if (!(share >= 0)) /* all values are the same */
        share = 0.5;
    return 1 + (int)(fmin(share, 1) * (ROWS * EIGHTHS - 1) + 0.5);
}

static const char *cell(int eighths, bool utf8)
{
    static const char *const blocks[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                         "\u2585", "\u2586", "\u2587", "\u2588"};
    static const char *const ascii[] = {" ", ".", ".", ".", ":", ":", ":", ":", "#"};
    int at = eighths < 0 ? 0 : eighths > EIGHTHS ? EIGHTHS : eighths;
    return utf8 ? blocks[at] : ascii[at];
}

static int bar_eighths(double value, const chart_range *range, int columns)
{
    if (!isfinite(value) || value <= 0)
        return 0;
    double share = range->log ? log(value / range->least) / log(range->most / range->least) : value / range->most;
    if (!(share >= 0))
        share = 0;
    return 1 + (int)(fmin(share, 1) * (columns * EIGHTHS - 1) + 0.5);
}

void chart_bar(double value, const chart_range *range, int columns, bool utf8)
{
    static const char *const blocks[] = {" ",      "\u258f", "\u258e", "\u258d", "\u258c",
                                         "\u258b", "\u258a", "\u2589", "\u2588"};
    int eighths = bar_eighths(value, range, columns);
    for (int c = 0; c < columns; c++, eighths -= EIGHTHS) {
        int here = eighths < 0 ? 0 : eighths > EIGHTHS ? EIGHTHS : eighths;
        fputs(utf8 ? blocks[here] : here > 0 ? "#" : " ", stdout);
    }
}

void chart_print(const double *values, size_t count, const chart_range *range, int width, bool utf8)
{
    words most, least;
    words_loss(&most, range->most);
    words_loss(&least, range->least);
    int label = (int)strlen(most.text) > (int)strlen(least.text) ? (int)strlen(most.text) : (int)strlen(least.text);
    int columns = width - label - 1, heights[COLUMNS_MOST];
    columns = columns < COLUMNS_LEAST ? COLUMNS_LEAST : columns > COLUMNS_MOST ? COLUMNS_MOST : columns;
    for (int c = 0; c < columns; c++)
        heights[c] = height(column_value(values, count, c, columns), range);
    for (int row = ROWS - 1; row >= 0; row--) {
        printf("%*s ", label, row == ROWS - 1 ? most.text : row == 0 ? least.text : "");
        for (int c = 0; c < columns; c++)
            fputs(cell(heights[c] - row * EIGHTHS, utf8), stdout);
        putchar('\n');
    }
}
