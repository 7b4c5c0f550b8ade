/* backend.c: makes the cuda backend and lists its operations; what they do is in the files named after them. The one
 * symbol that the plug-in exports is here. */
#include "kernels/cuda/cuda.h"

#include <assert.h>
#include <string.h>

static const char *precision_word(bp_precision precision)
{
    switch (precision) {
#define PRECISION_WORD(ENUM, name)                                                                                     \
    case BP_PRECISION_##ENUM:                                                                                          \
        return name;
        BP_PRECISION_LIST(PRECISION_WORD)
#undef PRECISION_WORD
    }
    return "unknown";
}

static void destroy(bpi_backend *backend)
{
    if (!backend)
        return;
    bpi_cuda *cuda = bpi_cuda_of(backend);
    for (int lane = 0; lane < BPI_CUDA_LANES; ++lane)
        if (cuda->lanes[lane])
            (void)cudaStreamSynchronize(cuda->lanes[lane]);
    bpi_cuda_slots_close(cuda);
    bpi_cuda_workspace_close(cuda);
    bpi_cuda_lanes_close(cuda);
    (void)cudaGetLastError(); /* whoever uses CUDA next is not to blame */
    bp_allocator allocator = cuda->allocator;
    allocator.release(allocator.user, cuda, sizeof *cuda);
}

static bp_status fill(bpi_cuda *cuda, bp_precision precision)
{
    bpi_traits *traits = &cuda->backend.traits;
    bool short_type = precision == BP_PRECISION_BF16;
    traits->parameter_type = BPI_TYPE_F32;
    traits->activation_type = traits->weight_type = short_type ? BPI_TYPE_BF16 : BPI_TYPE_F32;
    traits->alignment = 16 / (int64_t)bpi_type_bytes(traits->activation_type);
    cuda->factors = short_type ? CUDA_R_16BF : CUDA_R_32F;
    cuda->compute = precision == BP_PRECISION_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    BPI_TRY(bpi_cuda_device_open(cuda, precision_word(precision)));
    BPI_TRY(bpi_cuda_lanes_open(cuda));
    return bpi_cuda_slots_open(cuda);
}

static const bpi_ops cuda_ops;

static bp_status create(const bpi_backend_options *options, bpi_backend **backend)
{
    assert(options && options->allocator.allocate && options->allocator.release && backend);
    *backend = NULL;
    if (options->precision != BP_PRECISION_F32 && options->precision != BP_PRECISION_TF32 &&
        options->precision != BP_PRECISION_BF16)
        return bpi_fail(options->error, BP_STATUS_UNSUPPORTED,
                        "backend cuda: precision %s is not supported, it computes in f32, or in tf32 or bf16 where "
                        "asked to",
                        precision_word(options->precision));
    const bp_allocator *allocator = &options->allocator;
    bpi_cuda *cuda = allocator->allocate(allocator->user, sizeof *cuda, 64);
    if (!cuda)
        return bpi_fail(options->error, BP_STATUS_OUT_OF_MEMORY, "backend cuda: no memory for %zu bytes", sizeof *cuda);
    memset(cuda, 0, sizeof *cuda);
    cuda->backend.ops = &cuda_ops;
    cuda->backend.error = options->error;
    cuda->backend.traits.block_bias = true;
    cuda->allocator = *allocator;
    bp_status status = fill(cuda, options->precision);
    if (status != BP_STATUS_OK) {
        destroy(&cuda->backend);
        return status;
    }
    *backend = &cuda->backend;
    return BP_STATUS_OK;
}

/* linear_hidden_delta is there for cublasLt's epilogues alone (BPI_WAY_DELTA): a product of cuBLAS leaves nothing on
 * chip that a kernel of ours could take up, so that it would be the same two launches. */
static const bpi_ops cuda_ops = {
    .version = BPI_OPS_VERSION,
    .struct_size = sizeof(bpi_ops),
    .name = "cuda",
    .create = create,
    .destroy = destroy,
    .allocate = bpi_cuda_allocate,
    .release = bpi_cuda_release,
    .upload = bpi_cuda_upload,
    .download = bpi_cuda_download,
    .zero = bpi_cuda_zero,
    .synchronize = bpi_cuda_synchronize,
    .lane_fork = bpi_cuda_lane_fork,
    .lane_join = bpi_cuda_lane_join,
    .workspace_bytes = bpi_cuda_workspace_bytes,
    .reserve = bpi_cuda_reserve,
    .source_prepare = bpi_cuda_source_prepare,
    .source_release = bpi_cuda_source_release,
    .load = bpi_cuda_load,
    .linear_plan = bpi_cuda_linear_plan,
    .linear_unplan = bpi_cuda_linear_unplan,
    .convert_weights = bpi_cuda_convert_weights,
    .linear_forward = bpi_cuda_linear_forward,
    .linear_input_grad = bpi_cuda_linear_input_grad,
    .linear_weight_grad = bpi_cuda_linear_weight_grad,
    .activation_forward = bpi_cuda_activation_forward,
    .activation_backward = bpi_cuda_activation_backward,
    .activation_derivative = bpi_cuda_activation_derivative,
    .hadamard = bpi_cuda_hadamard,
    .bias_grad = bpi_cuda_bias_grad,
    .step_begin = bpi_cuda_step_begin,
    .loss = bpi_cuda_loss,
    .update_prepare = bpi_cuda_update_prepare,
    .update = bpi_cuda_update,
    .block_forward = bpi_cuda_block_forward,
    .block_backward = bpi_cuda_block_backward,
    .linear_hidden_delta = bpi_cuda_linear_hidden_delta,
    .linear_way = bpi_cuda_linear_way,
    .linear_time = bpi_cuda_linear_time,
    .linear_forward_mask = bpi_cuda_linear_forward_mask,
    .linear_weight_bias_grad = bpi_cuda_linear_weight_bias_grad,
    .memory_free = bpi_cuda_memory_free,
    .observe_units = bpi_cuda_observe_units,
    .observe_scratch_bytes = bpi_cuda_observe_scratch_bytes,
    .observe_gradients = bpi_cuda_observe_gradients,
    .observe_update = bpi_cuda_observe_update,
    .readback_create = bpi_cuda_readback_create,
    .readback_destroy = bpi_cuda_readback_destroy,
    .readback_copy = bpi_cuda_readback_copy,
    .readback_seal = bpi_cuda_readback_seal,
    .readback_poll = bpi_cuda_readback_poll,
    .capture_begin = bpi_cuda_capture_begin,
    .capture_end = bpi_cuda_capture_end,
    .graph_launch = bpi_cuda_graph_launch,
    .graph_release = bpi_cuda_graph_release,
};

__attribute__((visibility("default"))) const bpi_ops *bpi_plugin_ops(void);

const bpi_ops *bpi_plugin_ops(void)
{
    return &cuda_ops;
}
