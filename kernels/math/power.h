/* Whole powers in double, by squaring: the same bits on every machine and on the GPU, which pow does not promise. */
#ifndef BPI_MATH_POWER_H
#define BPI_MATH_POWER_H

#include "kernels/math/portable.h"

/* base^exponent for exponent >= 0; off by at most 2 exponent * 2^-53 relative. */
BPI_MATH_FN double bpi_whole_power(double base, int64_t exponent)
{
    double power = 1.0;
    double square = base;
    for (int64_t rest = exponent; rest > 0; rest >>= 1) {
        if (rest & 1) {
            power *= square;
        }
        square *= square;
    }
    return power;
}

#endif
