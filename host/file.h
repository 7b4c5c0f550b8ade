/* file.h: a regular file in, and a file out under a temporary name that is synced and renamed. */
#ifndef BPI_HOST_FILE_H
#define BPI_HOST_FILE_H

#include <stdio.h>

#include "host/context.h"

#define BPI_PATH_BYTES 4096

typedef struct bpi_out_file {
    bp_context *context;
    FILE *stream; /* write here, or with bpi_out_file_write; errors are seen at commit at the latest */
    char path[BPI_PATH_BYTES];
    char temporary[BPI_PATH_BYTES + 32];
} bpi_out_file;

/* Whatever `path` is before, it stays until commit renames the finished file over it. A symbolic link is replaced by
 * the file; a folder or a device is refused.
 * errors    IO (path, what the system said), INVALID_ARGUMENT (path null, empty or too long) */
bp_status bpi_out_file_open(bp_context *context, const char *path, bpi_out_file *file);
/* As fwrite on the stream, with the words where it fails. */
bp_status bpi_out_file_write(bpi_out_file *file, const void *bytes, size_t count);
/* Where it fails, the temporary file is gone, and `path` is as it was (unless only syncing the folder failed). */
bp_status bpi_out_file_commit(bpi_out_file *file);
void bpi_out_file_abandon(bpi_out_file *file); /* after a commit, or on a zeroed struct: does nothing */

typedef struct bpi_in_file {
    bp_context *context;
    FILE *stream;
    int64_t bytes; /* of the whole file */
    char path[BPI_PATH_BYTES];
} bpi_in_file;

/* errors    NOT_FOUND, IO (what the system said; a folder, a pipe, a device), INVALID_ARGUMENT (path) */
bp_status bpi_in_file_open(bp_context *context, const char *path, bpi_in_file *file);
/* Exactly `count` bytes from where the stream stands.
 * errors    IO, BAD_DATA (the file ends before) */
bp_status bpi_in_file_read(bpi_in_file *file, void *bytes, size_t count);
void bpi_in_file_close(bpi_in_file *file); /* twice, or on a zeroed struct: does nothing */

/* INVALID_ARGUMENT where path is null, empty or too long for the structs above. */
bp_status bpi_path_check(bp_context *context, const char *path);

#endif
