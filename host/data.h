/* data.h (internal): what the readers fill. */
#ifndef BPI_HOST_DATA_H
#define BPI_HOST_DATA_H

#include "backprop/data.h"
#include "host/context.h"

struct bp_data {
    bp_context *context;
    bpi_source source; /* x, classes, targets in host memory, owned by this struct */
    size_t x_bytes, classes_bytes, targets_bytes;
    int64_t class_count; /* largest class + 1; 0: targets are values or none */
    char name[256];      /* for messages: the file it came from */
};

#endif
