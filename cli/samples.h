/* samples.h: random samples for the commands that need some: the same on every machine for a seed. */
#ifndef CLI_SAMPLES_H
#define CLI_SAMPLES_H

#include <backprop/backprop.h>

typedef struct random_batch {
    float *x; /* in [-2, 2] */
    float *targets;
    int64_t *classes; /* what the loss takes, the other NULL: classes, or values in [0, 1] for
                         bce_with_logits, in [-2, 2] elsewhere */
} random_batch;

int samples_draw(const bp_model *model, int64_t rows, int64_t inputs, uint64_t seed, random_batch *batch);
void samples_free(random_batch *batch);

#endif
