/* loops_elementwise.h: activations, their derivatives, and column sums. Included by loops_table.h alone.
 *
 * Each loop takes the activation as a constant, so that the compiler makes one vector loop for each. `omp simd` says
 * what it cannot see: that an output is an input at the same index or does not overlap it at all. */
#include "kernels/cpu/loops.h"
#include "kernels/math/activation_of.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE void forward_rows(bp_activation activation, float slope, int64_t rows, int64_t cols, bpi_cpu_tile z,
                                const float *bias, bpi_cpu_tile a)
{
    for (int64_t r = 0; r < rows; ++r) {
        float *in = z.data + r * z.ld, *out = a.data + r * a.ld;
        if (!bias) {
#pragma omp simd
            for (int64_t o = 0; o < cols; ++o)
                out[o] = bpi_activation_value_of(activation, slope, in[o]);
        } else if (in == out) {
#pragma omp simd
            for (int64_t o = 0; o < cols; ++o)
                out[o] = bpi_activation_value_of(activation, slope, in[o] + bias[o]);
        } else {
#pragma omp simd
            for (int64_t o = 0; o < cols; ++o) {
                float sum = in[o] + bias[o];
                in[o] = sum;
                out[o] = bpi_activation_value_of(activation, slope, sum);
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
                float error = in[o] * bpi_activation_grad_of(activation, slope, s[o]);
                out[o] = error;
                sums[o] += error;
            }
        } else {
#pragma omp simd
            for (int64_t o = 0; o < cols; ++o)
                out[o] = in[o] * bpi_activation_grad_of(activation, slope, s[o]);
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
            out[o] = bpi_activation_grad_of(activation, slope, s[o]);
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
