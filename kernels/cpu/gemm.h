/* gemm.h: matrix products of fixed shape, made once and run without allocating. */
#ifndef BPI_CPU_GEMM_H
#define BPI_CPU_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backprop/context.h"
#include "kernels/error.h"

typedef struct bpi_cpu_gemm_engine bpi_cpu_gemm_engine;
typedef struct bpi_cpu_gemm bpi_cpu_gemm;

/* What a and b are: f32, or bf16, which is multiplied by instructions for it, or in f32 (widened.h). c is f32. */
typedef enum bpi_cpu_gemm_type { BPI_CPU_GEMM_F32, BPI_CPU_GEMM_BF16, BPI_CPU_GEMM_WIDENED } bpi_cpu_gemm_type;

/* c[m,n] = sum_k a[m,k] b[k,n], or c + that. Strides in elements; one of each pair is 1. c row-major with ld_c. */
typedef struct bpi_cpu_gemm_shape {
    bpi_cpu_gemm_type type;
    int64_t m, n, k;
    int64_t a_row_stride, a_col_stride;
    int64_t b_row_stride, b_col_stride;
    int64_t ld_c;
    bool accumulate;
} bpi_cpu_gemm_shape;

/* Makes f32 of bf16 (loops.h). */
typedef void (*bpi_cpu_expand)(int64_t count, const uint16_t *from, float *to);

/* An engine serves up to `threads` threads at a time. Its memory, and that of its products as far as it is ours, comes
 * from `allocator`, which must outlive it. */
bp_status bpi_cpu_gemm_engine_create(const bp_allocator *allocator, int threads, bpi_cpu_expand expand,
                                     bpi_error *error, bpi_cpu_gemm_engine **engine);
void bpi_cpu_gemm_engine_destroy(bpi_cpu_gemm_engine *engine); /* accepts NULL */

/* "oneDNN 2.6.3" */
void bpi_cpu_gemm_version(char *text, size_t bytes);

/* Whether oneDNN multiplies f32 with AVX-512. */
bool bpi_cpu_gemm_has_avx512(void);

/* Whether oneDNN multiplies bf16 with this machine's instructions for it: AVX512-BF16, or those and AMX. */
typedef enum bpi_cpu_gemm_bf16 {
    BPI_CPU_GEMM_NO_BF16,
    BPI_CPU_GEMM_AVX512_BF16,
    BPI_CPU_GEMM_AMX_BF16
} bpi_cpu_gemm_bf16;
bpi_cpu_gemm_bf16 bpi_cpu_gemm_bf16_of_machine(void);

/* Bytes, a multiple of 64, that a run of such a product needs for its temporaries; 0 where there is no such product. */
size_t bpi_cpu_gemm_scratchpad(bpi_cpu_gemm_engine *engine, const bpi_cpu_gemm_shape *shape);
bp_status bpi_cpu_gemm_create(bpi_cpu_gemm_engine *engine, const bpi_cpu_gemm_shape *shape, bpi_cpu_gemm **gemm);
void bpi_cpu_gemm_destroy(bpi_cpu_gemm *gemm); /* accepts NULL */

/* Runs in the calling thread alone, as number `thread` of the engine's threads: two threads with different numbers may
 * run the same product at the same time, each with a scratchpad of its own (NULL where it needs none). Returns 0, or
 * oneDNN's status for bpi_cpu_gemm_fail. */
int bpi_cpu_gemm_run(const bpi_cpu_gemm *gemm, int thread, void *scratchpad, const void *a, const void *b, float *c);

bp_status bpi_cpu_gemm_fail(bpi_error *error, const char *what, int code);

#endif
