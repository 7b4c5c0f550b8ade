/* metrics.h: what `backprop train` logged in metrics.jsonl, read back. NaN stands for null and for what isn't there. */
#ifndef CLI_METRICS_H
#define CLI_METRICS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct metric_step { /* a line with "loss" */
    int64_t step, epoch;
    double loss, lr, grad_norm, samples_per_second;
} metric_step;

typedef struct metric_epoch { /* a line with "seconds" */
    int64_t step, epoch;
    double test_loss, test_accuracy, validation_loss, validation_accuracy, epoch_seconds, samples_per_second;
    bool tested, validated; /* there were such samples, whose loss may not be finite */
    bool best;              /* so far, by the validation loss */
} metric_epoch;

typedef struct metric_layer {  /* one block at one observed step */
    double norm, update_ratio; /* of its weight matrix */
    double dead, saturated;    /* shares of its units, NaN where the activation has none */
} metric_layer;

typedef struct metric_observation { /* a line with "observation" */
    int64_t step, epoch;
    double grad_norm, clip_factor;
} metric_observation;

typedef struct metric_block { /* what a layer is, the same in all observations */
    int64_t units;
    char activation[16];
} metric_block;

typedef struct metrics {
    metric_step *steps;
    metric_epoch *epochs;
    metric_observation *observations;
    metric_layer *layers; /* block_count for each observation */
    metric_block *blocks;
    size_t step_count, epoch_count, observation_count, layer_count, block_count;
    size_t step_room, epoch_room, observation_room, layer_room, block_room;
    json_t *warnings;  /* an array of lines with "warning" */
    json_t *nonfinite; /* the line with "nonfinite_value", NULL: none */
} metrics;

/* Reads a whole file; the last line may be torn, since a process may have been killed, or may be writing now. Keys and
 * kinds of lines that it doesn't know are passed over. Returns an exit status; free in any case. */
int metrics_read(metrics *m, const char *path);
void metrics_free(metrics *m);

/* A line that is being read; the functions that take a value fail with its number, once for each line. */
typedef struct metric_line {
    const char *path;
    long long number; /* from 1 */
    const json_t *json;
    int status;
} metric_line;

double metric_real(metric_line *line, const json_t *object, const char *key);   /* NaN: null, or not there */
int64_t metric_whole(metric_line *line, const json_t *object, const char *key); /* must be there, 0 or more */

/* Room for one more at the end of an array of `count` items, whose room doubles where it is full; NULL: no memory. */
void *metric_append(void **items, size_t *count, size_t *room, size_t bytes);

/* metrics_observation.c: the line's "observation". */
int metric_take_observation(metrics *m, metric_line *line);

#endif
