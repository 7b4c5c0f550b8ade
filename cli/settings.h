/* settings.h: the values of every option of every command, where options.c puts them.
 *
 * One struct for all commands, so that option groups (net.h, source.h) can be shared; a command reads what its table
 * names. Texts belong to argv, to the tables, or to the JSON values that struct options keeps. */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct settings {
    /* DATA: source.c */
    const char *data, *data_dir, *part;
    const char *x, *y, *csv, *target, *idx[2];
    const char *test_x, *test_y, *test_csv, *test_idx[2];
    bool no_standardize;

    /* NET: net.c */
    const char *layers;
    int loss, init; /* bp_loss, bp_init */
    double label_smoothing, huber_delta, init_gain;
    int64_t seed;

    /* OPTIM: net.c */
    int optimizer, schedule; /* bp_optimizer, bp_schedule */
    double lr, momentum, beta1, beta2, epsilon, weight_decay, schedule_gamma, clip_norm, clip_value, ema;
    bool nesterov, decay_all;
    const char *ways, *plan;
    int64_t warmup, schedule_step, accumulate, memory;

    /* all: session.c */
    const char *backend;
    int precision; /* bp_precision */
    bool emulate_bf16;
    int64_t threads;

    /* one command's own */
    int64_t epochs, batch, step, log_every, observe, inputs, max_per_tensor, patience;
    double validation;
    int on_nonfinite; /* bp_nonfinite_action */
    const char *out, *config, *model, *weights, *run, *plot;
    const char *batches, *backends, *precisions, *json_file; /* bench: lists, and a file */
    double seconds;
    bool resume, json, probabilities, help;
} settings;

#endif
