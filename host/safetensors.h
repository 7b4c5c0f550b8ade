/* safetensors.h: read and write https://github.com/huggingface/safetensors files: 8 bytes of header length, a JSON
 * header, the tensors' bytes. Pure format code: knows nothing of models. */
#ifndef BPI_HOST_SAFETENSORS_H
#define BPI_HOST_SAFETENSORS_H

#include "host/context.h"

typedef enum bpi_st_type { BPI_ST_F64, BPI_ST_F32, BPI_ST_F16, BPI_ST_BF16, BPI_ST_I64 } bpi_st_type;

/* ---- writing: everything is declared first, then written in that order, under a temporary name ---- */

typedef struct bpi_st_writer bpi_st_writer;

/* Opens `path` for an atomic replacement; nothing at `path` changes before bpi_st_commit.
 * errors    IO, OUT_OF_MEMORY */
bp_status bpi_st_writer_create(bp_context *context, const char *path, bpi_st_writer **writer);
/* key and value in UTF-8: the caller's duty. */
bp_status bpi_st_metadata(bpi_st_writer *writer, const char *key, const char *value);
/* rank 0 to 2; values F64, F32 or I64. Declare 8-byte types first: PyTorch wants each tensor aligned to its type. */
bp_status bpi_st_declare(bpi_st_writer *writer, const char *name, bpi_st_type type, int rank, const int64_t *shape);
/* Values of the next declared tensor, dense: double for F64 and F32 (rounded), int64_t for I64. */
bp_status bpi_st_write(bpi_st_writer *writer, const void *values, int64_t count);
/* Checks that all was written, syncs the file, renames it, syncs the folder. */
bp_status bpi_st_commit(bpi_st_writer *writer);
/* Without a commit before: removes the temporary file. Accepts NULL. */
void bpi_st_writer_destroy(bpi_st_writer *writer);

/* ---- reading: the header is checked whole (lengths, offsets, overlaps, gaps, dtype against shape) at open ---- */

typedef struct bpi_st_reader bpi_st_reader;

/* errors    NOT_FOUND, IO, BAD_DATA (what, where) */
bp_status bpi_st_reader_open(bp_context *context, const char *path, bpi_st_reader **reader);
void bpi_st_reader_close(bpi_st_reader *reader); /* accepts NULL */

typedef struct bpi_st_tensor {
    const char *name;
    bpi_st_type type;
    int rank;
    int64_t shape[8];
    int64_t count; /* elements */
} bpi_st_tensor;

int64_t bpi_st_tensor_count(const bpi_st_reader *reader);
const bpi_st_tensor *bpi_st_tensor_at(const bpi_st_reader *reader, int64_t index);
int64_t bpi_st_find(const bpi_st_reader *reader, const char *name); /* -1: not there */
/* Dense values as f64 [count] (any float type), or as int64 [count] (I64). BAD_DATA where the type does not fit. */
bp_status bpi_st_read_f64(bpi_st_reader *reader, int64_t index, double *values);
bp_status bpi_st_read_i64(bpi_st_reader *reader, int64_t index, int64_t *values);
/* NULL where there is no such key. */
const char *bpi_st_get_metadata(const bpi_st_reader *reader, const char *key);

#endif
