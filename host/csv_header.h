/* csv_header.h: the names in the first line of a CSV file. Between csv_header.c and csv.c. */
#ifndef BPI_HOST_CSV_HEADER_H
#define BPI_HOST_CSV_HEADER_H

#include "host/context.h"

typedef struct bpi_csv_header {
    int64_t columns;
    int64_t target; /* which column, -1: none asked for */
    char *names;    /* one after the other, each with its closing zero */
    size_t bytes;
} bpi_csv_header;

/* line is changed on the way.
 * errors    as bpi_csv_read. Release in either case. */
bp_status bpi_csv_header_parse(bp_context *context, const char *path, char *line, size_t length, const char *target,
                               bpi_csv_header *header);
const char *bpi_csv_header_name(const bpi_csv_header *header, int64_t column);
void bpi_csv_header_release(bp_context *context, bpi_csv_header *header); /* accepts a zeroed struct */

#endif
