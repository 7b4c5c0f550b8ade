/* loops_update.h: the gradient norm's partial sums and the optimisers. Included by loops_table.h alone. */
#include "kernels/cpu/loops.h"

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
