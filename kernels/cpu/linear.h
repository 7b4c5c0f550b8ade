/* linear.h: what a plan of a linear layer holds: how its products are cut, and one oneDNN product per shape of a piece.
 */
#ifndef BPI_CPU_LINEAR_H
#define BPI_CPU_LINEAR_H

#include "kernels/cpu/cpu.h"

/* A product in tiles of rows and pieces of columns: all are of one shape but the last. */
typedef struct bpi_cpu_tiled {
    bpi_cpu_cut cut;
    bpi_cpu_gemm *gemm[2][2]; /* [last tile][last piece], each where it differs and is needed */
} bpi_cpu_tiled;

struct bpi_linear_plan {
    bpi_linear_spec spec;
    bpi_cpu_gemm_type type;
    bpi_cpu_tiled forward, input_grad;
    bpi_cpu_weight_split split;
    bpi_cpu_gemm *weight_grad[2][2][2]; /* [last piece][last part][accumulate], each where it differs and is needed */
    /* Where the products' temporaries stand in the workspace, behind the partial results: those of thread t at
     * scratch_at + t scratch_bytes. */
    size_t scratch_at, scratch_bytes;
    size_t sums_at; /* where, in those, products stand that become bf16 */
};

/* Whether what a layer's forward product makes is bf16; error terms are wherever activations are. */
static inline bool bpi_cpu_narrow_forward(const bpi_linear_plan *plan)
{
    return plan->type != BPI_CPU_GEMM_F32 && !plan->spec.wide;
}

/* The address of element `at` of x, w or delta. */
static inline const void *bpi_cpu_factor(const bpi_linear_plan *plan, const void *data, int64_t at)
{
    return (const char *)data + at * (plan->type == BPI_CPU_GEMM_F32 ? 4 : 2);
}

/* What is done with each product of a plan: its shape, and where the plan holds it. */
typedef bp_status (*bpi_cpu_product_visit)(void *context, const bpi_cpu_gemm_shape *shape, bpi_cpu_gemm **gemm);

static inline void *bpi_cpu_scratchpad(const bpi_cpu *cpu, const bpi_linear_plan *plan, int thread)
{
    if (!plan->scratch_bytes)
        return NULL;
    return (char *)cpu->workspace + plan->scratch_at + (size_t)thread * plan->scratch_bytes;
}

/* weight_grad.c: cuts, visits and frees the products of the weight gradient. */
bp_status bpi_cpu_weight_grad_plan(bpi_linear_plan *plan, bpi_cpu_product_visit visit, void *context);
void bpi_cpu_weight_grad_unplan(bpi_linear_plan *plan);

#endif
