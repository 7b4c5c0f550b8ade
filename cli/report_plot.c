/* report_plot.c: the picture of a run in gnuplot's words: a page of panels, of those that the run has values for. A
 * further quantity is a further panel in `panels`; the page grows by rows. */
#include "report_plot.h"

#include <string.h>

#include "message.h"
#include "plot.h"

enum { PANEL_WIDTH = 600, PANEL_HEIGHT = 380, ACROSS = 2, RUN_MOST = 40, NETWORK_MOST = 64, TICS_MOST = 8 };

static const panel *const panels[] = {&panel_loss,   &panel_accuracy,         &panel_grad_norm, &panel_lr,
                                      &panel_layers, &panel_layers_over_time, &panel_update,    &panel_units};
enum { PANEL_COUNT = sizeof panels / sizeof *panels };

int64_t report_last_step(const report *r)
{
    int64_t last = r->history.steps;
    if (r->metrics.observation_count && r->metrics.observations[r->metrics.observation_count - 1].step > last)
        last = r->metrics.observations[r->metrics.observation_count - 1].step;
    return last > 0 ? last : 1;
}

/* 1, 2 or 5 times a power of ten. */
static int64_t tic_distance(int64_t span)
{
    static const int64_t times[] = {1, 2, 5};
    for (int64_t power = 1; power < INT64_MAX / 100; power *= 10)
        for (int i = 0; i < 3; i++)
            if (span / (times[i] * power) < TICS_MOST)
                return times[i] * power;
    return span;
}

void report_put_tics(FILE *script, const char *set, int64_t least, int64_t most)
{
    int64_t distance = tic_distance(most - least);
    double unit = distance >= 100000 ? 1e6 : distance >= 1000 ? 1e3 : 1;
    /* layers begin with 1, which none of the others' numbers is */
    int64_t first = distance > 1 && least > 0 ? (least / distance + 1) * distance : least;
    fprintf(script, "%s ('%lld' %lld", set, (long long)least, (long long)least);
    for (int64_t at = first > least ? first : least + distance; at <= most; at += distance)
        fprintf(script, ", '%.10g%s' %lld", (double)at / unit, unit > 1e5 ? "M" : unit > 1 ? "k" : "", (long long)at);
    fprintf(script, ")\n");
}

/* A line in every panel over steps; the loss says in its title what that is. */
static void mark_nonfinite(FILE *script, const report *r, const char *title)
{
    long long step = (long long)r->history.nonfinite_step;
    if (!r->history.nonfinite)
        return;
    fprintf(script, "set arrow 1 from %lld, graph 0 to %lld, graph 1 nohead lw 1.5 dt 2 lc rgb '#cc0000'\n", step,
            step);
    if (strcmp(title, "Loss") == 0)
        fprintf(script, "set title 'Loss (not finite after step %lld)'\n", step);
}

void report_begin_panel(FILE *script, const report *r, panel_axis axis, const char *title, const char *unit, bool log,
                        const char *options)
{
    int64_t last = report_last_step(r), blocks = (int64_t)r->metrics.block_count;
    fprintf(script, "unset label\nunset arrow\nunset logscale y\nset yrange [*:*]\nset mytics default\nset rmargin "
                    "4\nset key top right\n");
    /* gnuplot's own format writes 0.0000010 on a logarithmic axis, which pushes the axis's name off the picture */
    fprintf(script, "set title '%s'\nset ylabel '%s'\nset format y '%s'\n%s", title, unit, log ? "%g" : "% h",
            log ? "set logscale y\n" : "");
    if (axis == AXIS_STEPS) {
        fprintf(script, "set xlabel 'step'\nset xrange [0:%lld]\n", (long long)last);
        report_put_tics(script, "set xtics", 0, last);
        mark_nonfinite(script, r, title);
    } else {
        fprintf(script, "set xlabel 'layer (block 1 takes the input)'\nset xrange [0.4:%lld.6]\n", (long long)blocks);
        report_put_tics(script, "set xtics", 1, blocks);
    }
    fprintf(script, "%s\n", options);
}

static void begin_page(const plot *p, const report *r, int down)
{
    char optimizer[256], network[256];
    report_optimizer(r, optimizer, sizeof optimizer);
    report_network(r, network, sizeof network);
    const char *run = strrchr(r->run, '/'); /* a picture goes to people who have other folders */
    run = run && run[1] ? run + 1 : r->run;
    fprintf(p->script, "set multiplot layout %d,%d title ", down, ACROSS);
    plot_put_text(p, run, RUN_MOST);
    fprintf(p->script, ".'  |  '.");
    plot_put_text(p, network, NETWORK_MOST);
    fprintf(p->script, ".'  |  '.");
    plot_put_text(p, optimizer, NETWORK_MOST);
    /* margins in characters: room for numbers such as 0.00025, and for the last number of the axis of steps */
    fprintf(p->script, "\nset lmargin 12\nset bmargin 4\nset grid lc rgb '#dddddd' lt 1 lw 1\nset tics nomirror\n"
                       "set border 3 lc rgb '#444444'\nset boxwidth 0.8\nset style fill solid 1 noborder\n");
}

bool report_can_plot(const char *path)
{
    return plot_format_of(path) != PLOT_UNKNOWN;
}

int report_plot(const report *r, const char *path)
{
    plot p;
    int count = 0;
    bool done = true;
    for (int i = 0; i < PANEL_COUNT; i++)
        count += panels[i]->has(r);
    int down = (count + ACROSS - 1) / ACROSS;
    TRY(plot_open(&p, path, ACROSS * PANEL_WIDTH, down * PANEL_HEIGHT + 40));
    begin_page(&p, r, down);
    for (int i = 0; done && i < PANEL_COUNT; i++)
        if (panels[i]->has(r))
            done = panels[i]->draw(p.script, r);
    if (!done) {
        plot_abandon(&p);
        return fail(STATUS_FAILED, "out of memory");
    }
    fprintf(p.script, "unset multiplot\n");
    return plot_draw(&p);
}
