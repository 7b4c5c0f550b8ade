/* Gradient clipping: by value, element by element, and the factor of clipping by the global norm. */
#ifndef BPI_MATH_CLIP_H
#define BPI_MATH_CLIP_H

#include "kernels/math/portable.h"

/* g limited to [-limit, limit], as torch.nn.utils.clip_grad_value_; limit >= 0, +inf for none. NaN stays NaN. */
BPI_MATH_FN float bpi_clip_by_value(float g, float limit)
{
    return bpi_at_most(bpi_at_least(g, -limit), limit);
}

/* min(1, limit / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_; norm >= 0, limit > 0, finite. An infinite norm
 * gives 0 (so infinite elements become NaN, as there), a NaN norm gives NaN: a caller that must not spread either looks
 * at the norm. */
BPI_MATH_FN double bpi_clip_factor(double norm, double limit)
{
    double factor = limit / (norm + 1e-6);
    return factor > 1.0 ? 1.0 : factor;
}

#endif
