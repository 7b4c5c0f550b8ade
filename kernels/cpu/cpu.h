/* cpu.h: the parts of the cpu backend and how they fit together. The contract is kernels/ops.h.
 *
 * gemm.c alone talks to oneDNN, parallel.c alone knows threads. partition.c decides from shapes alone how an operation
 * is cut into tasks, so that no bit depends on the number of threads. The loops over elements stand in loops_*.h; each
 * isa_*.c compiles all of them for one instruction set, and isa.c chooses one at run time. An operation is: cut, run
 * the tasks, add up their partial results in a fixed order. */
#ifndef BPI_CPU_H
#define BPI_CPU_H

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/partition.h"
#include "kernels/ops.h"

/* A weight's gradient that was made in this step. */
typedef struct bpi_cpu_made {
    const float *first;
    int64_t count;
} bpi_cpu_made;

enum { BPI_CPU_MOST_MADE = 128 }; /* in deeper networks the rest is shared out as it comes */

typedef struct bpi_cpu {
    bpi_backend backend; /* first: the host sees this part */
    bpi_ops ops;         /* the table of this precision */
    bp_allocator allocator;
    int threads;
    bpi_cpu_pool *pool;
    const bpi_cpu_loops *loops;
    bpi_cpu_gemm_type products;
    bpi_cpu_gemm_engine *engine;
    bool dense_rows; /* leading dimensions of samples, activations and weights are not spread */
    void *workspace; /* partial results of the operation that runs */
    size_t workspace_bytes;
    bpi_cpu_made made[BPI_CPU_MOST_MADE]; /* since step_begin; see chunks.c */
    int made_count;
} bpi_cpu;

static inline bpi_cpu *bpi_cpu_of(bpi_backend *backend)
{
    return (bpi_cpu *)backend;
}

/* Whether arrays of activations, error terms and weights are bf16. */
static inline bool bpi_cpu_is_short(const bpi_cpu *cpu)
{
    return cpu->products != BPI_CPU_GEMM_F32;
}

static inline float *bpi_cpu_row(bpi_matrix matrix, int64_t row)
{
    return (float *)matrix.data + row * matrix.ld;
}

/* memory.c */
bp_status bpi_cpu_allocate(bpi_backend *backend, size_t bytes, void **memory);
void bpi_cpu_release(bpi_backend *backend, void *memory, size_t bytes);
bp_status bpi_cpu_upload(bpi_backend *backend, const void *source, size_t bytes, void *destination);
bp_status bpi_cpu_download(bpi_backend *backend, const void *source, size_t bytes, void *destination);
bp_status bpi_cpu_zero(bpi_backend *backend, void *memory, size_t bytes);
bpi_workspace bpi_cpu_workspace_bytes(bpi_backend *backend, const bpi_linear_spec *spec, int64_t parameter_count);
bp_status bpi_cpu_reserve(bpi_backend *backend, bpi_workspace workspace);

/* load.c */
bp_status bpi_cpu_load(bpi_backend *backend, const bpi_load_args *args);

/* linear.c */
size_t bpi_cpu_linear_workspace(bpi_cpu *cpu, const bpi_linear_spec *spec);
bp_status bpi_cpu_linear_plan(bpi_backend *backend, const bpi_linear_spec *spec, bpi_linear_plan **plan);
void bpi_cpu_linear_unplan(bpi_backend *backend, bpi_linear_plan *plan);
bp_status bpi_cpu_linear_forward(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                 const void *bias, void *z, void *a);
bp_status bpi_cpu_linear_input_grad(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta, const void *w,
                                    void *d_x);
bp_status bpi_cpu_linear_hidden_delta(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                      const void *w, const bpi_activation_args *args);

/* weight_grad.c */
bp_status bpi_cpu_linear_weight_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                     const void *x, bool accumulate, void *d_w);

/* elementwise.c */
bp_status bpi_cpu_activation_forward(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix z,
                                     bpi_matrix a);
bp_status bpi_cpu_activation_backward(bpi_backend *backend, const bpi_activation_args *args);
bp_status bpi_cpu_activation_derivative(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix saved,
                                        bpi_matrix derivative);
bp_status bpi_cpu_hadamard(bpi_backend *backend, bpi_matrix left, bpi_matrix right, bpi_matrix product);
bp_status bpi_cpu_bias_grad(bpi_backend *backend, bpi_matrix delta, bool accumulate, void *d_b);

/* block.c */
size_t bpi_cpu_block_workspace(const bpi_cpu *cpu, int64_t rows, int64_t cols);
bp_status bpi_cpu_block_forward(bpi_backend *backend, const bpi_block_args *args);
bp_status bpi_cpu_block_backward(bpi_backend *backend, const bpi_block_grad_args *args);

/* loss.c */
bp_status bpi_cpu_step_begin(bpi_backend *backend, bpi_step_state *state, const bpi_running *running);
bp_status bpi_cpu_loss(bpi_backend *backend, const bpi_loss_args *args);

/* chunks.c: notes a weight's gradient; runs one task for each chunk of arrays of max(count, more) elements, of which
 * the gradients have `count`; the bytes of `memory` that this wants. */
void bpi_cpu_note_made(bpi_cpu *cpu, const float *first, int64_t count);
void bpi_cpu_run_chunks(bpi_cpu *cpu, const float *gradients, int64_t count, int64_t more, void *memory,
                        bpi_cpu_task task, void *context);
size_t bpi_cpu_order_bytes(const bpi_cpu *cpu, int64_t chunks);

/* update.c */
bp_status bpi_cpu_update_prepare(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients, int64_t count,
                                 bpi_step_state *state);
bp_status bpi_cpu_update(bpi_backend *backend, const bpi_update_args *args);

/* The two of them, where `observe` is not NULL with a look at each chunk that is worked on. */
bp_status bpi_cpu_prepare(bpi_cpu *cpu, const bpi_hyper *hyper, const float *gradients, int64_t count,
                          bpi_step_state *state, const bpi_observe_args *observe);
bp_status bpi_cpu_move_parameters(bpi_cpu *cpu, const bpi_update_args *args, const bpi_observe_args *observe);

/* observe.c */
bp_status bpi_cpu_observe_units(bpi_backend *backend, bp_activation activation, bpi_matrix a, bool wide,
                                bool accumulate, int64_t *counts);
size_t bpi_cpu_observe_scratch_bytes(bpi_backend *backend, int64_t count, int64_t tensors);
bp_status bpi_cpu_observe_gradients(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients, int64_t count,
                                    bpi_step_state *state, const bpi_observe_args *args);
bp_status bpi_cpu_observe_update(bpi_backend *backend, const bpi_update_args *update, const bpi_observe_args *args);

/* `count` elements from chunk * BPI_CPU_CHUNK on of arrays of `total`: the gradients; the place where a thread keeps
 * the parameters of a chunk as they were; and what became of them. */
void bpi_cpu_observe_gradient_chunk(const bpi_cpu_loops *loops, const bpi_observe_args *args, const float *gradients,
                                    int64_t chunk, int64_t count);
float *bpi_cpu_observe_old_chunk(const bpi_observe_args *args, int64_t total, int thread);
void bpi_cpu_observe_move_chunk(const bpi_cpu_loops *loops, const bpi_observe_args *args, const float *before,
                                const float *parameters, int64_t chunk, int64_t count);

#endif
