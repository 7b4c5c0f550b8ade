/* loops.h: the loops over elements, each in one thread, as a table of functions per instruction set.
 *
 * All sets give the same bits: the formulas of kernels/math do, nothing is contracted, and no sum is split by the width
 * of a register. */
#ifndef BPI_CPU_LOOPS_H
#define BPI_CPU_LOOPS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/math/optimizer.h"
#include "kernels/ops.h"

/* The loss works on up to this many rows at a time, and wants bpi_cpu_loss_scratch(O) floats to do it in. */
#define BPI_CPU_LOSS_ROWS 16

static inline int64_t bpi_cpu_loss_scratch(int64_t outputs)
{
    return 3 * BPI_CPU_LOSS_ROWS * outputs;
}

/* A tile of a matrix: row r starts at data + r * ld. */
typedef struct bpi_cpu_tile {
    float *data;
    int64_t ld;
} bpi_cpu_tile;

/* The same of f32 (wide) or of bf16; data NULL: there is none. */
typedef struct bpi_cpu_mixed {
    void *data;
    int64_t ld;
    bool wide;
} bpi_cpu_mixed;

/* What the rows of a loss add up to. */
typedef struct bpi_cpu_loss_sums {
    double value;
    int64_t correct;
} bpi_cpu_loss_sums;

typedef struct bpi_cpu_square_sum {
    double value;
    bool nonfinite; /* an element is NaN or infinite */
} bpi_cpu_square_sum;

typedef struct bpi_cpu_move {
    bp_optimizer optimizer;
    bool momentum, nesterov;
    bpi_update_scalars scalars;
    float *parameters;
    const float *gradients;
    float *state1, *state2;
} bpi_cpu_move;

#define BPI_CPU_BLOCK_SCRATCH 5

/* Sums over rows that block_backward adds to, [O] each; bias may be NULL. */
typedef struct bpi_cpu_block_sums {
    float *gamma, *beta, *bias;
} bpi_cpu_block_sums;

typedef struct bpi_cpu_loops {
    const char *isa; /* "AVX2" */

    /* t = z + bias (NULL: z), a = f(t); t is written back to z where there is a bias and a is another array. */
    void (*forward)(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_tile z,
                    const float *bias, bpi_cpu_tile a);
    /* delta = d_a f'(saved); sums[o] += its columns, unless NULL. delta may be d_a. */
    void (*backward)(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_tile saved,
                     bpi_cpu_tile d_a, bpi_cpu_tile delta, float *sums);
    void (*derivative)(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_tile saved,
                       bpi_cpu_tile derivative);
    void (*hadamard)(int64_t rows, int64_t cols, bpi_cpu_tile left, bpi_cpu_tile right, bpi_cpu_tile product);
    void (*column_sums)(int64_t rows, int64_t cols, bpi_cpu_tile delta, float *sums);
    /* out[o] = (accumulate ? out[o] : 0) + parts[0][o] + parts[1][o] + ..., in this order. */
    void (*add_parts)(int64_t count, const float *parts, int64_t part_stride, int64_t part_count, bool accumulate,
                      float *out);

    /* bf16 to f32, and back, rounded. */
    void (*expand)(int64_t count, const uint16_t *from, float *to);
    void (*shorten)(int64_t count, const float *from, uint16_t *to);
    /* The loops from forward to column_sums with tiles of bf16. sums and saved may be wide, and d_a, which is then
     * rounded to bf16 first. A wide `sums` is overwritten. z: sums + bias, where it is wanted. */
    void (*short_forward)(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_mixed sums,
                          const float *bias, bpi_cpu_mixed z, bpi_cpu_mixed a);
    void (*short_backward)(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_mixed saved,
                           bpi_cpu_mixed d_a, bpi_cpu_mixed delta, float *sums);
    void (*short_derivative)(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_mixed saved,
                             bpi_cpu_mixed derivative);
    void (*short_hadamard)(int64_t rows, int64_t cols, bpi_cpu_mixed left, bpi_cpu_mixed right, bpi_cpu_mixed product);
    void (*short_column_sums)(int64_t rows, int64_t cols, bpi_cpu_mixed delta, float *sums);

    /* Rows first .. first + rows - 1 of the batch; sums as in backward; adds to *totals. scratch: see below. delta is
     * bf16 where `narrow`. */
    void (*loss)(const bpi_loss_args *args, bool narrow, int64_t first, int64_t rows, float *scratch, float *sums,
                 bpi_cpu_loss_sums *totals);

    /* sums[o] and squares[o] += those of u - shift[o]. */
    void (*column_moments)(int64_t rows, int64_t cols, bpi_cpu_tile u, const float *shift, double *sums,
                           double *squares);
    /* Rows first .. first + rows - 1 of the batch; batch norm with the statistics in args. block_backward leaves dL/dy
     * of batch norm in delta, for batch_norm_delta, and dL/du otherwise. */
    void (*block_forward)(const bpi_block_args *args, int64_t first, int64_t rows);
    void (*block_backward)(const bpi_block_grad_args *args, int64_t first, int64_t rows, bpi_cpu_block_sums sums);
    void (*batch_norm_delta)(const bpi_block_grad_args *args, int64_t first, int64_t rows, const float *gamma_mean,
                             const float *beta_mean, float *bias_sums);

    /* The same where arrays are bf16, unless args->wide says otherwise; scratch: BPI_CPU_BLOCK_SCRATCH rows of `stride`
     * floats. With batch norm short_block_backward leaves delta alone, and short_batch_norm_delta makes all of it. */
    void (*short_block_forward)(const bpi_block_args *args, int64_t first, int64_t rows, float *scratch,
                                int64_t stride);
    void (*short_block_backward)(const bpi_block_grad_args *args, int64_t first, int64_t rows, bpi_cpu_block_sums sums,
                                 float *scratch, int64_t stride);
    void (*short_batch_norm_delta)(const bpi_block_grad_args *args, int64_t first, int64_t rows,
                                   const float *gamma_mean, const float *beta_mean, float *bias_sums, float *scratch,
                                   int64_t stride);

    bpi_cpu_square_sum (*square_sum)(int64_t count, const float *gradients, float clip_value);
    void (*update)(const bpi_cpu_move *update, int64_t first, int64_t count);
    void (*average)(const bpi_update_scalars *scalars, int64_t count, const float *values, float *averages);

    /* counts[o] += units that are off, see ops.h observe_units. rows < 2^31. */
    void (*count_off)(bp_activation activation, int64_t rows, int64_t cols, bpi_cpu_tile a, int32_t *counts);
    /* Add to their part of *sums. */
    void (*gradient_sums)(int64_t count, const float *gradients, bpi_tensor_sums *sums);
    void (*move_sums)(int64_t count, const float *before, const float *after, bpi_tensor_sums *sums);

    /* Rows first .. first + rows - 1 of the batch. x is bf16 where `narrow`. */
    void (*load)(const bpi_load_args *args, bool narrow, int64_t first, int64_t rows);
} bpi_cpu_loops;

/* The best set that this machine has, or a lower one where BP_CPU_ISA (baseline, avx2, avx512) asks for it. An unknown
 * or unusable name is a failure: nobody wants to measure what he did not ask for. */
bp_status bpi_cpu_loops_choose(bpi_error *error, const bpi_cpu_loops **loops);

/* Whether AVX512-BF16 multiplies bf16 more slowly here than FMA multiplies f32. */
bool bpi_cpu_dot_bf16_is_slow(void);

/* The set of this name, or NULL where it is not built in or this machine cannot run it. */
const bpi_cpu_loops *bpi_cpu_loops_named(const char *name);

#endif
