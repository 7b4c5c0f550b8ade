/* launch.h: how kernels are laid over a grid: plain arithmetic on shapes, so that it can be tested without a device and
 * gives the same sums on every card. */
#ifndef BPI_CUDA_LAUNCH_H
#define BPI_CUDA_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BPI_CUDA_THREADS = 256, /* of every block */
    BPI_CUDA_WARP = 32,
    BPI_CUDA_ROWS_IN_FLIGHT = 4,  /* rows that a thread loads before it works on the first */
    BPI_CUDA_BLOCK_ROWS = 2,      /* the same where a row is of several arrays */
    BPI_CUDA_LARGEST_GRID = 1024, /* blocks over which a sum or a pass is cut: 8 on each of 128 multiprocessors */
    BPI_CUDA_FILLING_GRID = 128,  /* blocks that leave few multiprocessors idle, where the matrix is large enough */
    BPI_CUDA_LOAD_GRID = 128,     /* blocks of a load, each of which reads the statistics of its columns */
    BPI_CUDA_BLOCK_GRID = 512,    /* of passes that read several row vectors first: more rows for each reading */
    BPI_CUDA_TEAM_GRID = 128,     /* of kernels that take whole rows, until a slice is long enough */
    BPI_CUDA_ROW_LIMIT = 1024,    /* columns of a loss whose sums fit the shared memory of a block */
    BPI_CUDA_ROW_KEPT = 8         /* times `width` columns that a thread of the loss keeps in registers */
};

/* A pass over a matrix [rows, cols]: blocks of lanes x groups threads, each thread with `width` neighbouring columns;
 * grid (tiles, slices), a slice being slice_rows rows. */
typedef struct bpi_cuda_pass {
    int width;         /* 16 bytes: 4 of f32, 8 of bf16, of which a block's passes take 4; 1: rows start anywhere */
    int lanes, groups; /* their product is BPI_CUDA_THREADS, both are powers of two */
    int64_t tiles, slices, slice_rows;
} bpi_cuda_pass;

bpi_cuda_pass bpi_cuda_pass_of(int64_t rows, int64_t cols, int width);
bpi_cuda_pass bpi_cuda_load_pass_of(int64_t rows, int64_t cols, int width); /* in fewer slices */

/* Rows that a slice should have before there are more of them than fill the device: 512 bytes of a column of each array
 * of elements of so many bytes. A slice reads up to 7 row vectors in f32, 28 bytes of a column, against 3 arrays or
 * more: 1.8 %; or 20 bytes against 2. */
static inline int64_t bpi_cuda_slice_rows(size_t element_bytes)
{
    return 512 / (int64_t)element_bytes;
}

/* The same for the passes of a block and the statistics of a batch norm: slices have least_rows, bpi_cuda_slice_rows or
 * more. */
bpi_cuda_pass bpi_cuda_block_pass_of(int64_t rows, int64_t cols, int width, int64_t least_rows);

/* A layer norm: a row belongs to a team of `lanes` threads, groups teams in a block, grid (1, slices). A thread has
 * `width` neighbouring columns of each row, `cells` times over; a long row, and any at width 1, is the whole block's,
 * which takes it in several goes. */
typedef struct bpi_cuda_teams {
    int width, lanes, groups;
    int cells; /* 1, 2 or BPI_CUDA_ROWS_IN_FLIGHT, and as many fewer rows at once */
    bool long_rows;
    int64_t slices, slice_rows;
} bpi_cuda_teams;

/* What a slice should have before there are more than BPI_CUDA_TEAM_GRID of them: 3 row vectors, 12 bytes of a column,
 * against 256 of each of 2 arrays or more: 2.3 %. */
static inline int64_t bpi_cuda_team_rows(size_t element_bytes)
{
    return 256 / (int64_t)element_bytes;
}
bpi_cuda_teams bpi_cuda_teams_of(int64_t rows, int64_t cols, int width, int64_t least_rows);

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

/* A weight gradient [outputs, inputs] over `rows` samples in parts: as many, a power of two, as bring it to
 * BPI_CUDA_SPLIT_TILES tiles of 128 x 128, where each keeps BPI_CUDA_SPLIT_ROWS samples and all parts together at most
 * BPI_CUDA_SPLIT_BYTES. 1: it is not worth cutting, or `rows` can't be cut into equal parts. */
enum { BPI_CUDA_SPLIT_TILES = 128, BPI_CUDA_SPLIT_ROWS = 256, BPI_CUDA_SPLIT_BYTES = 64 << 20 };
int64_t bpi_cuda_split_of(int64_t rows, int64_t inputs, int64_t outputs);
/* Of the parts, for so many rows or fewer. */
size_t bpi_cuda_split_bytes(int64_t rows, int64_t inputs, int64_t outputs);

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

/* Workspaces: for so many rows or fewer, so that they grow with the rows and the last, smaller part of a data set finds
 * all that it needs; the slices themselves do not: where `rows` just passes a whole number of rounds, they are as long
 * again and half as many. */
size_t bpi_cuda_totals_bytes(int64_t slices);
size_t bpi_cuda_pass_bytes(int64_t rows, int64_t cols);  /* of a pass with column sums, at any width */
size_t bpi_cuda_block_bytes(int64_t rows, int64_t cols); /* of block_forward and block_backward */
size_t bpi_cuda_loss_bytes(int64_t rows, int64_t cols);  /* at either width */
size_t bpi_cuda_norm_bytes(int64_t count);

/* Of the sums that each block makes of each tensor, where a step is observed. */
enum { BPI_CUDA_TENSOR_PART_BYTES = 40 };
size_t bpi_cuda_tensor_parts_bytes(int64_t count, int64_t tensors);

#ifdef __cplusplus
}
#endif
#endif
