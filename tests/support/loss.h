/* loss.h: the loss on a device, the table of losses that tests go through, and what a result may be off by. */
#ifndef BPT_LOSS_H
#define BPT_LOSS_H

#include "kernels/bounds_loss.h"
#include "support/exact.h"
#include "support/matrix.h"
#include "support/shapes.h"

typedef struct bpt_loss_case {
    const char *name;
    bp_loss loss;
    bool classes;
    float label_smoothing, huber_delta;
} bpt_loss_case;

extern const bpt_loss_case bpt_loss_cases[];
enum { BPT_LOSS_CASES = 9 };

typedef struct bpt_loss_inputs {
    const bpt_loss_case *what;
    bpt_shape shape; /* B and O */
    double scale;
    const double *z, *targets, *old_d_b; /* targets and old_d_b may be NULL */
    const int64_t *classes;
    bool in_place; /* where z and delta are of one type */
    bool error_wanted, d_b_wanted;
    int64_t extra;
    bpi_step_state before;
} bpt_loss_inputs;

typedef struct bpt_loss_outputs {
    double *delta, *d_b; /* NULL: not wanted */
    bpi_step_state state;
} bpt_loss_outputs;

/* z in [-6,6), targets that the loss takes: classes, rows of probabilities that sum to about 1, or values. */
bpt_loss_inputs bpt_loss_random(const bpi_traits *traits, const bpt_loss_case *what, bpt_shape shape, uint64_t seed);

bpt_loss_outputs bpt_loss_run(bpt_device *device, const bpt_loss_inputs *in);

/* The smoothed target of softmax cross-entropy, the plain one of the others; dense [B,O]. */
double *bpt_loss_targets(const bpt_loss_inputs *in);

/* The loss of a row in long double, z[at] moved by `step`. */
long double bpt_loss_exact_row(const bpt_loss_inputs *in, const double *targets, int64_t b, int64_t at,
                               long double step);

/* Bounds of the rows' values and, dense, of the errors; unscaled and scaled. `values` [B], `errors` [B,O] exact. */
void bpt_loss_bounds(const bpi_roundoff *r, const bpt_loss_inputs *in, const double *targets, const double *values,
                     const double *deltas, double *value_bounds, double *delta_bounds);

#endif
