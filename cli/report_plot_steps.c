/* report_plot_steps.c: the panels of what a run logs at each step and epoch: loss, accuracy, learning rate, norm of the
 * whole gradient. */
#include <math.h>

#include "chart.h"
#include "report_plot.h"

enum { POINTS_MOST = 2000, MARKS_BELOW = 20 };

/* Of a panel's width, where the longest legend begins; of its height, what a line of it takes, and what lies around. */
#define LEGEND_FROM 0.33
#define LEGEND_LINE 0.066
#define LEGEND_MARGIN 0.04

/* One quantity over the logged steps, over the epochs; x is NULL where memory is out. */
static series of_steps(const metrics *m, size_t where)
{
    series s = series_make(m->step_count);
    for (size_t i = 0; s.x && i < m->step_count; i++) {
        s.x[i] = (double)m->steps[i].step;
        s.y[i] = *(const double *)(const void *)((const char *)&m->steps[i] + where);
    }
    return s;
}

static series of_epochs(const metrics *m, size_t where)
{
    series s = series_make(m->epoch_count);
    for (size_t i = 0; s.x && i < m->epoch_count; i++) {
        s.x[i] = (double)m->epochs[i].step;
        s.y[i] = *(const double *)(const void *)((const char *)&m->epochs[i] + where);
    }
    return s;
}

/* What the axis can't show becomes a gap. Returns how many values are left. */
static size_t make_visible(series *s, bool log)
{
    size_t seen = 0;
    for (size_t i = 0; i < s->count; i++) {
        bool shown = isfinite(s->y[i]) && !(log && s->y[i] <= 0);
        s->y[i] = shown ? s->y[i] : (double)NAN;
        seen += shown;
    }
    return seen;
}

/* ---------------------------------------------------------------- room for the legend */

/* What the curves of a panel reach, in the axis's own terms; `beside`: on the right, where the legend stands. */
typedef struct extent {
    double least, most, beside_least, beside_most;
    bool log;
    int64_t last; /* step */
} extent;

static extent extent_none(const report *r, bool log)
{
    return (extent){(double)INFINITY, -(double)INFINITY, (double)INFINITY, -(double)INFINITY, log, report_last_step(r)};
}

static void extent_add(extent *e, double x, double y)
{
    double value = e->log ? log10(y) : y;
    if (!isfinite(value))
        return;
    e->least = fmin(e->least, value);
    e->most = fmax(e->most, value);
    if (x < LEGEND_FROM * (double)e->last)
        return;
    e->beside_least = fmin(e->beside_least, value);
    e->beside_most = fmax(e->beside_most, value);
}

static void extent_add_series(extent *e, const series *s)
{
    for (size_t i = 0; i < s->count; i++)
        extent_add(e, s->x[i], s->y[i]);
}

/* Makes the axis longer, at the legend's end of it, where a curve would run into the legend's `lines`. */
static void put_room(FILE *script, const extent *e, bool at_bottom, int lines)
{
    /* gnuplot ends a logarithmic axis at powers of ten */
    double least = e->log ? floor(e->least) : e->least, most = e->log ? ceil(e->most) : e->most;
    double free_share = 1 - (LEGEND_MARGIN + lines * LEGEND_LINE), span = most - least;
    double wanted = (at_bottom ? most - e->beside_least : e->beside_most - least) / free_share;
    if (!(span > 0) || !(wanted > span))
        return;
    double end = at_bottom ? most - wanted : least + wanted;
    end = e->log ? pow(10, end) : end;
    if (isfinite(end) && end > 0 && !at_bottom)
        fprintf(script, "set yrange [*:%.6g]\n", end);
    else if (isfinite(end) && at_bottom)
        fprintf(script, "set yrange [%.6g:*]\n", end);
}

/* ---------------------------------------------------------------- data */

/* The curve as gnuplot's data block $NAME, thinned. */
static void put_data(FILE *script, const char *name, series *s)
{
    series_thin(s, POINTS_MOST);
    fprintf(script, "$%s << END\n", name);
    for (size_t i = 0; i < s->count; i++)
        if (isnan(s->y[i]))
            fprintf(script, "%.10g NaN\n", s->x[i]);
        else
            fprintf(script, "%.10g %.9g\n", s->x[i], s->y[i]);
    fprintf(script, "END\n");
}

/* A panel of a quantity that has no value says so. */
static void put_nothing(FILE *script, const report *r, const char *title, const char *unit)
{
    report_begin_panel(script, r, AXIS_STEPS, title, unit, false,
                       "set label 2 'no finite value in this run' at graph 0.5,0.5 center");
    fprintf(script, "set yrange [0:1]\nplot 2 notitle\n"); /* gnuplot draws no axes for nothing at all */
}

/* The data of a curve that jumps from step to step: $NAME_raw, and its trend as $NAME. */
static bool put_raw_and_trend(FILE *script, const char *name, series *s)
{
    char raw[32];
    series trend = series_trend(s);
    bool done = trend.x != NULL;
    snprintf(raw, sizeof raw, "%s_raw", name);
    if (done) {
        put_data(script, raw, s);
        put_data(script, name, &trend);
    }
    series_free(&trend);
    return done;
}

/* The plot's elements for such a curve: a trend only where it is one, and marks where lines would not be seen. */
static void plot_raw_and_trend(FILE *script, const char *name, size_t seen, const char *what)
{
    if (seen < SERIES_TREND_LEAST)
        fprintf(script, "plot $%s_raw with %s lc rgb '#0072b2' lw 2 title '%s'", name,
                seen < MARKS_BELOW ? "linespoints pt 7 ps 0.7" : "lines", what);
    else
        fprintf(script, "plot $%s_raw " STYLE_RAW " title '%s', $%s " STYLE_LINE " title 'smoothed'", name, what, name);
}

static bool always(const report *r)
{
    return r->history.count > 0;
}

static bool has_steps(const report *r)
{
    return r->metrics.step_count > 0;
}

/* Writes $NAME, a quantity over the epochs; *seen: how many of its values show. */
static bool put_epochs(FILE *script, const char *name, const report *r, size_t where, extent *e, size_t *seen)
{
    series s = of_epochs(&r->metrics, where);
    bool done = s.x != NULL;
    *seen = done ? make_visible(&s, e->log) : 0;
    extent_add_series(e, &s);
    if (done)
        put_data(script, name, &s);
    series_free(&s);
    return done;
}

/* The plot's elements of test and validation; `first` is what stands before the first of them. */
static void plot_epochs(FILE *script, const char *first, size_t tested, size_t validated)
{
    if (tested)
        fprintf(script, "%s $test " STYLE_MARKS " title 'test'", first);
    if (validated)
        fprintf(script, "%s $validation " STYLE_MARKS_2 " title 'validation'", tested ? "," : first);
}

static bool draw_loss(FILE *script, const report *r)
{
    series loss = of_steps(&r->metrics, offsetof(metric_step, loss));
    size_t seen, tested, validated;
    bool log = loss.x && chart_span(loss.y, loss.count).log;
    extent e = extent_none(r, log);
    bool done = loss.x && put_epochs(script, "test", r, offsetof(metric_epoch, test_loss), &e, &tested) &&
                put_epochs(script, "validation", r, offsetof(metric_epoch, validation_loss), &e, &validated);
    if (done) {
        seen = make_visible(&loss, log);
        extent_add_series(&e, &loss);
        done = put_raw_and_trend(script, "loss", &loss);
        if (seen + tested + validated == 0)
            put_nothing(script, r, "Loss", "loss");
        else
            report_begin_panel(script, r, AXIS_STEPS, "Loss", "loss", log, "");
        put_room(script, &e, false, (seen > 0) + (seen >= SERIES_TREND_LEAST) + (tested > 0) + (validated > 0));
        if (seen)
            plot_raw_and_trend(script, "loss", seen, "training, logged steps");
        plot_epochs(script, seen ? "," : "plot", tested, validated);
        fprintf(script, "\n");
    }
    series_free(&loss);
    return done;
}

static double accuracy_of(const history_row *row)
{
    return isfinite(row->test_accuracy) ? row->test_accuracy : row->validation_accuracy;
}

static bool has_accuracy(const report *r)
{
    for (size_t i = 0; i < r->history.count; i++)
        if (isfinite(accuracy_of(&r->history.rows[i])))
            return true;
    return false;
}

static bool draw_accuracy(FILE *script, const report *r)
{
    const history_row *best = r->history.best;
    size_t tested, validated;
    extent e = extent_none(r, false);
    if (!put_epochs(script, "test", r, offsetof(metric_epoch, test_accuracy), &e, &tested) ||
        !put_epochs(script, "validation", r, offsetof(metric_epoch, validation_accuracy), &e, &validated))
        return false;
    report_begin_panel(script, r, AXIS_STEPS, "Accuracy", "share of right answers", false,
                       "set key bottom right\nset offsets 0,0,graph 0.08,graph 0.08");
    put_room(script, &e, true, (tested > 0) + (validated > 0) + (best != NULL));
    if (best && isfinite(accuracy_of(best)))
        fprintf(script, "$best << END\n%lld %.9g\nEND\n", (long long)best->step, accuracy_of(best));
    plot_epochs(script, "plot", tested, validated);
    if (best && isfinite(accuracy_of(best)))
        fprintf(script, ", $best with points lc rgb 'black' pt 6 ps 1.2 lw 2 title '%s: %.4f after epoch %lld'",
                r->history.has_validation ? "kept" : "best", accuracy_of(best), (long long)best->epoch);
    fprintf(script, "\nunset offsets\n");
    return true;
}

static bool draw_lr(FILE *script, const report *r)
{
    series lr = of_steps(&r->metrics, offsetof(metric_step, lr));
    bool done = lr.x != NULL;
    if (done) {
        size_t seen = make_visible(&lr, false);
        put_data(script, "lr", &lr);
        report_begin_panel(script, r, AXIS_STEPS, "Learning rate", "learning rate", false,
                           "set yrange [0:*]\nset offsets 0,0,graph 0.1,0");
        fprintf(script, "plot $lr with %s lc rgb '#0072b2' lw 2 notitle\nunset offsets\n",
                seen < MARKS_BELOW ? "linespoints pt 7 ps 0.7" : "lines");
    }
    series_free(&lr);
    return done;
}

static bool draw_grad_norm(FILE *script, const report *r)
{
    double limit = report_config_real(r, "clip-norm");
    series norm = of_steps(&r->metrics, offsetof(metric_step, grad_norm));
    bool done = norm.x != NULL;
    size_t seen = done ? make_visible(&norm, true) : 0;
    extent e = extent_none(r, true);
    if (done && !seen)
        put_nothing(script, r, "Gradient norm", "norm of the whole gradient");
    if (done && seen) {
        extent_add_series(&e, &norm);
        extent_add(&e, (double)e.last, limit > 0 ? limit : (double)NAN);
        done = put_raw_and_trend(script, "norm", &norm);
        report_begin_panel(script, r, AXIS_STEPS, "Gradient norm", "norm of the whole gradient", true, "");
        put_room(script, &e, false, 1 + (seen >= SERIES_TREND_LEAST) + (limit > 0));
        plot_raw_and_trend(script, "norm", seen, limit > 0 ? "before clipping" : "logged steps");
        if (limit > 0)
            fprintf(script, ", %.9g with lines lc rgb '#444444' dt 2 lw 1.5 title 'clipped to %.6g'", limit, limit);
        fprintf(script, "\n");
    }
    series_free(&norm);
    return done;
}

const panel panel_loss = {always, draw_loss};
const panel panel_accuracy = {has_accuracy, draw_accuracy};
const panel panel_lr = {has_steps, draw_lr};
const panel panel_grad_norm = {has_steps, draw_grad_norm};
