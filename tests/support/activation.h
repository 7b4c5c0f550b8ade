/* activation.h: what the forward would have saved, for the tests of the operations that use it. */
#ifndef BPT_ACTIVATION_H
#define BPT_ACTIVATION_H

#include <math.h>

#include "support/exact.h"
#include "support/linear.h"

/* Random z in [-9,9), none of them within 1e-3 of 0 (where ReLU, leaky ReLU and ELU have their kink). */
static inline double *bpt_away_from_kinks(bpt_random *random, bpi_type type, int64_t count)
{
    double *z = bpt_uniform(random, type, -9.0, 9.0, count);
    for (int64_t k = 0; k < count; ++k)
        if (fabs(z[k]) < 1e-3)
            z[k] = 0.5;
    z[0] = 0.75; /* one that no activation takes to 0 */
    return z;
}

/* z or f(z), whichever the activation saves, rounded to the type. */
static inline double *bpt_saved(bpi_type type, bp_activation activation, const double *z, int64_t count)
{
    double *saved = bpt_doubles(count);
    for (int64_t k = 0; k < count; ++k) {
        double a = (double)bpt_exact_activation(activation, bpt_slope, (long double)z[k]);
        saved[k] = bpi_activation_saves_z(activation) ? z[k] : bpt_rounded(type, a);
    }
    return saved;
}

#endif
