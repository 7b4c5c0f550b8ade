/* block.h: what the files of block_forward and block_backward share. Contract: bpi_block_spec in kernels/ops.h. */
#ifndef BPI_REFERENCE_BLOCK_H
#define BPI_REFERENCE_BLOCK_H

#include "kernels/reference/reference.h"

/* block_norm.c: mean and inv_std of every group, and the running statistics; u to y = gamma xhat + beta, one element.
 */
void bpi_reference_norm_statistics(const bpi_block_args *args);
double bpi_reference_norm(const bpi_block_spec *spec, double u, const double *gamma, const double *beta,
                          const double *mean, const double *inv_std, int64_t b, int64_t o);

/* d_gamma and d_beta from dL/dy in args->delta; then args->delta becomes dL/du. */
void bpi_reference_norm_backward(bpi_backend *backend, const bpi_block_grad_args *args);

/* block_dropout.c: what element (b, o) is multiplied by: 1 / (1 - p) where it is kept, else 0. */
double bpi_reference_dropout(const bpi_dropout_key *key, float p, int64_t outputs, int64_t b, int64_t o);

#endif
