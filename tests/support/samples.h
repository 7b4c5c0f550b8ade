/* samples.h: small data sets as files, written byte by byte here, not by the library's own writers. */
#ifndef BPT_SAMPLES_H
#define BPT_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

/* An NPY file of version 1.0: descr such as "<f4", shape such as "(3, 2)". */
void bpt_npy(const char *path, const char *descr, const char *fortran, const char *shape, const void *values,
             size_t bytes);

/* f32 [rows,cols] and int64 [rows]. */
void bpt_npy_f32(const char *path, const float *values, int64_t rows, int64_t cols);
void bpt_npy_i64(const char *path, const int64_t *values, int64_t rows);

/* x.npy [rows,inputs] of values in [-1,1), y.npy of classes 0 .. classes-1 that depend on x, v.npy [rows,2] of values;
 * with a prefix before each name. The same bytes everywhere. */
void bpt_samples(const char *prefix, int64_t rows, int64_t inputs, int64_t classes);

/* The same samples as a table with columns c0, c1, ..., target. */
void bpt_samples_csv(const char *path, int64_t rows, int64_t inputs, int64_t classes);

/* IDX images [rows,4,4] and labels, gzip-compressed. */
void bpt_samples_idx(const char *images, const char *labels, int64_t rows, int64_t classes);

#endif
