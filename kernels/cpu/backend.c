/* backend.c: makes the cpu backend and lists its operations; what they do is in the files named after them. */
#include "kernels/cpu/bf16.h"

#include <assert.h>
#include <stdio.h>
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
    bpi_cpu *cpu = bpi_cpu_of(backend);
    bpi_cpu_release(backend, cpu->workspace, cpu->workspace_bytes);
    bpi_cpu_gemm_engine_destroy(cpu->engine);
    bpi_cpu_pool_destroy(cpu->pool);
    bp_allocator allocator = cpu->allocator;
    allocator.release(allocator.user, cpu, sizeof *cpu);
}

/* bf16: how it is multiplied; NULL in f32 */
static void describe(bpi_cpu *cpu, const char *bf16)
{
    bpi_traits *traits = &cpu->backend.traits;
    traits->activation_type = BPI_TYPE_F32;
    traits->parameter_type = BPI_TYPE_F32;
    traits->weight_type = BPI_TYPE_F32;
    traits->alignment = 4;
    traits->host_memory = true;
    if (bf16)
        bpi_cpu_bf16_choose(&cpu->ops, traits);
    char gemm[48];
    bpi_cpu_gemm_version(gemm, sizeof gemm);
    snprintf(traits->engine, sizeof traits->engine, "%s, %s%s%s, %d thread%s", gemm, cpu->loops->isa, bf16 ? ", " : "",
             bf16 ? bf16 : "", cpu->threads, cpu->threads == 1 ? "" : "s");
}

static bp_status create(const bpi_backend_options *options, bpi_backend **backend)
{
    assert(options && options->allocator.allocate && options->allocator.release && options->threads >= 1 && backend);
    *backend = NULL;
    bpi_cpu_gemm_type products = BPI_CPU_GEMM_F32;
    const char *bf16 = NULL;
    if (options->precision == BP_PRECISION_BF16)
        BPI_TRY(bpi_cpu_bf16_products(options->emulate_bf16, options->error, &products, &bf16));
    else if (options->precision != BP_PRECISION_F32)
        return bpi_fail(options->error, BP_STATUS_UNSUPPORTED,
                        "backend cpu: precision %s is not supported, it computes in f32 and bf16",
                        precision_word(options->precision));
    const bpi_cpu_loops *loops;
    BPI_TRY(bpi_cpu_loops_choose(options->error, &loops));
    const bp_allocator *allocator = &options->allocator;
    bpi_cpu *cpu = allocator->allocate(allocator->user, sizeof *cpu, 64);
    if (!cpu)
        return bpi_fail(options->error, BP_STATUS_OUT_OF_MEMORY, "backend cpu: no memory for %zu bytes", sizeof *cpu);
    memset(cpu, 0, sizeof *cpu);
    cpu->ops = *bpi_cpu_ops();
    cpu->backend.ops = &cpu->ops;
    cpu->backend.error = options->error;
    cpu->allocator = *allocator;
    cpu->threads = options->threads;
    cpu->loops = loops;
    cpu->products = products;
    cpu->dense_rows = products == BPI_CPU_GEMM_F32 && bpi_cpu_gemm_has_avx512();
    bp_status status = bpi_cpu_pool_create(allocator, cpu->threads, options->error, &cpu->pool);
    if (status == BP_STATUS_OK)
        status = bpi_cpu_gemm_engine_create(allocator, cpu->threads, loops->expand, options->error, &cpu->engine);
    if (status != BP_STATUS_OK) {
        destroy(&cpu->backend);
        return status;
    }
    describe(cpu, bf16);
    *backend = &cpu->backend;
    return BP_STATUS_OK;
}

/* Every call is done when it returns, so there is nothing to wait for and nothing to order. */
static bp_status nothing_to_order(bpi_backend *backend)
{
    (void)backend;
    return BP_STATUS_OK;
}

/* Rows of wide matrices begin on a cache line: with 300 columns on 16 bytes, the error term of a hidden layer took 13 %
 * longer. One line more where they would lie a multiple of 512 bytes apart: with 1024 columns and AVX2 the weight
 * gradient takes 5 % longer without it, and in pieces three times as long. With AVX-512 that is true of error terms
 * alone; forward products are 3 to 9 % faster without it (docs/cpu-backend.md). In bf16 the parameters, which are f32,
 * have the same leading dimension as activations. */
static int64_t leading_dimension(const bpi_backend *backend, int64_t cols, bool of_errors)
{
    int64_t line = 64 / (int64_t)bpi_type_bytes(backend->traits.activation_type);
    int64_t ld = bpi_cpu_round_up(cols, cols > 64 ? line : backend->traits.alignment);
    return ((const bpi_cpu *)backend)->dense_rows && !of_errors ? ld : bpi_cpu_spread(ld, line);
}

static int64_t part_rows(const bpi_backend *backend, int64_t rows, size_t row_bytes)
{
    (void)backend;
    return bpi_cpu_part_rows(rows, row_bytes);
}

static const bpi_ops cpu_ops = {
    .version = BPI_OPS_VERSION,
    .struct_size = sizeof(bpi_ops),
    .name = "cpu",
    .create = create,
    .destroy = destroy,
    .allocate = bpi_cpu_allocate,
    .release = bpi_cpu_release,
    .upload = bpi_cpu_upload,
    .download = bpi_cpu_download,
    .zero = bpi_cpu_zero,
    .synchronize = nothing_to_order,
    .lane_fork = nothing_to_order,
    .lane_join = nothing_to_order,
    .workspace_bytes = bpi_cpu_workspace_bytes,
    .reserve = bpi_cpu_reserve,
    .load = bpi_cpu_load,
    .linear_plan = bpi_cpu_linear_plan,
    .linear_unplan = bpi_cpu_linear_unplan,
    .linear_forward = bpi_cpu_linear_forward,
    .linear_input_grad = bpi_cpu_linear_input_grad,
    .linear_weight_grad = bpi_cpu_linear_weight_grad,
    .activation_forward = bpi_cpu_activation_forward,
    .activation_backward = bpi_cpu_activation_backward,
    .activation_derivative = bpi_cpu_activation_derivative,
    .hadamard = bpi_cpu_hadamard,
    .bias_grad = bpi_cpu_bias_grad,
    .step_begin = bpi_cpu_step_begin,
    .loss = bpi_cpu_loss,
    .update_prepare = bpi_cpu_update_prepare,
    .update = bpi_cpu_update,
    .observe_units = bpi_cpu_observe_units,
    .observe_scratch_bytes = bpi_cpu_observe_scratch_bytes,
    .observe_gradients = bpi_cpu_observe_gradients,
    .observe_update = bpi_cpu_observe_update,
    .leading_dimension = leading_dimension,
    .part_rows = part_rows,
    .linear_hidden_delta = bpi_cpu_linear_hidden_delta,
    .block_forward = bpi_cpu_block_forward,
    .block_backward = bpi_cpu_block_backward,
};

const bpi_ops *bpi_cpu_ops(void)
{
    return &cpu_ops;
}
