/* diagnose.h (internal): what is wrong with the gradients of an observed step, in words. The limits, and why they are
 * what they are: docs/diagnosis.md. */
#ifndef BPI_HOST_DIAGNOSE_H
#define BPI_HOST_DIAGNOSE_H

#include "backprop/observe.h"

struct bpi_observation;

enum { BPI_WARNING_WORDS = 320 };

/* All that is remembered from one observed step to the next. */
typedef struct bpi_diagnosis {
    bool *given;          /* [BP_WARNING_COUNT, layers + 1]: this warning was given */
    bp_warning *warnings; /* [places]: those of the step at hand */
    char (*texts)[BPI_WARNING_WORDS];
    int64_t places, layers;
    int64_t clipped_steps; /* in a row */
} bpi_diagnosis;

bp_status bpi_diagnosis_open(bp_trainer *trainer, bpi_diagnosis *diagnosis);
void bpi_diagnosis_close(bp_trainer *trainer, bpi_diagnosis *diagnosis);

/* Puts new warnings into the observation, and into the context's log. */
void bpi_diagnose(bp_trainer *trainer, bpi_diagnosis *diagnosis, struct bpi_observation *seen);

#endif
