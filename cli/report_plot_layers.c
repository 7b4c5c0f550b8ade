/* report_plot_layers.c: the panels of an observed run, by layer: the gradient's norm as bars at one step and as lines
 * over time, the update's norm over the weights', and the share of units that are dead or saturated. */
#include <math.h>
#include <stdlib.h>

#include "report_plot.h"

enum { POINTS_MOST = 4000, POINTS_LEAST = 60, MARKS_BELOW = 40, BANDS_MOST = 12, MINOR_MOST = 6 };

static bool is_observed(const report *r)
{
    return r->metrics.observation_count > 0;
}

/* Whole decades around the positive values of one quantity; false: there is none. */
static bool decades(size_t where, const metric_layer *layers, size_t count, int *from, int *to)
{
    double least = (double)INFINITY, most = 0;
    for (size_t i = 0; i < count; i++) {
        double value = *(const double *)(const void *)((const char *)&layers[i] + where);
        if (!isfinite(value) || value <= 0)
            continue;
        least = fmin(least, value);
        most = fmax(most, value);
    }
    if (!(most > 0))
        return false;
    *to = (int)ceil(log10(most));
    *from = (int)floor(log10(least) - fmax(0.1, 0.02 * (*to - log10(least)))); /* the shortest bar is seen */
    if (*to <= *from)
        *to = *from + 1;
    return true;
}

static void put_nothing(FILE *script, const report *r, panel_axis axis, const char *title, const char *unit)
{
    report_begin_panel(script, r, axis, title, unit, false,
                       "set label 2 'no value above 0 in this run' at graph 0.5,0.5 center");
    fprintf(script, "set yrange [0:1]\nplot 2 notitle\n"); /* gnuplot draws no axes for nothing at all */
}

/* $NAME: a line for each layer, its number and one quantity. */
static void put_layers(FILE *script, const char *name, const report *r, const metric_layer *layers, size_t where)
{
    fprintf(script, "$%s << END\n", name);
    for (size_t i = 0; i < r->metrics.block_count; i++) {
        double value = *(const double *)(const void *)((const char *)&layers[i] + where);
        if (isfinite(value))
            fprintf(script, "%zu %.6g\n", i + 1, value);
        else
            fprintf(script, "%zu NaN\n", i + 1);
    }
    fprintf(script, "END\n");
}

static bool draw_layers(FILE *script, const report *r)
{
    static const char unit[] = "norm of the gradient of the weights";
    char title[128];
    const metric_layer *layers, *first = r->metrics.layers;
    const metric_observation *shown = report_shown(r, &layers);
    int from, to, first_from, first_to;
    bool two = layers != first;
    int length = snprintf(title, sizeof title, "Gradient norm by layer at step %lld", (long long)shown->step);
    if (two)
        snprintf(title + length, sizeof title - (size_t)length, " (bars) and %lld (dots)",
                 (long long)r->metrics.observations[0].step);
    if (!decades(offsetof(metric_layer, norm), layers, r->metrics.block_count, &from, &to)) {
        put_nothing(script, r, AXIS_LAYERS, title, unit);
        return true;
    }
    if (two && decades(offsetof(metric_layer, norm), first, r->metrics.block_count, &first_from, &first_to)) {
        from = first_from < from ? first_from : from;
        to = first_to > to ? first_to : to;
    }
    put_layers(script, "bars", r, layers, offsetof(metric_layer, norm));
    put_layers(script, "first", r, first, offsetof(metric_layer, norm));
    report_begin_panel(script, r, AXIS_LAYERS, title, unit, true, to - from > MINOR_MOST ? "unset mytics" : "");
    fprintf(script, "set yrange [1e%d:1e%d]\n", from, to);
    fprintf(script, "plot $bars with boxes lc rgb '#0072b2' notitle%s\n",
            two ? ", $first with points lc rgb '#d55e00' pt 7 ps 0.6 notitle" : "");
    return true;
}

/* $NAME: for each layer its curve as lines "step value layer", a blank line between two. Points that the axis can't
 * show are gaps. */
static bool put_curves(FILE *script, const char *name, const report *r, size_t where)
{
    const metrics *m = &r->metrics;
    size_t most = POINTS_MOST / m->block_count;
    fprintf(script, "$%s << END\n", name);
    for (size_t layer = 0; layer < m->block_count; layer++) {
        series s = series_make(m->observation_count);
        if (!s.x)
            return false;
        for (size_t i = 0; i < s.count; i++) {
            const metric_layer *at = &m->layers[i * m->block_count + layer];
            double value = *(const double *)(const void *)((const char *)at + where);
            s.x[i] = (double)m->observations[i].step;
            s.y[i] = isfinite(value) && value > 0 ? value : (double)NAN;
        }
        series_thin(&s, most > POINTS_LEAST ? most : POINTS_LEAST);
        for (size_t i = 0; i < s.count; i++)
            if (isnan(s.y[i]))
                fprintf(script, "%.10g NaN %zu\n", s.x[i], layer + 1);
            else
                fprintf(script, "%.10g %.5g %zu\n", s.x[i], s.y[i], layer + 1);
        fprintf(script, "\n");
        series_free(&s);
    }
    fprintf(script, "END\n");
    return true;
}

/* Layers by colour, from the input's in blue to the output's in red; of a few layers each has its band. */
static void put_colours(FILE *script, int64_t blocks)
{
    static const unsigned char shades[][3] = {
        {48, 48, 143}, {47, 127, 193}, {58, 166, 122}, {224, 160, 48}, {192, 48, 48}};
    enum { LAST = sizeof shades / sizeof *shades - 1 };
    int bands = blocks > BANDS_MOST ? LAST + 1 : (int)blocks;
    fprintf(script, "set palette defined (");
    for (int band = 0; band < bands; band++) {
        double at = bands > 1 ? (double)band * LAST / (bands - 1) : 0;
        int low = at < LAST ? (int)at : LAST - 1, colour = 0;
        for (int c = 0; c < 3; c++)
            colour = colour << 8 | (int)(shades[low][c] + (at - low) * (shades[low + 1][c] - shades[low][c]) + 0.5);
        if (blocks > BANDS_MOST)
            fprintf(script, "%s%d '#%06x'", band ? ", " : "", band, (unsigned)colour);
        else
            fprintf(script, "%s%d '#%06x', %d '#%06x'", band ? ", " : "", band, (unsigned)colour, band + 1,
                    (unsigned)colour);
    }
    fprintf(script, ")\nset cbrange [0.5:%lld.5]\nset cblabel 'layer' offset 1.5,0\nset colorbox\n", (long long)blocks);
    report_put_tics(script, "set cbtics", 1, blocks);
    fprintf(script, "set rmargin 12\n");
}

static bool draw_curves(FILE *script, const report *r, const char *title, const char *unit, size_t where,
                        const char *guide)
{
    int from, to;
    const metrics *m = &r->metrics;
    if (!decades(where, m->layers, m->layer_count, &from, &to)) {
        put_nothing(script, r, AXIS_STEPS, title, unit);
        return true;
    }
    if (!put_curves(script, "curves", r, where))
        return false;
    report_begin_panel(script, r, AXIS_STEPS, title, unit, true, to - from > MINOR_MOST ? "unset mytics" : "");
    put_colours(script, (int64_t)m->block_count);
    fprintf(script, "plot $curves using 1:2:3 with %s lc palette lw 1.5 notitle%s\nset rmargin 4\n",
            m->observation_count < MARKS_BELOW ? "linespoints pt 7 ps 0.5" : "lines", guide);
    return true;
}

static bool draw_layers_over_time(FILE *script, const report *r)
{
    return draw_curves(script, r, "Gradient norm by layer, over time", "norm of the gradient of the weights",
                       offsetof(metric_layer, norm), "");
}

static bool draw_update(FILE *script, const report *r)
{
    return draw_curves(script, r, "Update by layer (dashed: about 0.001 is usual)", "norm of update / norm of weights",
                       offsetof(metric_layer, update_ratio), ", 1e-3 with lines lc rgb '#444444' dt 2 lw 1.5 notitle");
}

static bool has_share(const report *r, size_t where)
{
    for (size_t i = 0; i < r->metrics.block_count; i++)
        if (isfinite(*(const double *)(const void *)((const char *)&r->metrics.layers[i] + where)))
            return true;
    return false;
}

/* Whether a unit of some layer is. */
static bool has_any(const report *r, const metric_layer *layers)
{
    for (size_t i = 0; i < r->metrics.block_count; i++)
        if (layers[i].dead > 0 || layers[i].saturated > 0)
            return true;
    return false;
}

static bool has_units(const report *r)
{
    return has_share(r, offsetof(metric_layer, dead)) || has_share(r, offsetof(metric_layer, saturated));
}

static bool draw_units(FILE *script, const report *r)
{
    const metric_layer *layers;
    char title[128];
    bool dead = has_share(r, offsetof(metric_layer, dead)), saturated = has_share(r, offsetof(metric_layer, saturated));
    const metric_observation *shown = report_shown(r, &layers);
    snprintf(title, sizeof title, "%s units at step %lld",
             !saturated ? "Dead relu"
             : !dead    ? "Saturated sigmoid and tanh"
                        : "Dead (blue) and saturated (red)",
             (long long)shown->step);
    put_layers(script, "dead", r, layers, offsetof(metric_layer, dead));
    put_layers(script, "saturated", r, layers, offsetof(metric_layer, saturated));
    report_begin_panel(script, r, AXIS_LAYERS, title, "share of the units", false,
                       has_any(r, layers) ? "set yrange [0:1.02]"
                                          : "set yrange [0:1.02]\nset label 2 'none' at graph 0.5,0.5 center");
    fprintf(script, "plot $dead with boxes lc rgb '#0072b2' notitle, $saturated with boxes lc rgb '#d55e00' notitle\n");
    return true;
}

const panel panel_layers = {is_observed, draw_layers};
const panel panel_layers_over_time = {is_observed, draw_layers_over_time};
const panel panel_update = {is_observed, draw_update};
const panel panel_units = {has_units, draw_units};
