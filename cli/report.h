/* report.h: what the parts of `backprop report` share: report.c reads the run and tells of it as JSON, report_text.c
 * and report_layers.c print, report_plot.c draws. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <jansson.h>

#include "history.h"

typedef struct report {
    const char *run; /* the folder */
    json_t *config;  /* config.json, an object */
    metrics metrics;
    history history;
} report;

/* A value of config.json; "?", NaN and -1 where it isn't there. */
const char *report_config_text(const report *r, const char *key);
double report_config_real(const report *r, const char *key);
int64_t report_config_count(const report *r, const char *key);

/* "sgd, lr 0.1 constant, batch 128" in `text`. */
void report_optimizer(const report *r, char *text, size_t size);

/* The network with blocks that repeat told once, "64:relu:bn, 49 x 64:relu:bn:skip, 10"; what doesn't fit becomes
 * "...".
 */
void report_network(const report *r, char *text, size_t size);

/* The observed step whose layers are shown: the last whose gradient is finite, else the last; NULL: none. Sets *layers
 * to those of the step, metrics.block_count of them. */
const metric_observation *report_shown(const report *r, const metric_layer **layers);

/* Summary, table and bars on standard output. */
void report_print(const report *r);
void report_print_layers(const report *r, int width);

/* Draws the picture into a file, which is replaced at once; its name says the format. Returns an exit status. */
int report_plot(const report *r, const char *path);

/* Whether the name ends in one of the formats that report_plot knows. */
bool report_can_plot(const char *path);

#endif
