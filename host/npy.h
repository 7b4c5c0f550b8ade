/* npy.h: NumPy's array files, versions 1.0 to 3.0, C order. */
#ifndef BPI_HOST_NPY_H
#define BPI_HOST_NPY_H

#include "host/context.h"

typedef enum bpi_npy_type { BPI_NPY_F32, BPI_NPY_F64, BPI_NPY_U8, BPI_NPY_I32, BPI_NPY_I64 } bpi_npy_type;

typedef struct bpi_npy {
    bpi_npy_type type;
    int rank;
    int64_t shape[8];
    int64_t count;
    void *values; /* dense; free with bpi_npy_free */
    size_t bytes;
} bpi_npy;

/* errors    NOT_FOUND, IO, BAD_DATA (magic, header, type, Fortran order, length), OUT_OF_MEMORY */
bp_status bpi_npy_read(bp_context *context, const char *path, bpi_npy *array);
void bpi_npy_free(bp_context *context, bpi_npy *array);

#endif
