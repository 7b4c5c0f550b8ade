/* profile.h: where the time of a step goes, and what the machine could do at best: figures for benchmarks. */
#ifndef BACKPROP_PROFILE_H
#define BACKPROP_PROFILE_H

#include "context.h"
#include "train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Seconds of one step, by the kind of work. What a backend does in one pass counts as the first of its parts: a bias,
 * an activation or a derivative that a product takes along is in product_s. */
typedef struct bp_profile {
    double data_s;        /* the batch into its place */
    double product_s;     /* matrix products */
    double elementwise_s; /* activations and derivatives on their own, with the bias gradient that they take along */
    double block_s;       /* norms, dropout, skips */
    double loss_s;        /* value and error */
    double reduction_s;   /* the global norm; bias gradients on their own */
    double update_s;
    double call_s;  /* the rest: the host's own work, and what the calls cost */
    double total_s; /* all above */
    int64_t calls;  /* of a backend's operations */
} bp_profile;

/* One training step as bp_trainer_step does it, operation by operation: after each the backend is waited for, and
 * nothing is recorded and replayed. So total_s is more than a step takes where the backend works on its own.
 * errors    those of bp_trainer_step */
BP_API bp_status bp_trainer_profile(bp_trainer *trainer, const float *x, const int64_t *classes, const float *targets,
                                    int64_t rows, bp_profile *profile);

/* Copies are measured in BP_PEAKS_COPIES sizes, source and destination together taking BP_PEAKS_COPY_BYTES(0) and four
 * times as much each time: what lies in a cache, and what does not. */
#define BP_PEAKS_COPIES 6
#define BP_PEAKS_COPY_BYTES(i) ((size_t)262144 << (2 * (i)))

/* The best that was seen of the context's backend at its precision. */
typedef struct bp_peaks {
    double product_flops;               /* FLOP a second of a matrix product, over some sizes */
    double copy_bytes[BP_PEAKS_COPIES]; /* bytes a second, read and written, within the backend's memory */
    double upload_bytes;                /* bytes a second from host memory into the backend's */
    double call_s; /* of the smallest operation, called the way that a step calls: recorded where it records */
} bp_peaks;

/* Takes about a second, and memory for some hundred MiB.
 * errors    INVALID_ARGUMENT, OUT_OF_MEMORY, DEVICE */
BP_API bp_status bp_context_measure(bp_context *context, bp_peaks *peaks);

#ifdef __cplusplus
}
#endif
#endif
