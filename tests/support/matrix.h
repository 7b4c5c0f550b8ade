/* matrix.h: matrices and vectors of a test on a device, as doubles on the host and as the backend's type over there.
 *
 * Between cols and ld stands NaN with a mark in activation matrices and zero in parameter matrices: an operation that
 * reads it makes NaN, and one that writes it is seen by bpt_get. Arrays of doubles live until bpt_clean. */
#ifndef BPT_MATRIX_H
#define BPT_MATRIX_H

#include "support/backends.h"
#include "support/random.h"

/* ---- doubles on the host ---- */

double *bpt_doubles(int64_t count); /* zeroed */
long double *bpt_long_doubles(int64_t count);
void bpt_clean(void); /* frees all of them: TestSuite(name, .fini = bpt_clean) */

double bpt_rounded(bpi_type type, double value); /* to the nearest value of the type */

/* [low, high), rounded to the type. */
double *bpt_uniform(bpt_random *random, bpi_type type, double low, double high, int64_t count);

/* ---- on a device ---- */

typedef struct bpt_matrix {
    bpt_device *device;
    bpi_matrix view; /* what operations take; a vector has one row */
    bpi_type type;
    bool zero_padded;
    size_t bytes;
} bpt_matrix;

/* ld is cols rounded up to the backend's alignment, plus `extra`: of activations so many elements, so that rows start
 * anywhere, of parameters so many alignments. values dense [rows*cols]; NULL: the matrix starts as all marks, as an
 * output that nobody wrote. */
bpt_matrix bpt_activations(bpt_device *device, int64_t rows, int64_t cols, int64_t extra, const double *values);
bpt_matrix bpt_parameters(bpt_device *device, int64_t rows, int64_t cols, int64_t extra, const double *values);
/* A weight as products read it; and activations of the last layer, in the type of parameters. */
bpt_matrix bpt_weights(bpt_device *device, int64_t rows, int64_t cols, int64_t extra, const double *values);
bpt_matrix bpt_wide(bpt_device *device, int64_t rows, int64_t cols, int64_t extra, const double *values);

void bpt_put(const bpt_matrix *matrix, const double *values);
/* Dense values; fails the test where the padding is not what bpt_put left there. Made by bpt_doubles. */
double *bpt_get(const bpt_matrix *matrix);
void bpt_release(bpt_matrix *matrix);

/* Makes the workspace large enough for operations on [rows, cols] and on arrays of `parameters` elements. */
void bpt_reserve(bpt_device *device, int64_t rows, int64_t cols, int64_t parameters);

/* Plain bytes: step state, classes. */
void *bpt_upload(bpt_device *device, const void *bytes, size_t size);
void bpt_download(bpt_device *device, const void *memory, size_t size, void *bytes);

#endif
