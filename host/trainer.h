/* trainer.h (internal): a model with gradients, optimiser state and a position in the training run. */
#ifndef BPI_HOST_TRAINER_H
#define BPI_HOST_TRAINER_H

#include <time.h>

#include "backprop/train.h"
#include "host/data.h"
#include "host/pass.h"

/* A part of a step's batch: all that what is done with it, once it was loaded, depends on. */
typedef struct bpi_part {
    int64_t rows, samples; /* of the part, and of the whole step */
    int64_t first_row;     /* 0: the part that begins the step; of the others 1, unless there is dropout */
    bool classes, last, updates;
    bool observes; /* what the step does is looked at */
} bpi_part;

typedef struct bpi_step_graph {
    bpi_part part;
    void *graph; /* NULL: not recorded yet */
    int64_t runs, last_used;
} bpi_step_graph;

enum { BPI_STEP_GRAPHS = 16 };

/* Seconds of a clock that never goes back. */
static inline double bpi_now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

struct bp_trainer {
    bp_context *context;
    bp_model *model;
    bp_trainer_options options; /* no zero means a default any more */
    bpi_hyper hyper;
    bpi_pass *pass;                    /* rows: options.batch; pass->state is the trainer's */
    void *gradients, *state1, *state2; /* backend, laid out as the parameters; NULL where the optimiser has none */
    void *average;                     /* likewise: moving averages, which the model shows; NULL: none */
    int64_t last_rows;                 /* samples of the last step */
    int64_t epoch, step_in_epoch;      /* done: whole epochs, and steps of the one that is under way */
    int64_t data_rows;                 /* samples of an epoch; 0: bp_train was not called yet */
    int64_t best_epoch;                /* of the lowest validation loss; 0: none yet */
    double best_loss;                  /* that loss; infinity */
    double data_seconds;               /* spent in loading batches */
    bpi_step_graph graphs[BPI_STEP_GRAPHS];
    int64_t graph_clock;
    int64_t attempts;                    /* steps begun, those that were skipped too */
    int64_t batches;                     /* forward passes of them: as bpi_step_state.batches, where none was skipped */
    struct bpi_observatory *observatory; /* observe.h; NULL: nobody looks */
};

/* Checks a user's options, and puts the defaults in. */
bp_status bpi_trainer_options_resolve(bp_context *context, const bp_trainer_options *options,
                                      bp_trainer_options *resolved);
/* bp_trainer_plan for options that are resolved (trainer_plan.c). */
bp_status bpi_trainer_plan(bp_model *model, const bp_trainer_options *resolved, bp_memory_plan *plan);

/* ways_plan.c: what products of a trainer's pass may wish for before it is planned; and, once it is made, the ways of a
 * plan file: read where it is there, else measured and written. */
bp_status bpi_wish_of(bp_context *context, const bp_trainer_options *options, bpi_wish *wish);
bp_status bpi_ways_plan(bpi_pass *pass, const char *path);

/* The arrays of state that an optimiser keeps, and what PyTorch calls them. */
int bpi_optimizer_states(const bp_trainer_options *options);
const char *bpi_optimizer_state_name(bp_optimizer optimizer, int index);

/* average.c: makes the array of averages, equal to the parameters, and lets the model show it; and gives it up: the
 * model keeps the averages as its parameters. */
bp_status bpi_average_create(bp_trainer *trainer);
void bpi_average_destroy(bp_trainer *trainer);

/* One step on rows of a source: index [rows], or first, first + 1, ... (step.c). */
bp_status bpi_step(bp_trainer *trainer, const bpi_source *source, const int64_t *index, int64_t first, int64_t rows);
/* The first half of it: loss and gradients. */
bp_status bpi_step_gradients(bp_trainer *trainer, const bpi_source *source, const int64_t *index, int64_t first,
                             int64_t rows);

/* The step's state out of the backend's memory, and the model's count of batches set right by it (step.c). */
bp_status bpi_trainer_state(bp_trainer *trainer, bpi_step_state *state);

/* What a step does with a part that was loaded (step.c); and the same, as a graph where the backend records one
 * (step_graph.c). */
bp_status bpi_part_body(bp_trainer *trainer, const bpi_plan_set *set, const bpi_part *part);
bp_status bpi_part_run(bp_trainer *trainer, const bpi_plan_set *set, const bpi_part *part);
void bpi_step_graphs_release(bp_trainer *trainer); /* they are recorded anew where they are wanted again */

/* A source over the caller's arrays, checked so far that no class points outside of the output; `call` for the words.
 */
bp_status bpi_borrow(bp_trainer *trainer, const char *call, const float *x, const int64_t *classes,
                     const float *targets, int64_t rows, bpi_source *source);

/* Checks rows of a data set: their fit to the model, and every index. */
bp_status bpi_choose(bp_trainer *trainer, const char *call, const bp_data *data, const int64_t *index, int64_t first,
                     int64_t rows);

/* The order of epoch `epoch` (from 0) over `count` samples: a permutation that (seed, epoch, count) decide. */
void bpi_shuffle(uint64_t seed, int64_t epoch, int64_t count, int64_t *order);

/* The epoch whose order bp_data_split takes: none that a run comes to. */
#define BPI_SPLIT_EPOCH INT64_MAX

#endif
