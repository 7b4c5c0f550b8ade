/* loops_update.h: the gradient norm's partial sums and the optimisers. Included by loops_table.h alone. */
#include <string.h>
#if defined(__FMA__)
#include <immintrin.h>
#endif

#include "kernels/cpu/loops.h"

/* As many doubles as a register holds, in GCC's and clang's vector types: left to itself, the compiler keeps sixteen
 * sums in memory, and takes a register of 512 bits apart to convert it. */
enum { LANES = 16 };

#if defined(__AVX512F__)
enum { WIDE = 8 };
#else
enum { WIDE = 4 };
#endif
typedef double wide_doubles __attribute__((vector_size(8 * WIDE)));

ALWAYS_INLINE void widen(const float *from, wide_doubles *to)
{
#if defined(__AVX512F__)
    *to = (wide_doubles)_mm512_cvtps_pd(_mm256_loadu_ps(from));
#else
    typedef float narrow_floats __attribute__((vector_size(4 * WIDE)));
    narrow_floats narrow;
    memcpy(&narrow, from, sizeof narrow);
    *to = __builtin_convertvector(narrow, wide_doubles);
#endif
}

/* sum += g^2. The square of a float is exact in a double, so that it is the same in one operation as in two. */
ALWAYS_INLINE void add_square(wide_doubles *sum, const wide_doubles *g)
{
#if defined(__AVX512F__)
    *sum = (wide_doubles)_mm512_fmadd_pd((__m512d)*g, (__m512d)*g, (__m512d)*sum);
#elif defined(__FMA__)
    *sum = (wide_doubles)_mm256_fmadd_pd((__m256d)*g, (__m256d)*g, (__m256d)*sum);
#else
    *sum += *g * *g;
#endif
}

/* The sum of squares, in f64, where no finite f32 overflows: in 16 lanes whatever the width of a register is, and what
 * is left over in the first ones; the lanes then in a tree. */
static double sum_of_squares(int64_t count, const float *g)
{
    wide_doubles sums[LANES / WIDE] = {{0.0}};
    int64_t whole = count / LANES * LANES;
    for (int64_t k = 0; k < whole; k += LANES)
        for (int v = 0; v < LANES / WIDE; ++v) {
            wide_doubles wide;
            widen(g + k + WIDE * v, &wide);
            add_square(&sums[v], &wide);
        }
    double lanes[LANES];
    memcpy(lanes, sums, sizeof lanes);
    for (int64_t k = whole; k < count; ++k)
        lanes[k - whole] += (double)g[k] * (double)g[k];
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int l = 0; l < width; ++l)
            lanes[l] += lanes[l + width];
    return lanes[0];
}

/* Clipped in pieces, into memory that stays in the cache. Clipping hides an infinity, so it is looked for before. */
static bpi_cpu_square_sum square_sum_clipped(int64_t count, const float *gradients, float clip_value)
{
    enum { PIECE = 1024 };
    float clipped[PIECE];
    uint32_t found = 0;
    bpi_cpu_square_sum result = {0.0, false};
    for (int64_t first = 0; first < count; first += PIECE) {
        const float *g = gradients + first;
        int64_t n = count - first < PIECE ? count - first : PIECE;
#pragma omp simd reduction(| : found)
        for (int64_t k = 0; k < n; ++k) {
            clipped[k] = bpi_clip_by_value(g[k], clip_value);
            found |= (bpi_bits_from_float(g[k]) & 0x7f800000u) == 0x7f800000u;
        }
        result.value += sum_of_squares(n, clipped);
    }
    result.nonfinite = found != 0;
    return result;
}

/* Without a limit, the sum tells: it is finite where all elements are. */
static bpi_cpu_square_sum square_sum(int64_t count, const float *gradients, float clip_value)
{
    if (clip_value < BPI_MATH_INF)
        return square_sum_clipped(count, gradients, clip_value);
    bpi_cpu_square_sum result = {sum_of_squares(count, gradients), false};
    result.nonfinite = !__builtin_isfinite(result.value);
    return result;
}

typedef enum rule { RULE_SGD, RULE_MOMENTUM, RULE_NESTEROV, RULE_ADAM, RULE_ADAMW } rule;

ALWAYS_INLINE bpi_updated apply(rule which, float p, float g, float state1, float state2,
                                const bpi_update_scalars *scalars)
{
    bpi_updated plain = {0};
    switch (which) {
    case RULE_SGD:
        plain.parameter = bpi_sgd(p, g, scalars);
        return plain;
    case RULE_MOMENTUM:
        return bpi_sgd_momentum(p, g, state1, scalars);
    case RULE_NESTEROV:
        return bpi_sgd_nesterov(p, g, state1, scalars);
    case RULE_ADAM:
        return bpi_adam(p, g, state1, state2, scalars);
    case RULE_ADAMW:
        return bpi_adamw(p, g, state1, state2, scalars);
    }
    return plain;
}

ALWAYS_INLINE void update_range(rule which, const bpi_cpu_move *update, int64_t first, int64_t count)
{
    const bpi_update_scalars scalars = update->scalars;
    float *restrict p = update->parameters + first;
    const float *restrict g = update->gradients + first;
    float *restrict s1 = update->state1 ? update->state1 + first : NULL;
    float *restrict s2 = update->state2 ? update->state2 + first : NULL;
    bool first_state = which != RULE_SGD, second_state = which == RULE_ADAM || which == RULE_ADAMW;
#pragma omp simd
    for (int64_t k = 0; k < count; ++k) {
        bpi_updated next = apply(which, p[k], bpi_clipped(g[k], &scalars), first_state ? s1[k] : 0.0f,
                                 second_state ? s2[k] : 0.0f, &scalars);
        p[k] = next.parameter;
        if (first_state)
            s1[k] = next.state1;
        if (second_state)
            s2[k] = next.state2;
    }
}

/* Parameters that other cores have read since the last update are theirs as well: a store to such a line waits for them
 * to give it up, line after line. Asked for all at once, they come four times as fast (docs/cpu-backend.md). Processors
 * of old take the instruction for nothing. */
static void own(const float *values, int64_t count)
{
#if defined(__PRFCHW__)
    for (int64_t k = 0; k < count; k += 16)
        __builtin_prefetch(values + k, 1);
#else
    (void)values, (void)count;
#endif
}

static void update_parameters(const bpi_cpu_move *update, int64_t first, int64_t count)
{
    own(update->parameters + first, count);
    switch (update->optimizer) {
    case BP_OPTIMIZER_SGD:
        if (!update->momentum)
            update_range(RULE_SGD, update, first, count);
        else if (!update->nesterov)
            update_range(RULE_MOMENTUM, update, first, count);
        else
            update_range(RULE_NESTEROV, update, first, count);
        break;
    case BP_OPTIMIZER_ADAM:
        update_range(RULE_ADAM, update, first, count);
        break;
    case BP_OPTIMIZER_ADAMW:
        update_range(RULE_ADAMW, update, first, count);
        break;
    case BP_OPTIMIZER_COUNT:
        break;
    }
}

static void average_values(const bpi_update_scalars *scalars, int64_t count, const float *values, float *averages)
{
    const bpi_update_scalars s = *scalars;
#pragma omp simd
    for (int64_t k = 0; k < count; ++k)
        averages[k] = bpi_averaged(averages[k], values[k], &s);
}
