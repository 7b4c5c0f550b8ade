/* Standard normal numbers from Philox blocks, by Box and Muller, in double: for initialisation on the host. C only;
 * log, cos and sin are libm's, so the last bit of the double may differ between C libraries. */
#ifndef BPI_MATH_NORMAL_H
#define BPI_MATH_NORMAL_H

#include <math.h>

#include "kernels/math/philox.h"

typedef struct bpi_normal_pair {
    double first, second;
} bpi_normal_pair;

/* Two independent numbers from one block. The radius uses 1 - u in (0, 1], so it is finite: at most 8.6. */
static inline bpi_normal_pair bpi_normal_pair_of(bpi_philox_block block)
{
    double radius = sqrt(-2.0 * log(1.0 - bpi_uniform_double(block.word[0], block.word[1])));
    double angle = 6.28318530717958647693 * bpi_uniform_double(block.word[2], block.word[3]);
    bpi_normal_pair pair = {radius * cos(angle), radius * sin(angle)};
    return pair;
}

#endif
