/* Every activation: the functions of kernels/math side by side with the exact value and derivative, from libm in double
 * and from textbook formulas that share nothing with kernels/math. */
#ifndef BP_TEST_MATH_ACTIVATIONS_H
#define BP_TEST_MATH_ACTIVATIONS_H

#include <stddef.h>

typedef struct math_activation {
    const char *name; /* as in BP_ACTIVATION_LIST */
    float slope;      /* leaky_relu */
    float (*value)(float z, float slope);
    float (*grad)(float saved, float slope);
    int saves_z;
    double (*exact)(double z, double slope);
    double (*exact_grad)(double z, double slope);
    double (*bound)(double z, double slope);
    double (*grad_bound)(double z, double slope);
    float low, high;           /* value at -inf and at +inf */
    float low_grad, high_grad; /* derivative there */
} math_activation;

extern const math_activation MATH_ACTIVATIONS[];
extern const size_t MATH_ACTIVATION_COUNT;

#endif
