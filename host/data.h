/* data.h (internal): what the readers fill, and what is known about it once it was looked through.
 *
 * The source may hold the targets twice, and the loss chooses: class indices where there are some and the loss takes
 * classes, else the values.
 *   kind      classes  targets             from
 *   CLASSES   yes      [N,1] where all     integers (IDX labels, NPY integers, bp_data_create's classes). Classes 0 and
 * 1 classes are 0 or 1  are values too, for bce_with_logits with one output and for nothing else VALUES    no [N,T]
 * floats EITHER    yes      [N,1]               a CSV column of non-negative integers: classes for
 * softmax_cross_entropy, values for the other losses */
#ifndef BPI_HOST_DATA_H
#define BPI_HOST_DATA_H

#include "backprop/data.h"
#include "host/context.h"

typedef enum bpi_target_kind {
    BPI_TARGETS_NONE,
    BPI_TARGETS_CLASSES,
    BPI_TARGETS_VALUES,
    BPI_TARGETS_EITHER
} bpi_target_kind;

/* What bp_data_check wants to know of the values, so that it need not look at them again. */
typedef struct bpi_target_range {
    float smallest, largest;
    int64_t smallest_row, largest_row;
    double worst_sum; /* the sum of a row that is farthest from 1 */
    int64_t worst_row;
} bpi_target_range;

struct bp_data {
    bp_context *context;
    bpi_source source; /* x, classes, targets in host memory, owned by this struct */
    size_t x_bytes, classes_bytes, targets_bytes;
    bpi_target_kind kind;
    int64_t class_count; /* largest class + 1; 0: no classes */
    int64_t largest_class_row;
    bpi_target_range range; /* of targets, where there are some */
    char name[256];         /* for messages: the file it came from */
};

/* An empty struct with a name; destroy it with bp_data_destroy. */
bp_status bpi_data_new(bp_context *context, const char *name, bp_data **data);

/* rows * cols * size, checked. */
bp_status bpi_matrix_bytes(bp_context *context, int64_t rows, int64_t cols, size_t size, const char *what,
                           size_t *bytes);

/* Looks through what a reader filled in (kind too) and fills the rest of the struct.
 * errors    BAD_DATA (NaN, infinity, negative class: row and column named), OUT_OF_MEMORY */
bp_status bpi_data_inspect(bp_data *data);

#endif
