/* observe.h (internal): what a trainer that is observed holds: the arrays that the backend sums into, the results that
 * are on their way to the host, and the figures that the callback is shown. */
#ifndef BPI_HOST_OBSERVE_H
#define BPI_HOST_OBSERVE_H

#include "backprop/observe.h"
#include "host/diagnose.h"
#include "host/trainer.h"

/* More than steps that a host can be ahead of its device: BPI_CUDA_SLOTS batches. */
enum { BPI_OBSERVE_RING = 8 };

/* The results of one observed step. */
typedef struct bpi_observed_step {
    bpi_readback *readback; /* NULL where the backend does not run behind the host */
    int64_t epoch, rows;
} bpi_observed_step;

typedef struct bpi_observatory {
    bp_observe_options options;
    void *memory; /* backend: ranges, sums, counts, scratch */
    size_t memory_bytes;
    bpi_observe_args args;
    int64_t *counts; /* backend: of the blocks that have units to count, one behind the other */
    int64_t unit_count;
    void *results; /* host: bpi_step_state, sums, counts, as they come back */
    size_t results_bytes;
    bpi_observed_step ring[BPI_OBSERVE_RING];
    int oldest, pending;
    bp_tensor_observation *tensors; /* in file order */
    bp_layer_observation *layers;
    bpi_diagnosis diagnosis;
} bpi_observatory;

/* What the callback gets a pointer to the head of. */
typedef struct bpi_observation {
    bp_observation shown; /* first */
    const bp_tensor_observation *tensors;
    const bp_layer_observation *layers;
    const bp_warning *warnings;
} bpi_observation;

/* The backend's memory that it takes. */
size_t bpi_observatory_bytes(const bp_model *model);
void bpi_observatory_destroy(bp_trainer *trainer);

/* Whether the step that begins is observed. */
bool bpi_observes(const bp_trainer *trainer);

/* In a part of an observed step: behind the forward pass, and in place of update_prepare and update. */
bp_status bpi_observe_forward(bp_trainer *trainer, int64_t rows, bool accumulate);
bp_status bpi_observe_update(bp_trainer *trainer, const bpi_update_args *args);

/* After its last part: sends its results on their way. */
bp_status bpi_observe_send(bp_trainer *trainer, int64_t rows);

/* Calls back for all results that are there; where `wait`, for all. */
bp_status bpi_observe_deliver(bp_trainer *trainer, bool wait);

#endif
