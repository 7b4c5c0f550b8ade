/* ways_plan.h: what is measured of the ways of a pass's products, and its file. */
#ifndef BPI_HOST_WAYS_PLAN_H
#define BPI_HOST_WAYS_PLAN_H

#include "host/pass.h"

/* One way tried at one layer: what of a step it changes took so long without it, and so long with it. */
typedef struct bpi_way_trial {
    int64_t index; /* of the layer */
    bpi_way way;
    double before_s, after_s; /* 0: not timed */
    bool taken;
    char reason[160];
} bpi_way_trial;

typedef struct bpi_ways_measured {
    bool timed;            /* false: by rule */
    unsigned *ways;        /* [layer_count] */
    bpi_way_trial *trials; /* [layer_count * BPI_WAYS] */
    int64_t trial_count;
} bpi_ways_measured;

/* ways_measure.c: from the first layer to the last, each way that the layer can go is timed, and taken where what it
 * changes takes at least BPI_WAY_GAIN less. The plain way wins ties: it is the one that is known to keep NaN, and whose
 * bits are those of a trainer without a plan. */
#define BPI_WAY_GAIN 0.02

bp_status bpi_ways_measure(const bpi_pass *pass, bpi_ways_measured *measured);
void bpi_ways_measured_free(const bpi_pass *pass, bpi_ways_measured *measured);

/* ways_plan.c: the ways [layer_count] of a plan's text, which is checked against the pass; `path` is for the words. */
bp_status bpi_ways_plan_parse(const bpi_pass *pass, const char *path, const char *text, size_t length, unsigned *ways);

#endif
