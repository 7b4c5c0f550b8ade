/* loops_update.h: the gradient norm's partial sums and the optimisers. Included by loops_table.h alone. */
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/loops.h"

/* Squares in f64, where no finite f32 overflows. g * 0 is NaN for what is not finite, also where the limit hides it. */
static bpi_cpu_square_sum square_sum(int64_t count, const float *gradients, float clip_value)
{
    double sums[LANES] = {0.0};
    float probes[LANES] = {0.0f};
    int64_t whole = count / LANES * LANES;
    for (int64_t k = 0; k < whole; k += LANES)
        for (int l = 0; l < LANES; ++l) {
            float g = gradients[k + l];
            double clipped = (double)bpi_clip_by_value(g, clip_value);
            probes[l] += g * 0.0f;
            sums[l] += clipped * clipped;
        }
    for (int64_t k = whole; k < count; ++k) {
        double clipped = (double)bpi_clip_by_value(gradients[k], clip_value);
        probes[k - whole] += gradients[k] * 0.0f;
        sums[k - whole] += clipped * clipped;
    }
    bpi_cpu_square_sum result = {.nonfinite = false};
    for (int l = 0; l < LANES; ++l)
        result.nonfinite = result.nonfinite || !(probes[l] == 0.0f);
    result.value = sum_of_lanes(sums);
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

static void update_parameters(const bpi_cpu_move *update, int64_t first, int64_t count)
{
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
