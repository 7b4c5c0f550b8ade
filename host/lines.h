/* lines.h: the lines of a text file, one after the other, through one buffer. */
#ifndef BPI_HOST_LINES_H
#define BPI_HOST_LINES_H

#include "host/file.h"

typedef struct bpi_lines {
    bpi_in_file file;
    char *buffer;
    size_t capacity;   /* of the buffer, which has one byte more for a closing zero */
    size_t begin, end; /* what is read and not yet given out */
    int64_t number;    /* of the line given out last, from 1 */
} bpi_lines;

/* errors    as bpi_in_file_open, OUT_OF_MEMORY. Close in either case. */
bp_status bpi_lines_open(bp_context *context, const char *path, bpi_lines *lines);
/* The next line without its end (LF or CR LF), as a string; NULL after the last. Valid until the next call; may be
 * written to. *length counts also behind a zero byte in the line.
 * errors    IO, OUT_OF_MEMORY */
bp_status bpi_lines_next(bpi_lines *lines, char **line, size_t *length);
/* How many lines follow; the position stays. */
bp_status bpi_lines_count(bpi_lines *lines, int64_t *count);
void bpi_lines_close(bpi_lines *lines); /* accepts a zeroed struct */

#endif
