/* launch.h: how kernels are laid over a grid: plain arithmetic on shapes, so that it can be tested without a device and
 * gives the same sums on every card. */
#ifndef BPI_CUDA_LAUNCH_H
#define BPI_CUDA_LAUNCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BPI_CUDA_THREADS = 256,       /* of every block */
    BPI_CUDA_ROWS_IN_FLIGHT = 4,  /* rows that a thread loads before it works on the first */
    BPI_CUDA_LARGEST_GRID = 1024, /* blocks over which a sum or a pass is cut: 8 on each of 128 multiprocessors */
    BPI_CUDA_LOAD_GRID = 128,     /* blocks of a load, each of which reads the statistics of its columns */
    BPI_CUDA_ROW_LIMIT = 1024,    /* columns of a loss whose sums fit the shared memory of a block */
    BPI_CUDA_ROW_KEPT = 8         /* times `width` columns that a thread of the loss keeps in registers */
};

/* A pass over a matrix [rows, cols]: blocks of lanes x groups threads, each thread with `width` neighbouring columns;
 * grid (tiles, slices), a slice being slice_rows rows. */
typedef struct bpi_cuda_pass {
    int width;         /* 4: 16-byte accesses; 1: where rows do not start on 16 bytes */
    int lanes, groups; /* their product is BPI_CUDA_THREADS, both are powers of two */
    int64_t tiles, slices, slice_rows;
} bpi_cuda_pass;

bpi_cuda_pass bpi_cuda_pass_of(int64_t rows, int64_t cols, int width);
bpi_cuda_pass bpi_cuda_load_pass_of(int64_t rows, int64_t cols, int width); /* in fewer slices */

/* A loss: a row belongs to `lanes` threads, `width` neighbouring columns at a time; groups rows at once in a block;
 * grid (slices). */
typedef struct bpi_cuda_rows {
    int width; /* 4: 16-byte accesses; 1: where rows do not start on 16 bytes, or columns would be left over */
    int lanes, groups;
    int64_t slices, slice_rows;
    int64_t sums; /* rows of partial column sums: one a slice, or one a group where they do not fit shared memory */
} bpi_cuda_rows;

bpi_cuda_rows bpi_cuda_rows_of(int64_t rows, int64_t cols, int width);

/* An array of `count` elements: this many blocks walk over it. */
int64_t bpi_cuda_blocks_of(int64_t count);

/* Row length of partial column sums, in elements. */
int64_t bpi_cuda_sums_ld(int64_t cols);

/* Where the parts of the workspace of a loss lie: totals first, then the partial column sums. */
typedef struct bpi_cuda_total {
    double value;
    int64_t correct;
} bpi_cuda_total;

/* Partial results of the gradient norm. */
typedef struct bpi_cuda_square_sum {
    double value;
    int64_t nonfinite;
} bpi_cuda_square_sum;

size_t bpi_cuda_totals_bytes(int64_t slices);
size_t bpi_cuda_pass_bytes(int64_t rows, int64_t cols); /* of a pass with column sums, at either width */
size_t bpi_cuda_loss_bytes(int64_t rows, int64_t cols); /* at either width */
size_t bpi_cuda_norm_bytes(int64_t count);

#ifdef __cplusplus
}
#endif
#endif
