/* bf16.h: precision bf16 on the cpu backend: activations, error terms and a copy of the weights are bf16, and what
 * computes on them is f32 inside. Products are made by the processor's instructions for bf16, or of f32 over what was
 * expanded: linear.c, weight_grad.c and the loops do not know which. */
#ifndef BPI_CPU_BF16_H
#define BPI_CPU_BF16_H

#include "kernels/cpu/cpu.h"

/* How products of bf16 are made here, with words for it ("bf16 by AVX512-BF16"); UNSUPPORTED where the processor has
 * nothing for them, unless they are emulated. BP_CPU_BF16 (native, widened) chooses where there is a choice. */
bp_status bpi_cpu_bf16_products(bool emulate, bpi_error *error, bpi_cpu_gemm_type *products, const char **words);

/* Puts the operations of this precision over those of f32, and says so in the traits. */
void bpi_cpu_bf16_choose(bpi_ops *ops, bpi_traits *traits);

/* bf16_elementwise.c: the entries of ops.h of these names */
bp_status bpi_cpu_bf16_activation_forward(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix z,
                                          bpi_matrix a);
bp_status bpi_cpu_bf16_activation_backward(bpi_backend *backend, const bpi_activation_args *args);
bp_status bpi_cpu_bf16_activation_derivative(bpi_backend *backend, bp_activation activation, float slope,
                                             bpi_matrix saved, bpi_matrix derivative);
bp_status bpi_cpu_bf16_hadamard(bpi_backend *backend, bpi_matrix left, bpi_matrix right, bpi_matrix product);
bp_status bpi_cpu_bf16_bias_grad(bpi_backend *backend, bpi_matrix delta, bool accumulate, void *d_b);

#endif
