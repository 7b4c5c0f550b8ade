/* train.h: what the parts of `backprop train` share: train.c runs it, train_report.c tells of it. */
#ifndef CLI_TRAIN_H
#define CLI_TRAIN_H

#include <backprop/backprop.h>

#include "options.h"
#include "progress.h"
#include "run.h"

typedef struct training {
    option_set *options;
    run_folder run;
    bp_context *context;
    bp_data *data, *validation, *test; /* NULL where there is none */
    bp_model *model;
    bp_trainer *trainer;
    bp_memory_plan plan; /* of the trainer */
    int64_t steps_per_epoch;
    int64_t first_step; /* done before this process */
    progress_view view;
    bp_progress last; /* what bp_train said last */
    bool batch_kept;  /* RUN/nonfinite holds the batch of a gradient that was not finite */
    bool warned;      /* that a gradient was not finite */
} training;

/* What will be trained on what, before the first step. */
void report_start(const training *training);

/* bp_progress_callback, user is a training: metrics.jsonl and the view; stops on a signal or a failed write. */
bool report_step(void *user, const bp_progress *progress);

/* Where --observe asks for it: has the trainer observed, and its observations and warnings written to metrics.jsonl. */
int observe_begin(training *training);

/* bp_nonfinite_callback, user is a training: a line of metrics.jsonl, and the batch and the parameters in a folder of
 * the run, with the command that computes them once more. */
void report_nonfinite(void *user, const bp_nonfinite_report *report);

/* The result, as text or JSON. */
int report_end(training *training);

#endif
