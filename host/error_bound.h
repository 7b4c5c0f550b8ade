/* error_bound.h: how far loss and gradients of one batch may be off in a given precision, element by element, before
 * anything was computed in it: rounding errors are followed through forward and backward with the bounds of
 * kernels/bounds.h, around the values that the reference backend finds. docs/numerics.md, "Whole networks". */
#ifndef BPI_HOST_ERROR_BOUND_H
#define BPI_HOST_ERROR_BOUND_H

#include "host/trainer.h"
#include "kernels/bounds.h"

typedef struct bpi_gradient_bounds {
    double *gradients; /* laid out as the parameters, parameter_count; free with bpi_gradient_bounds_free */
    double loss;
    int64_t kinks; /* elements of a ReLU-like derivative whose z is nearer to 0 than its error: their f' may be
                      either one, and the bounds say so */
} bpi_gradient_bounds;

/* The trainer lives in a `reference` context; rows <= its batch. Afterwards it holds the reference's loss and gradients
 * of these rows.
 * errors    UNSUPPORTED (backend), OUT_OF_MEMORY, those of a step */
bp_status bpi_gradient_bounds_of(bp_trainer *trainer, bp_precision precision, const bpi_source *source, int64_t first,
                                 int64_t rows, bpi_gradient_bounds *bounds);
void bpi_gradient_bounds_free(const bp_model *model, bpi_gradient_bounds *bounds);

/* Of dl/dz (without the scale) and of the loss's value for one row: z_bound [O] is what the network's output was off by
 * already; target [O] as values, one-hot for a class. (error_bound_loss.c) */
void bpi_loss_row_bounds(const bpi_roundoff *r, const bpi_loss_args *args, const double *z, const double *z_bound,
                         const double *target, double *smoothed, double *error, double *error_bound, double *value,
                         double *value_bound);

#endif
