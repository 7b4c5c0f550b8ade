/* ways.c: what of a layer cublasLt can make in one product, and how it is asked for it.
 *
 *   FORWARD  z^T (and bias, relu or gelu_tanh)    epilogue BIAS, RELU[_AUX][_BIAS], GELU_AUX[_BIAS]
 *   DELTA    d_x^T * f'(below) (and its d_b)      epilogue DRELU[_BGRAD], DGELU[_BGRAD]
 *   BIAS     d_w^T and d_b                        epilogue BGRADB
 *
 * SPLIT is cuBLAS's batched product over parts of the rows, and a kernel of ours that adds them up (linear.c).
 *
 * Left out, with the reason in words: activations that cublasLt has none of (its GELU is the tanh form; leaky relu has
 * two slopes, and a mask of signs holds one); bf16, where bias and bias gradient would be rounded to the result's type;
 * leading dimensions that it does not take (of a mask, multiples of 128 bits, which bpi_mask_ld is; of gelu's z, of 8).
 * Whether a ReLU of cublasLt keeps NaN is not documented: bpi_way's rule never takes one that was not asked for. */
#include "kernels/cuda/cuda.h"

static bp_status refuse(bpi_error *why, const char *words)
{
    return bpi_fail(why, BP_STATUS_UNSUPPORTED, "%s", words);
}

/* The z that gelu's epilogues write or read. */
static bp_status check_z(bpi_error *why, int64_t ld)
{
    if (ld % 8 == 0)
        return BP_STATUS_OK;
    return bpi_fail(why, BP_STATUS_UNSUPPORTED,
                    "cublasLt wants gelu's z in rows of a multiple of 8 elements, and they are of %lld", (long long)ld);
}

static bp_status no_epilogue(bpi_error *why, bp_activation activation)
{
    static const char *const names[] = {
#define ACTIVATION_NAME(ENUM, name, saves_z) name,
        BP_ACTIVATION_LIST(ACTIVATION_NAME)
#undef ACTIVATION_NAME
    };
    return bpi_fail(why, BP_STATUS_UNSUPPORTED, "cublasLt has no epilogue for %s", names[activation]);
}

static bp_status forward_epilogue(const bpi_linear_spec *spec, bpi_error *why, bpi_cuda_gemm *gemm)
{
    bool bias = spec->bias;
    switch (spec->activation) {
    case BP_ACTIVATION_IDENTITY:
        gemm->epilogue = CUBLASLT_EPILOGUE_BIAS;
        return bias ? BP_STATUS_OK : refuse(why, "there is neither bias nor activation");
    case BP_ACTIVATION_RELU:
        gemm->aux_ld = spec->keeps_mask ? bpi_mask_ld(spec->outputs) : 0;
        gemm->epilogue = spec->keeps_mask ? (bias ? CUBLASLT_EPILOGUE_RELU_AUX_BIAS : CUBLASLT_EPILOGUE_RELU_AUX)
                                          : (bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU);
        return BP_STATUS_OK;
    case BP_ACTIVATION_GELU_TANH:
        gemm->aux_ld = spec->ld_a;
        gemm->epilogue = bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
        return check_z(why, spec->ld_a);
    default:
        return no_epilogue(why, spec->activation);
    }
}

static bp_status delta_epilogue(const bpi_linear_spec *spec, bpi_error *why, bpi_cuda_gemm *gemm)
{
    if (!spec->below_runs)
        return refuse(why, "the layer below is none, or does more than an activation");
    switch (spec->below) {
    case BP_ACTIVATION_RELU:
        gemm->aux_ld = bpi_mask_ld(spec->inputs);
        gemm->epilogue = spec->below_bias ? CUBLASLT_EPILOGUE_DRELU_BGRAD : CUBLASLT_EPILOGUE_DRELU;
        return BP_STATUS_OK;
    case BP_ACTIVATION_GELU_TANH:
        gemm->aux_ld = spec->ld_x;
        gemm->epilogue = spec->below_bias ? CUBLASLT_EPILOGUE_DGELU_BGRAD : CUBLASLT_EPILOGUE_DGELU;
        return check_z(why, spec->ld_x);
    default:
        return no_epilogue(why, spec->below);
    }
}

/* The products of linear.c, with their epilogues. */
bp_status bpi_cuda_way_gemm(bpi_cuda *cuda, const bpi_linear_spec *spec, bpi_way way, bpi_error *why,
                            bpi_cuda_gemm *gemm)
{
    if (cuda->factors != CUDA_R_32F)
        return refuse(why, "in bf16 cublasLt would round biases and their gradients to bf16");
    if (way == BPI_WAY_FORWARD) {
        *gemm = (bpi_cuda_gemm){.m = spec->outputs,
                                .n = spec->rows,
                                .k = spec->inputs,
                                .left_operation = CUBLAS_OP_T,
                                .left_ld = spec->ld_w,
                                .right_ld = spec->ld_x,
                                .out_ld = spec->ld_a};
        return forward_epilogue(spec, why, gemm);
    }
    if (way == BPI_WAY_DELTA) {
        *gemm = (bpi_cuda_gemm){.m = spec->inputs,
                                .n = spec->rows,
                                .k = spec->outputs,
                                .left_ld = spec->ld_w,
                                .right_ld = spec->ld_delta,
                                .out_ld = spec->ld_d_x};
        return delta_epilogue(spec, why, gemm);
    }
    *gemm = (bpi_cuda_gemm){.m = spec->inputs,
                            .n = spec->outputs,
                            .k = spec->rows,
                            .right_operation = CUBLAS_OP_T,
                            .left_ld = spec->ld_x,
                            .right_ld = spec->ld_delta,
                            .out_ld = spec->ld_w,
                            .epilogue = CUBLASLT_EPILOGUE_BGRADB};
    return spec->bias ? BP_STATUS_OK : refuse(why, "there is no bias");
}

/* The parts lie one behind the other as the weights do, padding left out: there must be none. */
static bp_status can_split(const bpi_linear_spec *spec, bpi_error *why)
{
    if (spec->ld_w != spec->inputs)
        return refuse(why, "the rows of the weights are padded");
    if (bpi_cuda_split_of(spec->rows, spec->inputs, spec->outputs) > 1)
        return BP_STATUS_OK;
    return refuse(why, "the rows of the batch are too few or can't be halved, or the gradient has tiles enough");
}

bool bpi_cuda_linear_way(bpi_backend *backend, const bpi_linear_spec *spec, bpi_way way, bpi_error *why)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    bpi_cuda_gemm gemm;
    bpi_cuda_product product;
    if (way == BPI_WAY_ONE_LANE)
        return true;
    if (way == BPI_WAY_SPLIT)
        return can_split(spec, why) == BP_STATUS_OK;
    if (bpi_cuda_way_gemm(cuda, spec, way, why, &gemm) != BP_STATUS_OK ||
        bpi_cuda_product_make(cuda, &gemm, why, &product) != BP_STATUS_OK)
        return false;
    bpi_cuda_product_free(&product);
    return true;
}
