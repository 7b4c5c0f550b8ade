/* update.h: the optimisers on a device, the table of settings that tests go through, and steps of them. */
#ifndef BPT_UPDATE_H
#define BPT_UPDATE_H

#include "kernels/bounds_update.h"
#include "support/matrix.h"

typedef struct bpt_optimizer_case {
    const char *name;
    bpi_hyper hyper;
} bpt_optimizer_case;

extern const bpt_optimizer_case bpt_optimizer_cases[];
enum { BPT_OPTIMIZER_CASES = 12 };

/* The arrays of one parameter vector on the host, dense. */
typedef struct bpt_update_values {
    int64_t count;
    int64_t decayed; /* the first so many; below count a multiple of 8, see bpi_update_args */
    double *parameters, *gradients, *state1, *state2;
    int64_t behind;  /* elements of average beyond count, of parameters too */
    double *average; /* [count + behind]; NULL: none */
    double *running; /* [behind] what becomes of the parameters beyond count; NULL: they stay */
} bpt_update_values;

/* How many arrays of state the settings need: 0 for sgd without momentum. */
int bpt_states_of(const bpi_hyper *hyper);

/* As in the middle of a training: a second moment that is not negative, zero where there is no such state. */
bpt_update_values bpt_update_random(bpi_type type, const bpi_hyper *hyper, int64_t count, uint64_t seed);

/* update_prepare and update; changes values and state. */
void bpt_update_step(bpt_device *device, const bpi_hyper *hyper, bpt_update_values *values, bpi_step_state *state);

/* update alone, with the state that it is given; changes values. */
void bpt_update_apply(bpt_device *device, const bpi_hyper *hyper, bpt_update_values *values,
                      const bpi_step_state *state);

/* update_prepare alone. */
void bpt_update_prepare(bpt_device *device, const bpi_hyper *hyper, const double *gradients, int64_t count,
                        bpi_step_state *state);

#endif
