/* run.h: the folder that holds all of one training run: config.json, metrics.jsonl, model.safetensors and
 * checkpoint.safetensors. One process at a time writes to it: the folder is locked. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <backprop/backprop.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>

#include "options.h"

typedef struct run_folder {
    const char *path;
    char config[PATH_MAX], metrics[PATH_MAX], model[PATH_MAX], checkpoint[PATH_MAX];
    int lock;     /* descriptor of the folder, -1: not locked */
    bool has_run; /* one of the files was there */
    bool has_config, has_checkpoint;
    FILE *stream; /* metrics.jsonl, at its end */
    bool failed;  /* a write to it failed, and `error` is the reason */
    int error;
} run_folder;

/* Looks at the folder, and locks it where it exists; refuses a folder that holds a run unless `resume`. */
int run_open(run_folder *run, const char *path, bool resume);

/* Makes the folder where it isn't there, writes config.json, and opens metrics.jsonl with the lines of steps up to
 * `step`; what a killed run wrote after its last checkpoint is cut off, and *cut tells how many lines that were. */
int run_begin(run_folder *run, const option_set *options, int64_t step, int64_t *cut);

/* Appends one line and flushes it. After a failure does nothing. Takes over the reference. */
void run_metrics(run_folder *run, json_t *line);

/* An exit status: whether all metrics were written. */
int run_metrics_status(const run_folder *run);

void run_close(run_folder *run);

#endif
