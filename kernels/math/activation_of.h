/* activation_of.h: the formulas of activation.h by their enumeration: the one place that a new activation is added to
 * for cpu and cuda. Callers pass a constant, so that a loop or kernel holds one formula and no switch. */
#ifndef BPI_MATH_ACTIVATION_OF_H
#define BPI_MATH_ACTIVATION_OF_H

#include "backprop/model.h"
#include "kernels/math/activation.h"

/* a = f(z). */
BPI_MATH_FN float bpi_activation_value_of(bp_activation activation, float slope, float z)
{
    switch (activation) {
    case BP_ACTIVATION_IDENTITY:
        return bpi_identity(z);
    case BP_ACTIVATION_SIGMOID:
        return bpi_sigmoid(z);
    case BP_ACTIVATION_TANH:
        return bpi_tanh(z);
    case BP_ACTIVATION_RELU:
        return bpi_relu(z);
    case BP_ACTIVATION_LEAKY_RELU:
        return bpi_leaky_relu(z, slope);
    case BP_ACTIVATION_ELU:
        return bpi_elu(z);
    case BP_ACTIVATION_SOFTPLUS:
        return bpi_softplus(z);
    case BP_ACTIVATION_SILU:
        return bpi_silu(z);
    case BP_ACTIVATION_GELU:
        return bpi_gelu(z);
    case BP_ACTIVATION_GELU_TANH:
        return bpi_gelu_tanh(z);
    case BP_ACTIVATION_COUNT:
        break;
    }
    return BPI_MATH_NAN;
}

/* f' from what was saved: a, or z where BP_ACTIVATION_LIST says saves_z. */
BPI_MATH_FN float bpi_activation_grad_of(bp_activation activation, float slope, float saved)
{
    switch (activation) {
    case BP_ACTIVATION_IDENTITY:
        return bpi_identity_grad(saved);
    case BP_ACTIVATION_SIGMOID:
        return bpi_sigmoid_grad(saved);
    case BP_ACTIVATION_TANH:
        return bpi_tanh_grad(saved);
    case BP_ACTIVATION_RELU:
        return bpi_relu_grad(saved);
    case BP_ACTIVATION_LEAKY_RELU:
        return bpi_leaky_relu_grad(saved, slope);
    case BP_ACTIVATION_ELU:
        return bpi_elu_grad(saved);
    case BP_ACTIVATION_SOFTPLUS:
        return bpi_softplus_grad(saved);
    case BP_ACTIVATION_SILU:
        return bpi_silu_grad(saved);
    case BP_ACTIVATION_GELU:
        return bpi_gelu_grad(saved);
    case BP_ACTIVATION_GELU_TANH:
        return bpi_gelu_tanh_grad(saved);
    case BP_ACTIVATION_COUNT:
        break;
    }
    return BPI_MATH_NAN;
}

#endif
