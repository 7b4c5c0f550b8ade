/* widened.h: products of bf16 matrices in f32: both sides are expanded, some of the sum at a time so that they stay in
 * the cache, and multiplied as f32. A product of two bf16 numbers is exact in f32, so nothing but the order of the sum
 * sets it apart from instructions for bf16. gemm.c alone uses this. */
#ifndef BPI_CPU_WIDENED_H
#define BPI_CPU_WIDENED_H

#include "kernels/cpu/gemm.h"

typedef struct bpi_cpu_widened bpi_cpu_widened;

/* As the functions of gemm.h; shape->type is BPI_CPU_GEMM_WIDENED. */
size_t bpi_cpu_widened_scratchpad(bpi_cpu_gemm_engine *engine, const bpi_cpu_gemm_shape *shape);
bp_status bpi_cpu_widened_create(bpi_cpu_gemm_engine *engine, const bp_allocator *allocator,
                                 const bpi_cpu_gemm_shape *shape, bpi_error *error, bpi_cpu_widened **widened);
void bpi_cpu_widened_destroy(const bp_allocator *allocator, bpi_cpu_widened *widened); /* accepts NULL */
int bpi_cpu_widened_run(const bpi_cpu_widened *widened, bpi_cpu_expand expand, int thread, void *scratchpad,
                        const uint16_t *a, const uint16_t *b, float *c);

#endif
