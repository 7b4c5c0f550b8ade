/* observe.h: gradients that can be seen: figures of every tensor and every layer, taken inside the step that trains.
 *
 * An observed step gives the same bits as one that nobody looks at. Nothing waits for it: on a device the figures come
 * back behind the step, and the callback is called from a later call on the trainer. docs/diagnosis.md tells what the
 * figures and the warnings mean. */
#ifndef BACKPROP_OBSERVE_H
#define BACKPROP_OBSERVE_H

#include "train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A parameter tensor in an observed step. Figures of its gradient are of the mean over the step's samples, before any
 * clipping, and over its finite elements. */
typedef struct bp_tensor_observation {
    const char *name; /* of the parameter */
    int64_t block;    /* whose it is, from 1 */
    int64_t elements;
    double norm;         /* ||g|| */
    double largest;      /* max |g| */
    double mean;         /* of g */
    double zero_share;   /* of elements that are exactly 0 */
    int64_t nonfinite;   /* elements that are NaN or infinite */
    double weight_norm;  /* ||w|| before the update */
    double update_ratio; /* ||w after - w before|| / ||w before||; NaN where ||w|| is 0 */
} bp_tensor_observation;

/* A block's units over all samples of an observed step. A unit is off on a sample where it passes (nearly) no gradient
 * on: a relu at 0, a sigmoid below 1/64 or above 63/64, a tanh beyond 31/32. Shares are NaN where the activation does
 * not have them. */
typedef struct bp_layer_observation {
    int64_t block; /* from 1 */
    bp_activation activation;
    int64_t units;
    double dead_share;      /* relu: units that are off on every sample */
    double saturated_share; /* sigmoid, tanh: units that are off on at least 9 of 10 samples */
    double off_share;       /* of all pairs of unit and sample */
} bp_layer_observation;

/* X(ENUM, name) */
#define BP_WARNING_LIST(X)                                                                                             \
    X(VANISHING, "vanishing")                                                                                          \
    X(EXPLODING, "exploding")                                                                                          \
    X(DEAD, "dead")                                                                                                    \
    X(SATURATED, "saturated")                                                                                          \
    X(CLIPPING, "clipping")

typedef enum bp_warning_kind {
#define BP_WARNING_ENUM(ENUM, name) BP_WARNING_##ENUM,
    BP_WARNING_LIST(BP_WARNING_ENUM)
#undef BP_WARNING_ENUM
        BP_WARNING_COUNT
} bp_warning_kind;

BP_API const char *bp_warning_name(bp_warning_kind kind); /* NULL for a value that is none */

/* What is wrong and what to do: given once for each kind and block of a trainer. */
typedef struct bp_warning {
    bp_warning_kind kind;
    int64_t block;       /* from 1; 0: the whole network */
    double value, limit; /* the figure, and what it was compared with */
    const char *text;    /* names the layer and the reason */
    const char *remedy;
} bp_warning;

/* Valid during the callback, with all that it points to. */
typedef struct bp_observation {
    size_t struct_size;                               /* sizeof(bp_observation) of the library */
    int64_t step;                                     /* steps done after it; one that was skipped does not count */
    int64_t epoch;                                    /* from 1 */
    int64_t rows;                                     /* samples of the step */
    double loss, lr, grad_norm, clip_factor;          /* as in bp_step_result */
    bool nonfinite;                                   /* the gradient held NaN or infinity */
    int64_t tensor_count, layer_count, warning_count; /* what the functions below count up to */
} bp_observation;

/* The index-th, in file order; the blocks from the first on; new warnings. NULL past the end. */
BP_API const bp_tensor_observation *bp_observation_tensor(const bp_observation *observation, int64_t index);
BP_API const bp_layer_observation *bp_observation_layer(const bp_observation *observation, int64_t index);
BP_API const bp_warning *bp_observation_warning(const bp_observation *observation, int64_t index);

/* Must not call functions on the trainer. */
typedef void (*bp_observation_callback)(void *user, const bp_observation *observation);

typedef struct bp_observe_options {
    size_t struct_size;               /* sizeof(bp_observe_options) */
    int64_t every;                    /* step 1 and every multiple of this; 0: none */
    bp_observation_callback callback; /* may be NULL: warnings still go to the context's log */
    void *user;
} bp_observe_options;

/* Observes the steps to come; NULL options: no more. Allocates: the figures, and on the backends about as much as the
 * parameters once more. Observations that are on their way are delivered by bp_trainer_result, which waits.
 * errors    INVALID_ARGUMENT, OUT_OF_MEMORY, DEVICE */
BP_API bp_status bp_trainer_observe(bp_trainer *trainer, const bp_observe_options *options);

#ifdef __cplusplus
}
#endif
#endif
