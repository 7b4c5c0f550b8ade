/* linear.h: a linear layer on a device for the tests of its three operations. */
#ifndef BPT_LINEAR_H
#define BPT_LINEAR_H

#include "support/matrix.h"
#include "support/shapes.h"

typedef struct bpt_linear {
    bpt_device *device;
    bpi_linear_spec spec;
    bpi_linear_plan *plan;
    bpt_matrix x, w, d_w, bias, z, a; /* d_w begins as w */
    bpt_matrix delta, d_x;            /* other leading dimensions than a and x; d_x begins as nothing */
} bpt_linear;

/* Inputs on the host, dense. bias NULL: a layer without one. */
typedef struct bpt_linear_values {
    const double *x, *w, *bias, *delta;
} bpt_linear_values;

static const float bpt_slope = 0.2f;

/* w is rounded as x is: products read the two alike. x in [-3,3), w in [-3,3) / sqrt I and bias in [-1,1): z is of the
 * size of a few units for every shape. */
bpt_linear_values bpt_linear_random(bpi_type activations, bpi_type parameters, bpt_shape shape, bool bias,
                                    uint64_t seed);

bpt_linear bpt_linear_open(bpt_device *device, bpt_shape shape, bp_activation activation, int64_t extra,
                           const bpt_linear_values *values);
/* The same with z and a wide. */
bpt_linear bpt_linear_open_wide(bpt_device *device, bpt_shape shape, bp_activation activation, int64_t extra,
                                const bpt_linear_values *values);
void bpt_linear_close(bpt_linear *linear);

#endif
