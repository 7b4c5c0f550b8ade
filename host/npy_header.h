/* npy_header.h: the Python dictionary at the head of an NPY file. Between npy_header.c, which parses, and npy.c, which
 * reads and writes files. */
#ifndef BPI_HOST_NPY_HEADER_H
#define BPI_HOST_NPY_HEADER_H

#include "host/npy.h"

enum { BPI_NPY_MAX_RANK = sizeof((bpi_npy *)0)->shape / sizeof(int64_t) };

/* Bytes of one element. */
int bpi_npy_type_bytes(bpi_npy_type type);

/* Parses "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }", text ending with a zero, into type, rank, shape
 * and count. `path` is for the words.
 * errors    BAD_DATA: what is wrong, and what to do */
bp_status bpi_npy_header_parse(bp_context *context, const char *path, const char *text, bpi_npy *array);

#endif
