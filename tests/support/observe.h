/* observe.h: arrays of several tensors on a device, and the observed halves of an update. */
#ifndef BPT_OBSERVE_H
#define BPT_OBSERVE_H

#include "support/update.h"

/* The tensors of `bpt_tensors_of`: sizes around the places where backends cut arrays, and small ones, more than cuda
 * reads the ranges of at once. */
enum { BPT_TENSORS = 140 };

/* Sizes that are multiples of the alignment, the last one by `more` larger; the number of all elements. */
int64_t bpt_tensors_of(const bpt_device *device, int64_t more, bpi_observed_range ranges[BPT_TENSORS]);

typedef struct bpt_observed {
    bpt_update_values values;          /* after the step */
    bpi_step_state state;              /* likewise */
    bpi_tensor_sums sums[BPT_TENSORS]; /* as the backend left them */
} bpt_observed;

/* observe_gradients and observe_update on values laid out by bpt_tensors_of; `more` is what is left. */
bpt_observed bpt_observe_step(bpt_device *device, const bpi_hyper *hyper, const bpt_update_values *values,
                              const bpi_step_state *state);

#endif
