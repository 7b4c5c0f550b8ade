/* error_follow.h: what the files that follow rounding errors through a network share: error_bound.c (the whole),
 * error_forward.c, error_backward.c, error_block.c (norm, dropout, skip), error_bound_loss.c. The rules stand in
 * error_bound.c. */
#ifndef BPI_HOST_ERROR_FOLLOW_H
#define BPI_HOST_ERROR_FOLLOW_H

#include <math.h>

#include "host/error_bound.h"
#include "kernels/math/bf16.h"

/* Beside a layer's arrays of the pass: values that the pass does not keep, and the scales of the errors, all
 * [rows, width]. */
typedef struct bpi_followed_layer {
    double *z, *e_z;             /* the activation's argument: the product, or what the norm made of it */
    double *e_a, *e_out;         /* e_out is e_a where out is a */
    double *xhat, *e_xhat;       /* norm */
    double *inv_std, *e_inv_std; /* norm, one for each group; e_inv_std is relative */
    double *e_skip;              /* of what later skips add to dL/d out */
} bpi_followed_layer;

typedef struct bpi_follower {
    bp_trainer *trainer;
    const bp_model *model;
    bpi_pass *pass;
    bpi_plan_set *set;
    bpi_roundoff r;
    bpi_targets targets;
    bool evaluates;      /* running values for those of the batch, and no dropout */
    int64_t rows, width; /* of the widest array of the pass */
    double *memory;      /* one block: */
    size_t bytes;
    bpi_followed_layer *layers;
    double *e_x;            /* of the first layer's inputs */
    double *e_delta[2];     /* as pass->delta */
    double *d_a, *slope_of; /* dL/da and f' of the layer at hand, with the layer's ld */
    double *row[4];         /* [width] */
    bpi_gradient_bounds *bounds;
} bpi_follower;

/* Of a sum of products: its `terms` roundings are errors like all others, each of at most u times the magnitude. */
static inline double bpi_sum_scale(const bpi_roundoff *r, int64_t terms, double magnitude)
{
    return (sqrt((double)terms) * r->sum + r->product) * magnitude + (double)terms * r->product_quantum;
}

/* A value as an activation array holds it. */
static inline double bpi_follow_rounded(const bpi_roundoff *r, double value)
{
    return r->store > 0.0 ? (double)bpi_float_from_bf16(bpi_bf16_from_float((float)value)) : value;
}

/* What the arrays of a layer round: those of the last one may be wide. */
static inline bpi_roundoff bpi_layer_roundoff(const bpi_follower *f, int64_t index)
{
    return bpi_roundoff_wide(f->r, bpi_is_wide(f->model, index));
}

/* The largest |f''|: sigmoid sqrt(3)/18, tanh 4 sqrt(3)/9, softplus 1/4, SiLU 1/2, GELU 2 phi(0) (both forms). */
double bpi_activation_curvature(bp_activation activation);

/* The derivative is that of the argument, and not of a: SiLU and GELU. */
static inline bool bpi_derives_from_z(const bpi_layer *layer)
{
    return bpi_activation_saves_z(layer->block.activation);
}

/* Whether a ReLU's z is nearer to 0 than its error may be. */
bool bpi_at_kink(const bpi_follower *f, int64_t index, int64_t at);

/* Inputs of layer `index`, their ld, and the scales of their errors. */
const double *bpi_followed_inputs(const bpi_follower *f, int64_t index, int64_t *ld, const double **scales);

/* error_forward.c; inputs, before the forward pass: rounds them, too */
void bpi_follow_inputs(bpi_follower *f, const bpi_source *source);
bp_status bpi_follow_forward(bpi_follower *f, int64_t index);
bp_status bpi_follow_slope(bpi_follower *f, int64_t index); /* f' into slope_of */

/* error_backward.c: f->d_a and f->slope_of hold dL/d out and f' of the layer, e_delta the scales of dL/d out;
 * afterwards e_delta holds those of the layer's error term. Call before the pass makes it. */
void bpi_follow_delta(bpi_follower *f, int64_t index);
double bpi_follow_derivative(bpi_follower *f, int64_t index, int64_t b, int64_t o, double derivative);
void bpi_follow_weight_grad(bpi_follower *f, int64_t index);
void bpi_follow_input_grad(bpi_follower *f, int64_t index);

/* error_block.c */
void bpi_follow_norm(bpi_follower *f, int64_t index);        /* from z = u to z = y */
void bpi_follow_output(bpi_follower *f, int64_t index);      /* dropout and skip: from a to out */
void bpi_follow_block_delta(bpi_follower *f, int64_t index); /* bpi_follow_delta of a layer that runs in steps */

#endif
