/* source.h: what bpi_source.resident points to: the data set on the device; NULL where the source has none. */
#ifndef BPI_CUDA_SOURCE_H
#define BPI_CUDA_SOURCE_H

#include "kernels/cuda/cuda.h"

typedef struct bpi_cuda_resident {
    void *x, *classes, *targets;
} bpi_cuda_resident;

#endif
