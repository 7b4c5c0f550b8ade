/* Walks over float32: every `stride`-th number of both signs, NaN and infinities included, and every number near the
 * given centres. With BP_EXHAUSTIVE=1 in the environment every number whose magnitude is in [from, to] is visited. */
#ifndef BP_TEST_MATH_SWEEP_H
#define BP_TEST_MATH_SWEEP_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/math/portable.h"

typedef struct sweep_range {
    float from, to;
    uint32_t stride;
} sweep_range;

/* Visits x; what it returns is the share of the bound that the error takes, above 1 or NaN when it fails. */
typedef double (*sweep_visit)(float x, void *argument);

typedef struct sweep_result {
    int64_t visited, failed;
    double worst;
    float worst_at, failed_at;
} sweep_result;

static inline void sweep_one(sweep_visit visit, void *argument, uint32_t bits, sweep_result *result)
{
    float x = bpi_float_from_bits(bits);
    double share = visit(x, argument);
    result->visited++;
    if (!(share <= 1.0)) {
        result->failed_at = result->failed++ == 0 ? x : result->failed_at;
    } else if (share > result->worst) {
        result->worst = share;
        result->worst_at = x;
    }
}

static inline void sweep_both_signs(sweep_visit visit, void *argument, uint32_t magnitude, sweep_result *result)
{
    sweep_one(visit, argument, magnitude, result);
    sweep_one(visit, argument, magnitude | 0x80000000u, result);
}

static inline sweep_result sweep(sweep_visit visit, void *argument, sweep_range range)
{
    /* Where something changes: zero, denormals, polynomial boundaries, over- and underflow, infinity. */
    static const float CENTRES[] = {0.0f,  0x1p-126f, 0x1p-25f, 0x1p-24f, 0.25f,   0.34657359f, 0.5f,
                                    0.55f, 0.75f,     0.92f,    1.0f,     1.5f,    3.92f,       9.01f,
                                    10.0f, 12.0f,     14.0f,    15.0f,    18.0f,   87.33f,      88.72284f,
                                    89.0f, 103.97f,   104.0f,   120.0f,   0x1p24f, 0x1p64f,     BPI_MATH_INF};
    const char *wish = getenv("BP_EXHAUSTIVE");
    bool exhaustive = wish != NULL && wish[0] == '1';
    uint32_t from = bpi_bits_from_float(range.from);
    uint32_t to = bpi_bits_from_float(range.to);
    sweep_result result = {0};
    for (uint32_t magnitude = 0; magnitude < 0x80000000u;) {
        sweep_both_signs(visit, argument, magnitude, &result);
        magnitude += exhaustive && magnitude >= from && magnitude <= to ? 1u : range.stride;
    }
    for (size_t i = 0; i < sizeof CENTRES / sizeof CENTRES[0]; i++) {
        uint32_t centre = bpi_bits_from_float(CENTRES[i]);
        for (uint32_t magnitude = centre < 500u ? 0u : centre - 500u; magnitude <= centre + 500u; magnitude++) {
            sweep_both_signs(visit, argument, magnitude, &result);
        }
    }
    return result;
}

/* A unit in the last place of a float near the exact value. */
static inline double sweep_ulp(double exact)
{
    union {
        double value;
        uint64_t bits;
    } power = {fmax(fabs(exact), 0x1p-126)};
    power.bits &= 0x7ff0000000000000u;
    return power.value * 0x1p-23;
}

/* True where rounding the exact value to float32 gives infinity. */
static inline bool sweep_overflows(double exact)
{
    return fabs(exact) >= 0x1.ffffffp+127;
}

#endif
