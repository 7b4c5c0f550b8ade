/* activation.cuh: one activation out of kernels/math, chosen when the kernel is compiled. */
#ifndef BPI_CUDA_ACTIVATION_CUH
#define BPI_CUDA_ACTIVATION_CUH

#include "kernels/math/activation.h"
#include "kernels/ops.h"

template <bp_activation A> __device__ __forceinline__ float activate(float z, float slope)
{
    switch (A) {
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

template <bp_activation A> __device__ __forceinline__ float activation_slope(float saved, float slope)
{
    switch (A) {
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
