/* data_load.h: what the readers of samples share. */
#ifndef BPI_HOST_DATA_LOAD_H
#define BPI_HOST_DATA_LOAD_H

#include "host/data.h"

/* The front door: checks the arguments that every reader has, clears *data and makes an empty struct that is named
 * after the path. `argument` is what the caller calls the path. */
bp_status bpi_load_begin(bp_context *context, const char *call, const char *path, const char *argument, bp_data **data,
                         bp_data **made);
/* The way out: looks through what was filled and gives it to the caller, or destroys it. */
bp_status bpi_load_end(bp_status status, bp_data *made, bp_data **data);

/* Inputs of the shape [N,...]: sets the rows, and the product of the rest as inputs.
 * errors    BAD_DATA (no samples) */
bp_status bpi_load_set_shape(bp_data *data, const char *path, int rank, const int64_t *shape, int64_t count);
/* errors    BAD_DATA with both numbers */
bp_status bpi_load_check_rows(const bp_data *data, const char *x_path, const char *y_path, int64_t rows);

#endif
