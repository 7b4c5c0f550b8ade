/* safetensors_header.h: what is found in the header of a safetensors file, checked whole. Between safetensors_header.c,
 * which parses, and safetensors_read.c, which reads the values. */
#ifndef BPI_HOST_SAFETENSORS_HEADER_H
#define BPI_HOST_SAFETENSORS_HEADER_H

#include <jansson.h>

#include "host/safetensors.h"

typedef struct bpi_st_entry {
    bpi_st_tensor tensor; /* its name lives in the JSON */
    int64_t begin, end;   /* bytes in the data section */
} bpi_st_entry;

typedef struct bpi_st_header {
    json_t *json;
    bpi_st_entry *entries; /* in the order of the data */
    int64_t count;
    size_t capacity; /* of entries */
} bpi_st_header;

/* Bytes of one element. */
int bpi_st_type_bytes(bpi_st_type type);

/* Parses the text of a header for a data section of data_bytes. `path` is for the words.
 * errors    BAD_DATA (tensor and place named), OUT_OF_MEMORY. Release in either case. */
bp_status bpi_st_header_parse(bp_context *context, const char *path, const char *text, size_t length,
                              int64_t data_bytes, bpi_st_header *header);
void bpi_st_header_release(bp_context *context, bpi_st_header *header); /* accepts a zeroed struct */

#endif
