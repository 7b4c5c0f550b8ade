/* lt.c: products of cublasLt with an epilogue: bias, activation, derivative or bias gradient between the product and
 * its store. Which of them a layer wants is in ways.c.
 *
 * Everything is decided when the product is made: the algorithm is the first that cublasLt's heuristic names for
 * operands that start on 16 bytes, with our workspace, and without reductions in place, whose order the blocks decide:
 * the same bits on every run. */
#include "kernels/cuda/cuda.h"

#include <assert.h>

/* The heuristic looks at the values of the epilogue's pointers for their alignment, and does not follow them: 16 bytes
 * are promised. */
#define SOME_ALIGNED_ADDRESS ((void *)(uintptr_t)16)

static bool has_vector(cublasLtEpilogue_t epilogue)
{
    enum { BIAS = CUBLASLT_EPILOGUE_BIAS, GRADIENT = CUBLASLT_EPILOGUE_DRELU_BGRAD & ~CUBLASLT_EPILOGUE_DRELU };
    return ((int)epilogue & (BIAS | GRADIENT | CUBLASLT_EPILOGUE_BGRADA | CUBLASLT_EPILOGUE_BGRADB)) != 0;
}

static bp_status set_vector(bpi_error *error, cublasLtMatmulDesc_t desc, const void *vector)
{
    BPI_CUDA_TRY(error,
                 cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &vector, sizeof vector));
    return BP_STATUS_OK;
}

static bp_status set_aux(bpi_error *error, cublasLtMatmulDesc_t desc, const void *aux)
{
    BPI_CUDA_TRY(error,
                 cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &aux, sizeof aux));
    return BP_STATUS_OK;
}

static bp_status describe(bpi_cuda *cuda, const bpi_cuda_gemm *g, bpi_error *error, bpi_cuda_product *p)
{
    int32_t left = (int32_t)g->left_operation, right = (int32_t)g->right_operation;
    uint32_t epilogue = (uint32_t)g->epilogue;
    BPI_CUDA_TRY(error, cublasLtMatmulDescCreate(&p->desc, cuda->compute, CUDA_R_32F));
    BPI_CUDA_TRY(error, cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_TRANSA, &left, sizeof left));
    BPI_CUDA_TRY(error, cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_TRANSB, &right, sizeof right));
    BPI_CUDA_TRY(error,
                 cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    p->has_vector = has_vector(g->epilogue);
    p->has_aux = g->aux_ld > 0;
    if (p->has_vector)
        BPI_TRY(set_vector(error, p->desc, SOME_ALIGNED_ADDRESS));
    if (!p->has_aux)
        return BP_STATUS_OK;
    BPI_CUDA_TRY(error, cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &g->aux_ld,
                                                       sizeof g->aux_ld));
    return set_aux(error, p->desc, SOME_ALIGNED_ADDRESS);
}

/* Rows and columns as they lie, before an operation turns them round. */
static bp_status lay_out(const bpi_cuda_gemm *g, bpi_error *error, bpi_cuda_product *p)
{
    bool left = g->left_operation != CUBLAS_OP_N, right = g->right_operation != CUBLAS_OP_N;
    BPI_CUDA_TRY(error, cublasLtMatrixLayoutCreate(&p->left, CUDA_R_32F, (uint64_t)(left ? g->k : g->m),
                                                   (uint64_t)(left ? g->m : g->k), g->left_ld));
    BPI_CUDA_TRY(error, cublasLtMatrixLayoutCreate(&p->right, CUDA_R_32F, (uint64_t)(right ? g->n : g->k),
                                                   (uint64_t)(right ? g->k : g->n), g->right_ld));
    BPI_CUDA_TRY(error, cublasLtMatrixLayoutCreate(&p->out, CUDA_R_32F, (uint64_t)g->m, (uint64_t)g->n, g->out_ld));
    return BP_STATUS_OK;
}

static bp_status prefer(bpi_error *error, cublasLtMatmulPreference_t preference)
{
    uint64_t bytes = BPI_CUDA_BLAS_BYTES;
    uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, alignment = 16;
    static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    BPI_CUDA_TRY(error, cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                             &bytes, sizeof bytes));
    BPI_CUDA_TRY(error, cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                             &reductions, sizeof reductions));
    for (int i = 0; i < 4; ++i)
        BPI_CUDA_TRY(error,
                     cublasLtMatmulPreferenceSetAttribute(preference, alignments[i], &alignment, sizeof alignment));
    return BP_STATUS_OK;
}

static bp_status choose(bpi_cuda *cuda, bpi_error *error, bpi_cuda_product *p, cublasLtMatmulPreference_t preference)
{
    cublasLtMatmulHeuristicResult_t result;
    int found = 0;
    BPI_TRY(prefer(error, preference));
    cublasStatus_t code = cublasLtMatmulAlgoGetHeuristic(cuda->lt, p->desc, p->left, p->right, p->out, p->out,
                                                         preference, 1, &result, &found);
    if (code == CUBLAS_STATUS_NOT_SUPPORTED || (code == CUBLAS_STATUS_SUCCESS && found == 0))
        return bpi_fail(error, BP_STATUS_UNSUPPORTED, "cublasLt has no algorithm for it on this device");
    BPI_CUDA_TRY(error, code);
    p->algo = result.algo;
    return BP_STATUS_OK;
}

bp_status bpi_cuda_product_make(bpi_cuda *cuda, const bpi_cuda_gemm *gemm, bpi_error *error, bpi_cuda_product *product)
{
    cublasLtMatmulPreference_t preference = NULL;
    *product = (bpi_cuda_product){.desc = NULL};
    bp_status status = describe(cuda, gemm, error, product);
    if (status == BP_STATUS_OK)
        status = lay_out(gemm, error, product);
    if (status == BP_STATUS_OK)
        status = bpi_cuda_check_blas(error, cublasLtMatmulPreferenceCreate(&preference),
                                     "cublasLtMatmulPreferenceCreate", __FILE__, __LINE__);
    if (status == BP_STATUS_OK)
        status = choose(cuda, error, product, preference);
    if (preference)
        (void)cublasLtMatmulPreferenceDestroy(preference);
    if (status != BP_STATUS_OK)
        bpi_cuda_product_free(product);
    return status;
}

void bpi_cuda_product_free(bpi_cuda_product *product)
{
    if (product->out)
        (void)cublasLtMatrixLayoutDestroy(product->out);
    if (product->right)
        (void)cublasLtMatrixLayoutDestroy(product->right);
    if (product->left)
        (void)cublasLtMatrixLayoutDestroy(product->left);
    if (product->desc)
        (void)cublasLtMatmulDescDestroy(product->desc);
    *product = (bpi_cuda_product){.desc = NULL};
}

bp_status bpi_cuda_product_run(bpi_cuda *cuda, const bpi_cuda_product *product, int lane,
                               const bpi_cuda_operands *operands)
{
    const float one = 1.0f;
    bpi_error *error = cuda->backend.error;
    assert(product->desc && !operands->vector == !product->has_vector && !operands->aux == !product->has_aux);
    if (product->has_vector)
        BPI_TRY(set_vector(error, product->desc, operands->vector));
    if (product->has_aux)
        BPI_TRY(set_aux(error, product->desc, operands->aux));
    BPI_CUDA_TRY(error, cublasLtMatmul(cuda->lt, product->desc, &one, operands->left, product->left, operands->right,
                                       product->right, &operands->add, operands->out, product->out, operands->out,
                                       product->out, &product->algo, cuda->blas_workspace[lane], BPI_CUDA_BLAS_BYTES,
                                       cuda->lanes[lane]));
    return BP_STATUS_OK;
}
