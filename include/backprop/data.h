/* data.h: labelled samples in host memory, and readers for the formats that they come in.
 *
 * x is [N,I]; targets are either class indices [N] or values [N,T] (regression targets, probabilities). Everything is
 * checked once, when it is loaded: NaN and infinity in x or in the targets, ragged rows, negative classes. */
#ifndef BACKPROP_DATA_H
#define BACKPROP_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "context.h"
#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bp_data bp_data;

/* Samples from the caller's arrays, copied. x f32 [rows,inputs], dense. One of classes (int64 [rows], >= 0) and
 * targets (f32 [rows,target_cols]) is given; both NULL: data without targets, for prediction.
 * errors    INVALID_ARGUMENT, BAD_DATA (NaN, infinity, negative class: row and column named), OUT_OF_MEMORY */
BP_API bp_status bp_data_create(bp_context *context, const float *x, int64_t rows, int64_t inputs,
                                const int64_t *classes, const float *targets, int64_t target_cols, bp_data **data);

/* Fashion-MNIST, 28x28 pixels as 784 inputs in [0,1], 10 classes; part is "train" (60,000) or "test" (10,000).
 * directory NULL: where Debian's package dataset-fashion-mnist puts it. */
BP_API bp_status bp_data_load_fashion_mnist(bp_context *context, const char *directory, const char *part,
                                            bp_data **data);

/* IDX or IDX.gz: unsigned bytes [N,...] scaled to [0,1] as inputs; labels unsigned bytes [N]. NULL: no targets. */
BP_API bp_status bp_data_load_idx(bp_context *context, const char *images, const char *labels, bp_data **data);

/* NPY, C order: x f32, f64, u8, i32 or i64 of shape [N,...]; y integers [N] are classes, floats [N] or [N,T] values.
 * y_path NULL: no targets. */
BP_API bp_status bp_data_load_npy(bp_context *context, const char *x_path, const char *y_path, bp_data **data);

/* CSV with a header line, comma separated, numbers only; the column named `target` is the target (classes where all of
 * its values are non-negative integers and the loss wants classes), all others are inputs in their order. target NULL:
 * all columns are inputs.
 * errors    INVALID_ARGUMENT (no such column: the columns are listed), BAD_DATA (line and column named) */
BP_API bp_status bp_data_load_csv(bp_context *context, const char *path, const char *target, bp_data **data);

/* Parts samples at random, by seed alone: round(fraction * rows) of them into *part, the others into *rest, both copies
 * in the order that they had. For validation: train on the rest.
 * errors    INVALID_ARGUMENT (a fraction that is not between 0 and 1, or leaves one of the two empty), OUT_OF_MEMORY */
BP_API bp_status bp_data_split(const bp_data *data, double fraction, uint64_t seed, bp_data **rest, bp_data **part);

BP_API void bp_data_destroy(bp_data *data); /* accepts NULL */

BP_API int64_t bp_data_rows(const bp_data *data);
BP_API int64_t bp_data_inputs(const bp_data *data);
/* Largest class index + 1; 0 where the targets are not classes. */
BP_API int64_t bp_data_class_count(const bp_data *data);
/* Columns of value targets; 0 where there are none. */
BP_API int64_t bp_data_target_cols(const bp_data *data);

/* Copies rows [first, first + rows) of the inputs, f32 [rows,I], as they were loaded (not standardised). */
BP_API bp_status bp_data_get_inputs(const bp_data *data, int64_t first, int64_t rows, float *x);

/* Writes f32 [rows,cols] as an NPY file, under a temporary name that is renamed.
 * errors    IO, OUT_OF_MEMORY */
BP_API bp_status bp_npy_write(bp_context *context, const char *path, const float *values, int64_t rows, int64_t cols);

/* Checks that the data fit the model: input width, target kind and width for its loss, class range. Costs nothing.
 *   softmax_cross_entropy  classes below O, or values [N,O] in [0,1] whose rows sum to 1 within 1e-3
 *   bce_with_logits        values [N,O] in [0,1]; or, where O is 1, classes that are all 0 or 1
 *   mse half_mse huber     values [N,O]
 * The target column of a CSV file counts as values, and as classes too where all of it are non-negative integers.
 * errors    INVALID_ARGUMENT with both numbers in words */
BP_API bp_status bp_data_check(const bp_data *data, const bp_model *model);

/* Mean and standard deviation of every column over these samples, in double, kept with the model, which applies them
 * to all inputs from now on: training, evaluation, prediction. Columns that do not vary get std 1. */
BP_API bp_status bp_data_standardize(const bp_data *data, bp_model *model);

#ifdef __cplusplus
}
#endif
#endif
