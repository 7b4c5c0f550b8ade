/* error_bound.h: how far loss and gradients of one batch may be off in a given precision, element by element, before
 * anything was computed in it.
 *
 * Every operation adds an error of its own, which kernels/bounds.h limits for certain; the errors are then followed
 * through the network around the values that the reference backend finds. Limits that are added up in absolute value
 * grow with the product of the layers' |w| and say nothing after a dozen layers. So errors are taken as independent,
 * of mean zero and within their certain limits B_k (Higham and Mary 2019); they then add up in quadrature, and
 * Hoeffding's inequality gives P(|sum c_k e_k| > K s) <= 2 exp(-K^2 / 2) with s^2 = sum c_k^2 B_k^2.
 * docs/verification.md, "Whole networks". */
#ifndef BPI_HOST_ERROR_BOUND_H
#define BPI_HOST_ERROR_BOUND_H

#include "host/trainer.h"
#include "kernels/bounds.h"

/* K: 2 exp(-32) = 2.5e-14 for each element. */
#define BPI_ERROR_MULTIPLE 8.0

typedef struct bpi_gradient_bounds {
    double *gradients; /* laid out as the parameters, parameter_count; free with bpi_gradient_bounds_free */
    double *running;   /* of the buffers that lie behind them, after a step on the batch; NULL without batch norm */
    double loss;
    int64_t kinks; /* elements of a ReLU-like derivative whose z is nearer to 0 than its error: their f' may be
                      either one, and the bounds say so */
} bpi_gradient_bounds;

/* The trainer lives in a `reference` context; rows <= its batch. Afterwards it holds the reference's loss and gradients
 * of these rows; in bf16, those of the network that the precision speaks of, whose weights and inputs are rounded to
 * it: the weights of the trainer's model are rounded in place. (A rounding that is the same in every row adds up over
 * the rows, and not in quadrature. These are known, and so need no bound.)
 * errors    UNSUPPORTED (backend), OUT_OF_MEMORY, those of a step */
bp_status bpi_gradient_bounds_of(bp_trainer *trainer, bp_precision precision, const bpi_source *source, int64_t first,
                                 int64_t rows, bpi_gradient_bounds *bounds);
void bpi_gradient_bounds_free(const bp_model *model, bpi_gradient_bounds *bounds);

/* How far the network's outputs in evaluation mode may be off, for these rows: bounds [rows, outputs]. Running values
 * are taken as exact. As above, but that the trainer's gradients stay what they were. */
bp_status bpi_output_bounds_of(bp_trainer *trainer, bp_precision precision, const bpi_source *source, int64_t first,
                               int64_t rows, double *bounds);

/* Of one row (error_bound_loss.c): dl/dz without the scale, and the loss's value. All that is called _scale is an s, of
 * which the bound is K times. */
typedef struct bpi_loss_row {
    const double *z, *z_scale;   /* [O] the network's output, and how far it is off already */
    const double *target;        /* [O] as values, one-hot for a class */
    double *smoothed;            /* [O] scratch */
    double *error, *error_scale; /* [O] out */
    double value, value_scale;   /* out */
} bpi_loss_row;

void bpi_loss_row_follow(const bpi_roundoff *r, const bpi_loss_args *args, bpi_loss_row *row);

#endif
