/* The elementary functions of kernels/math in one include. */
#ifndef BPI_MATH_ELEMENTARY_H
#define BPI_MATH_ELEMENTARY_H

#include "kernels/math/erf.h"
#include "kernels/math/exp.h"
#include "kernels/math/log.h"
#include "kernels/math/tanh.h"

#endif
