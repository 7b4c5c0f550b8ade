/* Loops over the functions of kernels/math, as a backend would write them. loops.c is compiled once per instruction set
 * (loops.cmake) and each object exports one table: test_math_isa.c compares their bits, bench_math.c times them, and
 * check_vectorised.sh looks at their machine code. */
#ifndef BP_TEST_MATH_LOOPS_H
#define BP_TEST_MATH_LOOPS_H

#include <stddef.h>

typedef struct math_loop {
    const char *name;
    void (*run)(float *restrict y, const float *restrict x, size_t n);
} math_loop;

typedef struct math_loop2 {
    const char *name;
    void (*run)(float *restrict y, const float *restrict x1, const float *restrict x2, size_t n);
} math_loop2;

typedef struct math_loop_table {
    const char *isa;
    const math_loop *loops;
    size_t count;
    const math_loop2 *loops2;
    size_t count2;
} math_loop_table;

/* For any CPU of the architecture; on x86-64 that is SSE2 and the fused multiply-add without its instruction. */
extern const math_loop_table math_loops_base;

#if defined(__x86_64__)
extern const math_loop_table math_loops_scalar_fma;
extern const math_loop_table math_loops_avx2;
extern const math_loop_table math_loops_avx512;
#endif

/* The tables that this CPU can run, base first; returns how many, at most 4. */
static inline size_t math_loop_tables(const math_loop_table *tables[4])
{
    size_t count = 0;
    tables[count++] = &math_loops_base;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        tables[count++] = &math_loops_scalar_fma;
        tables[count++] = &math_loops_avx2;
        if (__builtin_cpu_supports("avx512f")) {
            tables[count++] = &math_loops_avx512;
        }
    }
#endif
    return count;
}

#endif
