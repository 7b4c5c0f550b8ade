/* idx.h: the IDX files of MNIST and its kin, plain or compressed by gzip, unsigned bytes alone. */
#ifndef BPI_HOST_IDX_H
#define BPI_HOST_IDX_H

#include "host/context.h"

typedef struct bpi_idx {
    int rank;
    int64_t shape[8];
    int64_t count;
    uint8_t *values; /* dense, row-major; free with bpi_idx_free */
    size_t bytes;
} bpi_idx;

/* errors    NOT_FOUND, IO, BAD_DATA (magic, type, dimensions, gzip damaged or truncated, length), OUT_OF_MEMORY */
bp_status bpi_idx_read(bp_context *context, const char *path, bpi_idx *array);
void bpi_idx_free(bp_context *context, bpi_idx *array);

#endif
