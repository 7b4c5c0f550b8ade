/* See activations.h. Each function takes the slope so that all have one type; leaky_relu alone looks at it. */
#include "tests/math/activations.h"

#include <math.h>

#include "kernels/math/activation.h"
#include "kernels/math/bounds.h"

static double sigmoid(double z)
{
    return 1.0 / (1.0 + exp(-z));
}

static double normal_cdf(double z)
{
    return 0.5 * erfc(-z / sqrt(2.0));
}

static double normal_density(double z)
{
    return exp(-0.5 * z * z) / sqrt(8.0 * atan(1.0));
}

static double gelu_tanh_argument(double z)
{
    return sqrt(1.0 / (2.0 * atan(1.0))) * (z + 0.044715 * z * z * z);
}

static double gelu_tanh_argument_slope(double z)
{
    return sqrt(1.0 / (2.0 * atan(1.0))) * (1.0 + 3.0 * 0.044715 * z * z);
}

static double no_error(double z, double slope)
{
    (void)z;
    (void)slope;
    return 0.0;
}

static float identity_value(float z, float slope)
{
    (void)slope;
    return bpi_identity(z);
}

static float identity_grad(float saved, float slope)
{
    (void)slope;
    return bpi_identity_grad(saved);
}

static double identity_exact(double z, double slope)
{
    (void)slope;
    return z;
}

static double identity_exact_grad(double z, double slope)
{
    (void)z;
    (void)slope;
    return 1.0;
}

static float sigmoid_value(float z, float slope)
{
    (void)slope;
    return bpi_sigmoid(z);
}

static float sigmoid_grad(float saved, float slope)
{
    (void)slope;
    return bpi_sigmoid_grad(saved);
}

static double sigmoid_exact(double z, double slope)
{
    (void)slope;
    return sigmoid(z);
}

static double sigmoid_exact_grad(double z, double slope)
{
    (void)slope;
    return sigmoid(z) * sigmoid(-z);
}

static double sigmoid_bound(double z, double slope)
{
    (void)slope;
    return bpi_sigmoid_bound(z);
}

static double sigmoid_grad_bound(double z, double slope)
{
    (void)slope;
    return bpi_sigmoid_grad_bound(z);
}

static float tanh_value(float z, float slope)
{
    (void)slope;
    return bpi_tanh(z);
}

static float tanh_grad(float saved, float slope)
{
    (void)slope;
    return bpi_tanh_grad(saved);
}

static double tanh_exact(double z, double slope)
{
    (void)slope;
    return tanh(z);
}

static double tanh_exact_grad(double z, double slope)
{
    (void)slope;
    return 1.0 / (cosh(z) * cosh(z));
}

static double tanh_bound(double z, double slope)
{
    (void)slope;
    return bpi_tanh_bound(z);
}

static double tanh_grad_bound(double z, double slope)
{
    (void)slope;
    return bpi_tanh_grad_bound(z);
}

static float relu_value(float z, float slope)
{
    (void)slope;
    return bpi_relu(z);
}

static float relu_grad(float saved, float slope)
{
    (void)slope;
    return bpi_relu_grad(saved);
}

static double relu_exact(double z, double slope)
{
    (void)slope;
    return fmax(z, 0.0);
}

static double relu_exact_grad(double z, double slope)
{
    (void)slope;
    return z > 0.0 ? 1.0 : 0.0;
}

static float leaky_relu_value(float z, float slope)
{
    return bpi_leaky_relu(z, slope);
}

static float leaky_relu_grad(float saved, float slope)
{
    return bpi_leaky_relu_grad(saved, slope);
}

static double leaky_relu_exact(double z, double slope)
{
    return z > 0.0 ? z : slope * z;
}

static double leaky_relu_exact_grad(double z, double slope)
{
    return z > 0.0 ? 1.0 : slope;
}

static double leaky_relu_bound(double z, double slope)
{
    return bpi_leaky_relu_bound(z, slope);
}

static float elu_value(float z, float slope)
{
    (void)slope;
    return bpi_elu(z);
}

static float elu_grad(float saved, float slope)
{
    (void)slope;
    return bpi_elu_grad(saved);
}

static double elu_exact(double z, double slope)
{
    (void)slope;
    return z > 0.0 ? z : expm1(z);
}

static double elu_exact_grad(double z, double slope)
{
    (void)slope;
    return z > 0.0 ? 1.0 : exp(z);
}

static double elu_bound(double z, double slope)
{
    (void)slope;
    return bpi_elu_bound(z);
}

static double elu_grad_bound(double z, double slope)
{
    (void)slope;
    return bpi_elu_grad_bound(z);
}

static float softplus_value(float z, float slope)
{
    (void)slope;
    return bpi_softplus(z);
}

static float softplus_grad(float saved, float slope)
{
    (void)slope;
    return bpi_softplus_grad(saved);
}

static double softplus_exact(double z, double slope)
{
    (void)slope;
    return z > 30.0 ? z + exp(-z) : log1p(exp(z));
}

static double softplus_exact_grad(double z, double slope)
{
    (void)slope;
    return sigmoid(z);
}

static double softplus_bound(double z, double slope)
{
    (void)slope;
    return bpi_softplus_bound(z);
}

static double softplus_grad_bound(double z, double slope)
{
    (void)slope;
    return bpi_softplus_grad_bound(z);
}

static float silu_value(float z, float slope)
{
    (void)slope;
    return bpi_silu(z);
}

static float silu_grad(float saved, float slope)
{
    (void)slope;
    return bpi_silu_grad(saved);
}

static double silu_exact(double z, double slope)
{
    (void)slope;
    return z * sigmoid(z);
}

static double silu_exact_grad(double z, double slope)
{
    (void)slope;
    return sigmoid(z) + z * sigmoid(z) * sigmoid(-z);
}

static double silu_bound(double z, double slope)
{
    (void)slope;
    return bpi_silu_bound(z);
}

static double silu_grad_bound(double z, double slope)
{
    (void)slope;
    return bpi_silu_grad_bound(z);
}

static float gelu_value(float z, float slope)
{
    (void)slope;
    return bpi_gelu(z);
}

static float gelu_grad(float saved, float slope)
{
    (void)slope;
    return bpi_gelu_grad(saved);
}

static double gelu_exact(double z, double slope)
{
    (void)slope;
    return z * normal_cdf(z);
}

static double gelu_exact_grad(double z, double slope)
{
    (void)slope;
    return normal_cdf(z) + z * normal_density(z);
}

static double gelu_bound(double z, double slope)
{
    (void)slope;
    return bpi_gelu_bound(z);
}

static double gelu_grad_bound(double z, double slope)
{
    (void)slope;
    return bpi_gelu_grad_bound(z);
}

static float gelu_tanh_value(float z, float slope)
{
    (void)slope;
    return bpi_gelu_tanh(z);
}

static float gelu_tanh_grad(float saved, float slope)
{
    (void)slope;
    return bpi_gelu_tanh_grad(saved);
}

static double gelu_tanh_exact(double z, double slope)
{
    (void)slope;
    return z * sigmoid(2.0 * gelu_tanh_argument(z));
}

static double gelu_tanh_exact_grad(double z, double slope)
{
    (void)slope;
    return sigmoid(2.0 * gelu_tanh_argument(z)) + 2.0 * z * sigmoid(2.0 * gelu_tanh_argument(z)) *
                                                      sigmoid(-2.0 * gelu_tanh_argument(z)) *
                                                      gelu_tanh_argument_slope(z);
}

static double gelu_tanh_bound(double z, double slope)
{
    (void)slope;
    return bpi_gelu_tanh_bound(z);
}

static double gelu_tanh_grad_bound(double z, double slope)
{
    (void)slope;
    return bpi_gelu_tanh_grad_bound(z);
}

const math_activation MATH_ACTIVATIONS[] = {
    {"identity", 0.0f, identity_value, identity_grad, 0, identity_exact, identity_exact_grad, no_error, no_error,
     -INFINITY, INFINITY, 1.0f, 1.0f},
    {"sigmoid", 0.0f, sigmoid_value, sigmoid_grad, 0, sigmoid_exact, sigmoid_exact_grad, sigmoid_bound,
     sigmoid_grad_bound, 0.0f, 1.0f, 0.0f, 0.0f},
    {"tanh", 0.0f, tanh_value, tanh_grad, 0, tanh_exact, tanh_exact_grad, tanh_bound, tanh_grad_bound, -1.0f, 1.0f,
     0.0f, 0.0f},
    {"relu", 0.0f, relu_value, relu_grad, 0, relu_exact, relu_exact_grad, no_error, no_error, 0.0f, INFINITY, 0.0f,
     1.0f},
    {"leaky_relu", 0.01f, leaky_relu_value, leaky_relu_grad, 0, leaky_relu_exact, leaky_relu_exact_grad,
     leaky_relu_bound, no_error, -INFINITY, INFINITY, 0.01f, 1.0f},
    {"leaky_relu", 0.2f, leaky_relu_value, leaky_relu_grad, 0, leaky_relu_exact, leaky_relu_exact_grad,
     leaky_relu_bound, no_error, -INFINITY, INFINITY, 0.2f, 1.0f},
    {"leaky_relu", 1.0f, leaky_relu_value, leaky_relu_grad, 0, leaky_relu_exact, leaky_relu_exact_grad,
     leaky_relu_bound, no_error, -INFINITY, INFINITY, 1.0f, 1.0f},
    {"leaky_relu", 1e-30f, leaky_relu_value, leaky_relu_grad, 0, leaky_relu_exact, leaky_relu_exact_grad,
     leaky_relu_bound, no_error, -INFINITY, INFINITY, 1e-30f, 1.0f},
    {"elu", 0.0f, elu_value, elu_grad, 0, elu_exact, elu_exact_grad, elu_bound, elu_grad_bound, -1.0f, INFINITY, 0.0f,
     1.0f},
    {"softplus", 0.0f, softplus_value, softplus_grad, 0, softplus_exact, softplus_exact_grad, softplus_bound,
     softplus_grad_bound, 0.0f, INFINITY, 0.0f, 1.0f},
    {"silu", 0.0f, silu_value, silu_grad, 1, silu_exact, silu_exact_grad, silu_bound, silu_grad_bound, -0.0f, INFINITY,
     0.0f, 1.0f},
    {"gelu", 0.0f, gelu_value, gelu_grad, 1, gelu_exact, gelu_exact_grad, gelu_bound, gelu_grad_bound, -0.0f, INFINITY,
     0.0f, 1.0f},
    {"gelu_tanh", 0.0f, gelu_tanh_value, gelu_tanh_grad, 1, gelu_tanh_exact, gelu_tanh_exact_grad, gelu_tanh_bound,
     gelu_tanh_grad_bound, -0.0f, INFINITY, 0.0f, 1.0f},
};

const size_t MATH_ACTIVATION_COUNT = sizeof MATH_ACTIVATIONS / sizeof MATH_ACTIVATIONS[0];
