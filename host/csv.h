/* csv.h: a table of numbers with a header line, split into inputs and one target column. */
#ifndef BPI_HOST_CSV_H
#define BPI_HOST_CSV_H

#include "host/context.h"

typedef struct bpi_csv {
    int64_t rows, inputs;
    float *x; /* [rows, inputs] */
    size_t x_bytes;
    float *targets; /* [rows]; NULL: no target was asked for */
    size_t targets_bytes;
    int64_t *classes; /* [rows]; NULL: some target is negative or not an integer */
    size_t classes_bytes;
} bpi_csv;

/* Reads all of it. target NULL: every column is an input. A number becomes the nearest double and then the nearest
 * float, as pandas and NumPy do it.
 * errors    NOT_FOUND, IO, OUT_OF_MEMORY; INVALID_ARGUMENT (no such column: the columns are listed);
 *           BAD_DATA (line and column named) */
bp_status bpi_csv_read(bp_context *context, const char *path, const char *target, bpi_csv *table);
void bpi_csv_free(bp_context *context, bpi_csv *table); /* accepts a zeroed struct */

#endif
