/* block_exact.h: what block_exact.c (forward) and block_exact_backward.c share: from u to y in long double, and how far
 * a backend may be off there. */
#ifndef BPT_BLOCK_EXACT_H
#define BPT_BLOCK_EXACT_H

#include <math.h>

#include "support/block.h"

/* What long double and the rounding of its results to double add themselves: 2^-11 of a bound in f64. */
static inline double bpt_allow(double bound, double value)
{
    return bound * (1.0 + 0x1p-8) + 0x1p-53 * fabs(value);
}

/* From u to y. Without a norm y is u, and the rest is not there. */
typedef struct bpt_normalised {
    long double *mean, *variance, *inv_std, *xhat, *y;
    double *magnitude; /* of a group: the mean of |u| */
    double *e_mean, *e_variance, *e_inv_std;
} bpt_normalised;

bpt_normalised bpt_normalise(const bpt_block *block, const bpt_block_inputs *in);

/* Members of a group of the norm, and the group of element k. */
int64_t bpt_block_members(const bpt_block *block);
int64_t bpt_block_group_at(const bpt_block *block, int64_t k);

/* Of xhat and y, element k, by the errors of mean and inv_std that stand in n. Without a norm: of y, 0. */
double bpt_xhat_bound(const bpi_roundoff *r, const bpt_block *block, const bpt_block_inputs *in,
                      const bpt_normalised *n, int64_t k);
double bpt_y_bound(const bpi_roundoff *r, const bpt_block *block, const bpt_block_inputs *in, const bpt_normalised *n,
                   int64_t k);

/* 1 / (1 - p), 1 or 0 of element k. */
long double bpt_exact_factor(const bpt_block *block, int64_t k);

#endif
