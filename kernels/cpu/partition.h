/* partition.h: how work is cut into tasks. Everything here depends on shapes alone, never on threads, machine or time:
 * the order of every sum follows from it. */
#ifndef BPI_CPU_PARTITION_H
#define BPI_CPU_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/ops.h"

/* Rows in tiles, neighbouring tiles in groups. A group is a task; a tile is what is worked on at a time and stays in
 * the cache. The last tile, and the last group, may be smaller. */
typedef struct bpi_cpu_rows {
    int64_t rows, tile;
    int64_t group_rows; /* a multiple of tile */
    int64_t groups;
} bpi_cpu_rows;

/* A product [rows, cols]: tiles of rows, each over all columns; or pieces of columns, each over all rows (one tile).
 * There is one task for each group and piece. */
typedef struct bpi_cpu_cut {
    bpi_cpu_rows rows;
    int64_t cols, piece, pieces; /* columns in a piece (the last may have fewer) */
} bpi_cpu_cut;

bpi_cpu_cut bpi_cpu_cut_of_forward(const bpi_linear_spec *spec);
bpi_cpu_cut bpi_cpu_cut_of_input_grad(const bpi_linear_spec *spec, bool bf16);

/* For a loop over the elements. */
bpi_cpu_rows bpi_cpu_rows_of_loop(int64_t rows, int64_t cols);

/* See bpi_ops.part_rows. */
int64_t bpi_cpu_part_rows(int64_t rows, size_t row_bytes);

/* d_w[O,I]: pieces of outputs, and parts of the sum over the batch that are added up afterwards where there are
 * several. */
typedef struct bpi_cpu_weight_split {
    int64_t piece, pieces; /* outputs in a piece (the last may have fewer) */
    int64_t part, parts;   /* rows in a part (likewise) */
} bpi_cpu_weight_split;

bpi_cpu_weight_split bpi_cpu_split_weight_grad(const bpi_linear_spec *spec);

/* One array in chunks for sums and updates: a fixed number of elements each. Small, so that where one thread's share
 * ends and the next one's begins few elements go to the wrong one (chunks.c). */
#define BPI_CPU_CHUNK 4096

static inline int64_t bpi_cpu_chunks(int64_t count)
{
    return (count + BPI_CPU_CHUNK - 1) / BPI_CPU_CHUNK;
}

/* Threads for a task list: 1 where the work is not worth waking others. That changes no result. */
int bpi_cpu_threads_for_product(int threads, double multiplications);
int bpi_cpu_threads_for_loop(int threads, int64_t elements);

/* Partial results of different tasks lie on different cache lines. */
#define BPI_CPU_LINE_FLOATS 16

static inline int64_t bpi_cpu_round_up(int64_t value, int64_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

/* Whether rows lie no multiple of 128 elements apart, which of f32 are 512 bytes: products can take longer there
 * (docs/cpu-backend.md). */
static inline bool bpi_cpu_is_spread(int64_t ld)
{
    return ld % 128 != 0;
}

/* The leading dimension `ld`, or one cache line (of `line` elements) more where it is not spread. */
static inline int64_t bpi_cpu_spread(int64_t ld, int64_t line)
{
    return bpi_cpu_is_spread(ld) ? ld : ld + line;
}

/* The same of rows of floats that begin on a cache line. */
static inline int64_t bpi_cpu_float_ld(int64_t cols)
{
    return bpi_cpu_spread(bpi_cpu_round_up(cols, BPI_CPU_LINE_FLOATS), BPI_CPU_LINE_FLOATS);
}

/* Bytes of one row of column sums for each group of rows. */
size_t bpi_cpu_sums_bytes(bpi_cpu_rows cut, int64_t cols);

#endif
