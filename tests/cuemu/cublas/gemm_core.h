/* The arithmetic of a GEMM on the CPU, without any CUDA type: acc[i,j] = sum_p a[i,p] * b[p,j].
 * Operands are described by element strides, so transposition and row order are the caller's
 * strides; scaling, epilogues and stores are the caller's too. */
#ifndef CUE_CUBLAS_GEMM_CORE_H
#define CUE_CUBLAS_GEMM_CORE_H

#include <stddef.h>
#include <stdint.h>

typedef enum { CUE_F32, CUE_F64, CUE_BF16, CUE_F16 } cue_scalar_type;

/* What the multiplier sees of an f32 operand. */
typedef enum { CUE_ROUND_NONE, CUE_ROUND_TF32, CUE_ROUND_BF16, CUE_ROUND_F16 } cue_operand_rounding;

typedef struct {
    const void *data;
    cue_scalar_type type;
    int64_t row_stride, col_stride; /* in elements */
} cue_operand;

typedef struct {
    int64_t m, n, k;
    cue_operand a, b; /* a is m x k, b is k x n */
    cue_operand_rounding rounding;
    int f64;       /* keep sums in double; else every partial sum is rounded to f32 */
    uint32_t seed; /* chooses where partial sums are rounded, and which way */
} cue_gemm;

size_t cue_scalar_bytes(cue_scalar_type type);
double cue_scalar_load(const void *base, cue_scalar_type type, int64_t index);
void cue_scalar_store(void *base, cue_scalar_type type, int64_t index, double value);

/* gemm_core: acc[j*m + i], column-major.
 * precision  products and sums in double; with f64 == 0 the running sum is rounded to f32 after
 *            each chunk of at least 8 terms, up or down as the seed says, so that
 *            |err| <= k * 2^-24 * sum |a b| for k > 1, and the nearest f32 for k == 1.
 *            Sums that are exact in f32 at every chunk stay exact.
 * order      same bits for the same arguments and seed
 * returns    0, or -1 where there is no memory for the packed operands */
int cue_gemm_core(const cue_gemm *g, double *acc);

/* One f32 rounding that goes up or down as random says; exact values stay. */
double cue_round_f32_either_way(double x, uint32_t random);
uint32_t cue_hash3(uint32_t a, uint32_t b, uint32_t c);

#endif
