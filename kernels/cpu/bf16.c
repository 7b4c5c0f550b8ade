/* bf16.c: what sets precision bf16 apart beside its loops: which products it takes, and the copy of the weights. See
 * bf16.h. */
#include "kernels/cpu/bf16.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- which products */

static bp_status refuse(bpi_error *error)
{
    return bpi_fail(error, BP_STATUS_UNSUPPORTED,
                    "backend cpu: precision bf16 needs a processor with AVX512-BF16 or AMX, which this one has not; it "
                    "can be emulated in f32, not faster than it: ask for that with emulate_bf16 (--emulate-bf16), or "
                    "use f32");
}

static bp_status take_wanted(const char *wanted, bool emulate, bpi_cpu_gemm_bf16 has, bpi_error *error,
                             bpi_cpu_gemm_type *products)
{
    *products = strcmp(wanted, "native") == 0 ? BPI_CPU_GEMM_BF16 : BPI_CPU_GEMM_WIDENED;
    if (*products == BPI_CPU_GEMM_WIDENED && strcmp(wanted, "widened") != 0)
        return bpi_fail(error, BP_STATUS_UNSUPPORTED, "backend cpu: BP_CPU_BF16=%s: wants one of native, widened",
                        wanted);
    return has || (emulate && *products == BPI_CPU_GEMM_WIDENED) ? BP_STATUS_OK : refuse(error);
}

static const char *words_of(bpi_cpu_gemm_type products, bool emulate, bpi_cpu_gemm_bf16 has)
{
    if (products == BPI_CPU_GEMM_WIDENED)
        return emulate ? "bf16 emulated in f32" : "bf16 multiplied in f32";
    return has == BPI_CPU_GEMM_AMX_BF16 ? "bf16 by AMX" : "bf16 by AVX512-BF16";
}

bp_status bpi_cpu_bf16_products(bool emulate, bpi_error *error, bpi_cpu_gemm_type *products, const char **words)
{
    bpi_cpu_gemm_bf16 has = bpi_cpu_gemm_bf16_of_machine();
    const char *wanted = getenv("BP_CPU_BF16");
    if (wanted && *wanted)
        BPI_TRY(take_wanted(wanted, emulate, has, error, products));
    else if (!has && !emulate)
        return refuse(error);
    else if (emulate || (has == BPI_CPU_GEMM_AVX512_BF16 && bpi_cpu_dot_bf16_is_slow()))
        *products = BPI_CPU_GEMM_WIDENED;
    else
        *products = BPI_CPU_GEMM_BF16;
    *words = words_of(*products, emulate, has);
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- the copy of the weights */

typedef struct copy {
    const bpi_cpu_loops *loops;
    const float *parameters;
    int64_t count;
    uint16_t *weights;
} copy;

static void copy_chunk(void *context, int64_t chunk, int thread)
{
    (void)thread;
    const copy *work = context;
    int64_t first = chunk * BPI_CPU_CHUNK, rest = work->count - first;
    work->loops->shorten(rest < BPI_CPU_CHUNK ? rest : BPI_CPU_CHUNK, work->parameters + first, work->weights + first);
}

static bp_status convert_weights(bpi_backend *backend, const void *parameters, int64_t count, void *weights)
{
    const bpi_cpu *cpu = bpi_cpu_of(backend);
    copy work = {cpu->loops, parameters, count, weights};
    bpi_cpu_run(cpu->pool, bpi_cpu_threads_for_loop(cpu->threads, count), bpi_cpu_chunks(count), copy_chunk, &work);
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- the table */

void bpi_cpu_bf16_choose(bpi_ops *ops, bpi_traits *traits)
{
    traits->activation_type = traits->weight_type = BPI_TYPE_BF16;
    traits->alignment = 8;
    ops->convert_weights = convert_weights;
    ops->activation_forward = bpi_cpu_bf16_activation_forward;
    ops->activation_backward = bpi_cpu_bf16_activation_backward;
    ops->activation_derivative = bpi_cpu_bf16_activation_derivative;
    ops->hadamard = bpi_cpu_bf16_hadamard;
    ops->bias_grad = bpi_cpu_bf16_bias_grad;
}
