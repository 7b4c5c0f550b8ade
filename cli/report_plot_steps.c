/* report_plot_steps.c: the panels of what a run logs at each step and epoch: loss, accuracy, learning rate, norm of the
 * whole gradient. */
#include <math.h>

#include "chart.h"
#include "report_plot.h"

enum { POINTS_MOST = 2000, MARKS_BELOW = 20 };

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
static bool put_epochs(FILE *script, const char *name, const report *r, size_t where, bool log, size_t *seen)
{
    series s = of_epochs(&r->metrics, where);
    bool done = s.x != NULL;
    *seen = done ? make_visible(&s, log) : 0;
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
    bool done = loss.x && put_epochs(script, "test", r, offsetof(metric_epoch, test_loss), log, &tested) &&
                put_epochs(script, "validation", r, offsetof(metric_epoch, validation_loss), log, &validated);
    if (done) {
        seen = make_visible(&loss, log);
        done = put_raw_and_trend(script, "loss", &loss);
        if (seen + tested + validated == 0)
            put_nothing(script, r, "Loss", "loss");
        else
            report_begin_panel(script, r, AXIS_STEPS, "Loss", "loss", log, "");
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
    if (!put_epochs(script, "test", r, offsetof(metric_epoch, test_accuracy), false, &tested) ||
        !put_epochs(script, "validation", r, offsetof(metric_epoch, validation_accuracy), false, &validated))
        return false;
    report_begin_panel(script, r, AXIS_STEPS, "Accuracy", "share of right answers", false,
                       "set key bottom right\nset offsets 0,0,graph 0.08,graph 0.08");
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
    if (done && !seen)
        put_nothing(script, r, "Gradient norm", "norm of the whole gradient");
    if (done && seen) {
        done = put_raw_and_trend(script, "norm", &norm);
        report_begin_panel(script, r, AXIS_STEPS, "Gradient norm", "norm of the whole gradient", true, "");
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
