/* report_plot.h: what the panels of a run's picture share. report_plot.c lays out the page, report_plot_steps.c and
 * report_plot_layers.c write the panels, in gnuplot's words. */
#ifndef CLI_REPORT_PLOT_H
#define CLI_REPORT_PLOT_H

#include <stdio.h>

#include "report.h"
#include "series.h"

typedef struct panel {
    bool (*has)(const report *r);                /* whether the run holds what it shows */
    bool (*draw)(FILE *script, const report *r); /* false: no memory */
} panel;

extern const panel panel_loss, panel_accuracy, panel_lr, panel_grad_norm;           /* report_plot_steps.c */
extern const panel panel_layers, panel_layers_over_time, panel_update, panel_units; /* report_plot_layers.c */

/* Styles of curves: the values as they are, their trend, and a few values with a mark each. */
#define STYLE_RAW "with lines lc rgb '#9ecae1' lw 1"
#define STYLE_LINE "with lines lc rgb '#0072b2' lw 2.5"
#define STYLE_MARKS "with linespoints lc rgb '#d55e00' lw 2 pt 7 ps 0.6"
#define STYLE_MARKS_2 "with linespoints lc rgb '#009e73' lw 2 pt 5 ps 0.6"

/* Opens a panel, whose axes are as plot_begin_panel's arguments say and nothing as a panel before left it. `options`:
 * what else gnuplot shall set. Over steps, the first step that was not finite is marked. */
typedef enum panel_axis { AXIS_STEPS, AXIS_LAYERS } panel_axis;
void report_begin_panel(FILE *script, const report *r, panel_axis axis, const char *title, const char *unit, bool log,
                        const char *options);

/* "set xtics", at most about seven whole numbers of [least, most]. `set` is "set xtics" or "set cbtics". */
void report_put_tics(FILE *script, const char *set, int64_t least, int64_t most);

/* The last step of the axis. */
int64_t report_last_step(const report *r);

#endif
