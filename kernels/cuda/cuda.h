/* cuda.h: the parts of the cuda backend and how they fit together. The contract is kernels/ops.h.
 *
 * *.c is the orchestration: streams, memory, cuBLAS, captures, in C11 on the runtime's C API. *.cu holds the kernels, a
 * family a file, reached through the functions of kernels.h. launch.c decides from shapes alone how a kernel is laid
 * over a grid, so that no bit depends on the card. Lane 0 and lane 1 are a stream, a cuBLAS handle and a workspace of
 * cuBLAS each; a third stream copies batches. */
#ifndef BPI_CUDA_H
#define BPI_CUDA_H

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "kernels/cuda/launch.h"
#include "kernels/ops.h"

enum { BPI_CUDA_LANES = 2, BPI_CUDA_SLOTS = 4 };

/* Of each lane's workspace of cuBLAS: what NVIDIA recommends for Hopper and newer; older cards need 4 MiB. */
#define BPI_CUDA_BLAS_BYTES ((size_t)32 << 20)

/* A workspace that was too small and may be known to a captured graph: kept until the backend goes. */
typedef struct bpi_cuda_retired {
    struct bpi_cuda_retired *next;
    void *memory;
} bpi_cuda_retired;

/* Device memory for partial results that grows, and never shrinks. */
typedef struct bpi_cuda_workspace {
    void *memory;
    size_t bytes;
} bpi_cuda_workspace;

/* A place that a batch goes through: pinned memory on the host, and as much on the device. */
typedef struct bpi_cuda_slot {
    void *pinned, *device;
    cudaEvent_t copied, used;
    bool in_use; /* `used` was recorded: the slot is free again once it has happened */
} bpi_cuda_slot;

typedef struct bpi_cuda {
    bpi_backend backend; /* first: the host sees this part */
    bp_allocator allocator;
    cublasComputeType_t compute;
    cudaDataType_t factors; /* what the products read */
    cudaStream_t lanes[BPI_CUDA_LANES], copies;
    cudaEvent_t forked, joined;
    cublasHandle_t blas[BPI_CUDA_LANES];
    void *blas_workspace[BPI_CUDA_LANES];
    cublasLtHandle_t lt;
    void *workspace; /* partial results of the operation that runs on lane 0 */
    size_t workspace_bytes;
    bpi_cuda_workspace weights; /* and of the weight gradient, on either lane: as bpi_workspace has them */
    bpi_cuda_retired *retired;
    bpi_cuda_slot slots[BPI_CUDA_SLOTS];
    size_t slot_bytes;
    int next_slot;
} bpi_cuda;

static inline bpi_cuda *bpi_cuda_of(bpi_backend *backend)
{
    return (bpi_cuda *)backend;
}

/* check.c: the status for what a call of CUDA or cuBLAS returned; on failure the words name the call, the error, the
 * file and the line, and the runtime's error is cleared, so that the next call is not blamed for it. */
bp_status bpi_cuda_check(bpi_error *error, cudaError_t code, const char *call, const char *file, int line);
bp_status bpi_cuda_check_blas(bpi_error *error, cublasStatus_t code, const char *call, const char *file, int line);

/* Returns a failure to the caller. Both kinds of call go through the one macro. */
#define BPI_CUDA_TRY(error, call)                                                                                      \
    BPI_TRY(_Generic((call), cudaError_t                                                                               \
                     : bpi_cuda_check, cublasStatus_t                                                                  \
                     : bpi_cuda_check_blas)((error), (call), #call, __FILE__, __LINE__))

/* device.c: a usable device is there; what it is called goes into the traits. */
bp_status bpi_cuda_device_open(bpi_cuda *cuda, const char *precision);

/* lanes.c: streams, events and cuBLAS handles; and the entries that order them. close accepts what open left undone. */
bp_status bpi_cuda_lanes_open(bpi_cuda *cuda);
void bpi_cuda_lanes_close(bpi_cuda *cuda);
bp_status bpi_cuda_synchronize(bpi_backend *backend);
bp_status bpi_cuda_lane_fork(bpi_backend *backend);
bp_status bpi_cuda_lane_join(bpi_backend *backend);

/* memory.c */
bp_status bpi_cuda_device_memory(bpi_cuda *cuda, size_t bytes, void **memory); /* not zeroed */
bp_status bpi_cuda_allocate(bpi_backend *backend, size_t bytes, void **memory);
void bpi_cuda_release(bpi_backend *backend, void *memory, size_t bytes);
bp_status bpi_cuda_memory_free(bpi_backend *backend, size_t *bytes);
bp_status bpi_cuda_upload(bpi_backend *backend, const void *source, size_t bytes, void *destination);
bp_status bpi_cuda_download(bpi_backend *backend, const void *source, size_t bytes, void *destination);
bp_status bpi_cuda_zero(bpi_backend *backend, void *memory, size_t bytes);
bpi_workspace bpi_cuda_workspace_bytes(bpi_backend *backend, const bpi_linear_spec *spec, int64_t parameter_count);
bp_status bpi_cuda_reserve(bpi_backend *backend, bpi_workspace workspace);
void bpi_cuda_workspace_close(bpi_cuda *cuda);

/* slots.c: the next slot, free, of at least `bytes`; send starts its copy, after which lane 0 may read slot->device;
 * done says that all that lane 0 was given so far is all that reads it. */
bp_status bpi_cuda_slots_open(bpi_cuda *cuda);
void bpi_cuda_slots_close(bpi_cuda *cuda);
bp_status bpi_cuda_slot_take(bpi_cuda *cuda, size_t bytes, bpi_cuda_slot **slot);
bp_status bpi_cuda_slot_send(bpi_cuda *cuda, bpi_cuda_slot *slot, size_t bytes);
bp_status bpi_cuda_slot_done(bpi_cuda *cuda, bpi_cuda_slot *slot);

/* source.c, load.c */
bp_status bpi_cuda_source_prepare(bpi_backend *backend, bpi_source *source);
void bpi_cuda_source_release(bpi_backend *backend, bpi_source *source);
bp_status bpi_cuda_load(bpi_backend *backend, const bpi_load_args *args);

/* lt.c: a product of cublasLt with what is done on its result, its algorithm chosen. */
typedef struct bpi_cuda_gemm { /* out [m,n] = left [m,k] right [k,n], all column-major */
    int64_t m, n, k;
    cublasOperation_t left_operation, right_operation;
    int64_t left_ld, right_ld, out_ld;
    cublasLtEpilogue_t epilogue;
    int64_t aux_ld; /* of the mask, or of gelu's z; 0: the epilogue has neither */
} bpi_cuda_gemm;

typedef struct bpi_cuda_product {
    cublasLtMatmulDesc_t desc; /* NULL: not made */
    cublasLtMatrixLayout_t left, right, out;
    cublasLtMatmulAlgo_t algo;
    bool has_vector, has_aux;
} bpi_cuda_product;

typedef struct bpi_cuda_operands {
    const void *left, *right;
    void *out, *vector, *aux; /* vector: the bias, or the bias gradient */
    float add;                /* times what is in out */
} bpi_cuda_operands;

/* make: UNSUPPORTED where cublasLt has no algorithm for it; the words go to `error`. free accepts what make left
 * undone. */
bp_status bpi_cuda_product_make(bpi_cuda *cuda, const bpi_cuda_gemm *gemm, bpi_error *error, bpi_cuda_product *product);
void bpi_cuda_product_free(bpi_cuda_product *product);
bp_status bpi_cuda_product_run(bpi_cuda *cuda, const bpi_cuda_product *product, int lane,
                               const bpi_cuda_operands *operands);

/* ways.c: the products of a layer that cublasLt makes whole; refused with the reason where it can't. */
bool bpi_cuda_linear_way(bpi_backend *backend, const bpi_linear_spec *spec, bpi_way way, bpi_error *why);
bp_status bpi_cuda_way_gemm(bpi_cuda *cuda, const bpi_linear_spec *spec, bpi_way way, bpi_error *why,
                            bpi_cuda_gemm *gemm);

/* linear.c */
bp_status bpi_cuda_linear_plan(bpi_backend *backend, const bpi_linear_spec *spec, bpi_linear_plan **plan);
void bpi_cuda_linear_unplan(bpi_backend *backend, bpi_linear_plan *plan);
bp_status bpi_cuda_convert_weights(bpi_backend *backend, const void *parameters, int64_t count, void *weights);
bp_status bpi_cuda_linear_forward(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                  const void *bias, void *z, void *a);
bp_status bpi_cuda_linear_input_grad(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                     const void *w, void *d_x);
bp_status bpi_cuda_linear_forward_mask(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                       const void *bias, void *a, void *mask);
bp_status bpi_cuda_linear_hidden_delta(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                       const void *w, const bpi_activation_args *args);
bp_status bpi_cuda_linear_weight_bias_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane,
                                           const void *delta, const void *x, bool accumulate, void *d_w, void *d_b);
bp_status bpi_cuda_linear_weight_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                      const void *x, bool accumulate, void *d_w);

/* timing.c */
bp_status bpi_cuda_linear_time(bpi_backend *backend, const bpi_linear_spec *spec, bool backward, double *seconds);

/* elementwise.c. in_quads: rows of f32 start on 16 bytes. pass_over: over matrices of one shape and type (named twice
 * where there are fewer), and a row vector of f32 or NULL. */
bool bpi_cuda_in_quads(const void *data, int64_t ld);
bpi_cuda_pass bpi_cuda_pass_over(bpi_type type, bpi_matrix first, bpi_matrix second, bpi_matrix third,
                                 const void *vector);
bp_status bpi_cuda_activation_forward(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix z,
                                      bpi_matrix a);
bp_status bpi_cuda_activation_backward(bpi_backend *backend, const bpi_activation_args *args);
bp_status bpi_cuda_activation_derivative(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix saved,
                                         bpi_matrix derivative);
bp_status bpi_cuda_hadamard(bpi_backend *backend, bpi_matrix left, bpi_matrix right, bpi_matrix product);
bp_status bpi_cuda_bias_grad(bpi_backend *backend, bpi_matrix delta, bool accumulate, void *d_b);

/* block.c */
bp_status bpi_cuda_block_forward(bpi_backend *backend, const bpi_block_args *args);
bp_status bpi_cuda_block_backward(bpi_backend *backend, const bpi_block_grad_args *args);

/* step.c: what goes through the step's state */
bp_status bpi_cuda_step_begin(bpi_backend *backend, bpi_step_state *state, const bpi_running *running);
bp_status bpi_cuda_loss(bpi_backend *backend, const bpi_loss_args *args);
bp_status bpi_cuda_update_prepare(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients, int64_t count,
                                  bpi_step_state *state);
bp_status bpi_cuda_update(bpi_backend *backend, const bpi_update_args *args);

/* observe.c */
bp_status bpi_cuda_observe_units(bpi_backend *backend, bp_activation activation, bpi_matrix a, bool wide,
                                 bool accumulate, int64_t *counts);
size_t bpi_cuda_observe_scratch_bytes(bpi_backend *backend, int64_t count, int64_t tensors);
bp_status bpi_cuda_observe_gradients(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients, int64_t count,
                                     bpi_step_state *state, const bpi_observe_args *args);
bp_status bpi_cuda_observe_update(bpi_backend *backend, const bpi_update_args *update, const bpi_observe_args *args);
bp_status bpi_cuda_readback_create(bpi_backend *backend, size_t bytes, bpi_readback **readback);
void bpi_cuda_readback_destroy(bpi_backend *backend, bpi_readback *readback);
bp_status bpi_cuda_readback_copy(bpi_backend *backend, bpi_readback *readback, size_t offset, const void *source,
                                 size_t bytes);
bp_status bpi_cuda_readback_seal(bpi_backend *backend, bpi_readback *readback);
bp_status bpi_cuda_readback_poll(bpi_backend *backend, bpi_readback *readback, bool wait, const void **data);

/* graph.c */
bp_status bpi_cuda_capture_begin(bpi_backend *backend);
bp_status bpi_cuda_capture_end(bpi_backend *backend, void **graph);
bp_status bpi_cuda_graph_launch(bpi_backend *backend, void *graph);
void bpi_cuda_graph_release(bpi_backend *backend, void *graph);

#endif
