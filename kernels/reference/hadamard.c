/* hadamard.c: the element-wise product. */
#include "kernels/reference/reference.h"

#include <assert.h>

bp_status bpi_reference_hadamard(bpi_backend *backend, bpi_matrix left, bpi_matrix right, bpi_matrix product)
{
    (void)backend;
    assert(left.rows == product.rows && left.cols == product.cols);
    assert(right.rows == product.rows && right.cols == product.cols);
    for (int64_t b = 0; b < product.rows; ++b)
        for (int64_t o = 0; o < product.cols; ++o)
            bpi_reference_row(product, b)[o] = bpi_reference_row(left, b)[o] * bpi_reference_row(right, b)[o];
    return BP_STATUS_OK;
}
