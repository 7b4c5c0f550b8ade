/* bf16.h: precision bf16 on the cpu backend, emulated: activations, error terms and weights are bf16, and what computes
 * on them is the loops and products of f32, over what was read. It shows what the precision makes of a training, on any
 * machine; it takes more time than f32, not less. */
#ifndef BPI_CPU_BF16_H
#define BPI_CPU_BF16_H

#include "kernels/cpu/cpu.h"
#include "kernels/math/bf16.h"

/* Puts the operations of this precision over those of f32, and says so in the traits. */
void bpi_cpu_bf16_choose(bpi_ops *ops, bpi_traits *traits);

static inline void bpi_cpu_expand(int64_t count, const uint16_t *from, float *to)
{
    for (int64_t k = 0; k < count; ++k)
        to[k] = bpi_float_from_bf16(from[k]);
}

static inline void bpi_cpu_shorten(int64_t count, const float *from, uint16_t *to)
{
    for (int64_t k = 0; k < count; ++k)
        to[k] = bpi_bf16_from_float(from[k]);
}

/* bf16_elementwise.c: the entries of ops.h of these names */
bp_status bpi_cpu_bf16_activation_forward(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix z,
                                          bpi_matrix a);
bp_status bpi_cpu_bf16_activation_backward(bpi_backend *backend, const bpi_activation_args *args);
bp_status bpi_cpu_bf16_activation_derivative(bpi_backend *backend, bp_activation activation, float slope,
                                             bpi_matrix saved, bpi_matrix derivative);
bp_status bpi_cpu_bf16_hadamard(bpi_backend *backend, bpi_matrix left, bpi_matrix right, bpi_matrix product);
bp_status bpi_cpu_bf16_bias_grad(bpi_backend *backend, bpi_matrix delta, bool accumulate, void *d_b);

#endif
