/* loops_elementwise.h: activations, their derivatives, and column sums. Included by loops_table.h alone.
 *
 * Each loop takes the activation as a constant, so that the compiler makes one vector loop for each. `omp simd` says
 * what it cannot see: that an output is an input at the same index or does not overlap it at all. */
#include "kernels/cpu/loops.h"
#include "kernels/math/activation.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE float activate(bp_activation activation, float slope, float z)
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

ALWAYS_INLINE float activation_slope(bp_activation activation, float slope, float saved)
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

ALWAYS_INLINE void forward_rows(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_tile z,
                                const float *bias, bpi_cpu_tile a)
{
    for (int64_t r = 0; r < rows; ++r) {
        float *in = z.data + r * z.ld, *out = a.data + r * a.ld;
        if (!bias) {
#pragma omp simd
            for (int64_t o = 0; o < cols; ++o)
                out[o] = activate(activation, slope, in[o]);
        } else if (in == out) {
#pragma omp simd
            for (int64_t o = 0; o < cols; ++o)
                out[o] = activate(activation, slope, in[o] + bias[o]);
        } else {
#pragma omp simd
            for (int64_t o = 0; o < cols; ++o) {
                float sum = in[o] + bias[o];
                in[o] = sum;
                out[o] = activate(activation, slope, sum);
            }
        }
    }
}

static void forward(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_tile z,
                    const float *bias, bpi_cpu_tile a)
{
    if (activation == BP_ACTIVATION_IDENTITY && !bias && z.data == a.data)
        return;
    switch (activation) {
#define FORWARD_CASE(ENUM, name, saves_z)                                                                              \
    case BP_ACTIVATION_##ENUM:                                                                                         \
        forward_rows(BP_ACTIVATION_##ENUM, slope, rows, cols, z, bias, a);                                             \
        break;
        BP_ACTIVATION_LIST(FORWARD_CASE)
#undef FORWARD_CASE
    case BP_ACTIVATION_COUNT:
        break;
    }
}

ALWAYS_INLINE void backward_rows(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_tile saved,
                                 bpi_cpu_tile d_a, bpi_cpu_tile delta, float *sums)
{
    for (int64_t r = 0; r < rows; ++r) {
        const float *s = saved.data + r * saved.ld, *in = d_a.data + r * d_a.ld;
        float *out = delta.data + r * delta.ld;
        if (sums) {
#pragma omp simd
            for (int64_t o = 0; o < cols; ++o) {
                float error = in[o] * activation_slope(activation, slope, s[o]);
                out[o] = error;
                sums[o] += error;
            }
        } else {
#pragma omp simd
            for (int64_t o = 0; o < cols; ++o)
                out[o] = in[o] * activation_slope(activation, slope, s[o]);
        }
    }
}

static void backward(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_tile saved,
                     bpi_cpu_tile d_a, bpi_cpu_tile delta, float *sums)
{
    switch (activation) {
#define BACKWARD_CASE(ENUM, name, saves_z)                                                                             \
    case BP_ACTIVATION_##ENUM:                                                                                         \
        backward_rows(BP_ACTIVATION_##ENUM, slope, rows, cols, saved, d_a, delta, sums);                               \
        break;
        BP_ACTIVATION_LIST(BACKWARD_CASE)
#undef BACKWARD_CASE
    case BP_ACTIVATION_COUNT:
        break;
    }
}

ALWAYS_INLINE void derivative_rows(bp_activation activation, float slope, int64_t rows, int64_t cols,
                                   bpi_cpu_tile saved, bpi_cpu_tile derivative)
{
    for (int64_t r = 0; r < rows; ++r) {
        const float *s = saved.data + r * saved.ld;
        float *out = derivative.data + r * derivative.ld;
#pragma omp simd
        for (int64_t o = 0; o < cols; ++o)
            out[o] = activation_slope(activation, slope, s[o]);
    }
}

static void derivative(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_tile saved,
                       bpi_cpu_tile out)
{
    switch (activation) {
#define DERIVATIVE_CASE(ENUM, name, saves_z)                                                                           \
    case BP_ACTIVATION_##ENUM:                                                                                         \
        derivative_rows(BP_ACTIVATION_##ENUM, slope, rows, cols, saved, out);                                          \
        break;
        BP_ACTIVATION_LIST(DERIVATIVE_CASE)
#undef DERIVATIVE_CASE
    case BP_ACTIVATION_COUNT:
        break;
    }
}

static void hadamard(int64_t rows, int64_t cols, bpi_cpu_tile left, bpi_cpu_tile right, bpi_cpu_tile product)
{
    for (int64_t r = 0; r < rows; ++r) {
        const float *l = left.data + r * left.ld, *m = right.data + r * right.ld;
        float *out = product.data + r * product.ld;
#pragma omp simd
        for (int64_t o = 0; o < cols; ++o)
            out[o] = l[o] * m[o];
    }
}

static void column_sums(int64_t rows, int64_t cols, bpi_cpu_tile delta, float *restrict sums)
{
    for (int64_t r = 0; r < rows; ++r) {
        const float *in = delta.data + r * delta.ld;
        for (int64_t o = 0; o < cols; ++o)
            sums[o] += in[o];
    }
}

static void add_parts(int64_t count, const float *restrict parts, int64_t part_stride, int64_t part_count,
                      bool accumulate, float *restrict out)
{
    if (!accumulate)
        for (int64_t o = 0; o < count; ++o)
            out[o] = 0.0f;
    for (int64_t p = 0; p < part_count; ++p)
        for (int64_t o = 0; o < count; ++o)
            out[o] += parts[p * part_stride + o];
}
