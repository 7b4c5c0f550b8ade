/* file.h: a whole file in, and a file out under a temporary name that is synced and renamed. */
#ifndef BPI_HOST_FILE_H
#define BPI_HOST_FILE_H

#include <stdio.h>

#include "host/context.h"

typedef struct bpi_out_file {
    bp_context *context;
    FILE *stream;        /* write here; errors are seen at commit at the latest */
    char path[4096];
    char temporary[4096 + 32];
} bpi_out_file;

/* errors    IO (path, what the system said), INVALID_ARGUMENT (path too long) */
bp_status bpi_out_file_open(bp_context *context, const char *path, bpi_out_file *file);
bp_status bpi_out_file_commit(bpi_out_file *file);
void bpi_out_file_abandon(bpi_out_file *file); /* after a commit: does nothing */

#endif
