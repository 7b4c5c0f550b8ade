/* bias_grad.c: the bias is added to every row, so its gradient is the sum of the error over the rows. */
#include "kernels/reference/reference.h"

#include <assert.h>

bp_status bpi_reference_bias_grad(bpi_backend *backend, bpi_matrix delta, bool accumulate, void *d_b)
{
    (void)backend;
    assert(d_b);
    for (int64_t o = 0; o < delta.cols; ++o) {
        double sum = 0.0;
        for (int64_t b = 0; b < delta.rows; ++b)
            sum += bpi_reference_row(delta, b)[o];
        double *element = (double *)d_b + o;
        *element = accumulate ? *element + sum : sum;
    }
    return BP_STATUS_OK;
}
