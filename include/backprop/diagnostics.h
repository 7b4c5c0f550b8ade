/* diagnostics.h: is the gradient right? By differences of the loss, and by the reference. */
#ifndef BACKPROP_DIAGNOSTICS_H
#define BACKPROP_DIAGNOSTICS_H

#include "model.h"
#include "train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One tensor's result of a gradient check. */
typedef struct bp_gradcheck_tensor {
    const char *name;   /* valid during the callback */
    int64_t elements;   /* of the tensor */
    int64_t checked;    /* how many of them were compared */
    int64_t skipped;    /* of those, told nothing: a ReLU or leaky ReLU changes its branch within the step, so that
                           quotients of different step sizes disagree */
    double worst_error; /* largest |analytic - numeric| / bound of the others; <= 1 passes */
    double worst_analytic, worst_numeric;
    int64_t worst_index;
    bool passed;
} bp_gradcheck_tensor;

typedef void (*bp_gradcheck_callback)(void *user, const bp_gradcheck_tensor *tensor);

typedef struct bp_gradcheck_options {
    size_t struct_size;
    int64_t max_per_tensor;       /* elements compared of each tensor, spread evenly; 0: all */
    bp_gradcheck_callback tensor; /* may be NULL */
    void *user;
} bp_gradcheck_options;

/* Compares the analytic gradient of one batch with central differences of the loss, element by element, in double; the
 * model must live in a `reference` context and holds its parameters again afterwards. A tensor passes where every
 * element that tells something is within the bound and at least half of them tell something; *passed: all tensors did.
 * docs/verification.md, "Gradient check", derives the bound.
 * errors    INVALID_ARGUMENT, UNSUPPORTED (backend) */
BP_API bp_status bp_gradcheck(bp_model *model, const float *x, const int64_t *classes, const float *targets,
                              int64_t rows, const bp_gradcheck_options *options, bool *passed);

/* One tensor's result of a verification; `loss` comes first, then the gradients. */
typedef struct bp_verify_tensor {
    const char *name; /* valid during the callback */
    int64_t elements;
    double worst_error; /* largest |value - reference| / bound; <= 1 passes */
    int64_t worst_index;
    double worst_value, worst_reference, worst_bound; /* there */
    bool passed;
} bp_verify_tensor;

typedef void (*bp_verify_callback)(void *user, const bp_verify_tensor *tensor);

typedef struct bp_verify_options {
    size_t struct_size;
    bp_verify_callback tensor; /* may be NULL */
    void *user;
    const char *ways; /* how products are run: bp_trainer_options.ways */
} bp_verify_options;

/* Computes loss and gradients of one batch on the model's own backend and on `reference`, with the same parameters, and
 * judges every element by an error bound that follows from the precision, the network and the batch before anything
 * was computed (docs/verification.md, "Whole networks"). *passed: all elements are within their bounds.
 * errors    INVALID_ARGUMENT, OUT_OF_MEMORY, those of a step */
BP_API bp_status bp_verify(bp_model *model, const float *x, const int64_t *classes, const float *targets, int64_t rows,
                           const bp_verify_options *options, bool *passed);

#ifdef __cplusplus
}
#endif
#endif
