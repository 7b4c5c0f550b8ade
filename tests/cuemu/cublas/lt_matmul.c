/* lt_matmul.c: choosing an algorithm, and the matmul itself.
 *
 * There are two algorithms: one that wants a workspace, and one that does not. Each remembers the problem and the
 * alignments that it was chosen for, and cublasLtMatmul refuses it for anything else. */
#include "cublas/lt.h"

#include <string.h>

enum { LEAST_WORKSPACE = 1 << 16, MOST_WORKSPACE = 4 << 20 };

static const uint64_t algo_magic = 0x6375656d756c7431;

_Static_assert(sizeof(cue_lt_algo) <= sizeof(cublasLtMatmulAlgo_t), "the opaque algorithm must hold ours");

static cublasStatus_t plan(cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                           cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cue_gemm_call *out,
                           const cue_lt_desc **found)
{
    const cue_lt_desc *e = cue_lt_find(desc, CUE_LT_DESC);
    const cue_lt_layout *la = cue_lt_find(a, CUE_LT_LAYOUT), *lb = cue_lt_find(b, CUE_LT_LAYOUT);
    const cue_lt_layout *lc = cue_lt_find(c, CUE_LT_LAYOUT), *ld = cue_lt_find(d, CUE_LT_LAYOUT);
    if (e == NULL || la == NULL || lb == NULL || lc == NULL || ld == NULL)
        return CUBLAS_STATUS_INVALID_VALUE;
    *found = e;
    return cue_lt_plan(e, la, lb, lc, ld, out);
}

static void fill_result(cublasLtMatmulHeuristicResult_t *out, const cue_gemm_call *g, const cue_lt_preference *p,
                        uint64_t workspace_bytes, uint64_t id)
{
    cue_lt_algo algo = {
        .magic = algo_magic, .workspace_bytes = workspace_bytes, .problem = cue_lt_problem(g), .id = id};
    memcpy(algo.alignment, p->alignment, sizeof algo.alignment);
    memset(out, 0, sizeof *out);
    memcpy(&out->algo, &algo, sizeof algo);
    out->workspaceSize = workspace_bytes;
    out->state = CUBLAS_STATUS_SUCCESS;
    out->wavesCount = 1.0f;
}

static cublasStatus_t heuristic(const cue_gemm_call *g, const cue_lt_preference *p, int wanted,
                                cublasLtMatmulHeuristicResult_t *results, int *found)
{
    *found = 0;
    if (p->max_workspace_bytes >= LEAST_WORKSPACE && wanted > 0) {
        uint64_t bytes = p->max_workspace_bytes < MOST_WORKSPACE ? p->max_workspace_bytes : MOST_WORKSPACE;
        fill_result(&results[(*found)++], g, p, bytes / 256 * 256, 1);
    }
    if (*found < wanted)
        fill_result(&results[(*found)++], g, p, 0, 2);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int *found)
{
    cublasStatus_t status = cue_blas_enter(CUE_HERE, CUE_ALWAYS);
    if (status == CUBLAS_STATUS_SUCCESS && cue_handle_get(handle, CUE_BLASLT_HANDLE) == NULL)
        status = CUBLAS_STATUS_NOT_INITIALIZED;
    if (status == CUBLAS_STATUS_SUCCESS && (wanted <= 0 || results == NULL || found == NULL))
        status = cue_blas_wrong("room for %d results", wanted);
    if (status == CUBLAS_STATUS_SUCCESS) {
        cue_gemm_call g;
        const cue_lt_desc *e;
        const cue_lt_preference *p = cue_lt_find(preference, CUE_LT_PREFERENCE);
        *found = 0;
        status = p == NULL ? CUBLAS_STATUS_INVALID_VALUE : plan(desc, a, b, c, d, &g, &e);
        if (status == CUBLAS_STATUS_SUCCESS)
            status = heuristic(&g, p, wanted, results, found);
    }
    return cue_blas_leave(status);
}

/* ---------------------------------------------------------------------- matmul */

static cublasStatus_t check_algo(const cublasLtMatmulAlgo_t *opaque, cue_gemm_call *g, const void *workspace,
                                 size_t workspace_bytes)
{
    cue_lt_algo algo;
    const void *pointers[] = {g->a.data, g->b.data, g->c.data, g->d.data};
    memcpy(&algo, opaque, sizeof algo);
    if (algo.magic != algo_magic)
        return cue_blas_wrong("the algorithm does not come from cublasLtMatmulAlgoGetHeuristic");
    if (algo.problem != cue_lt_problem(g))
        return cue_blas_wrong("the algorithm was chosen for another problem");
    for (int i = 0; i < 4; i++)
        if (pointers[i] != NULL && (uintptr_t)pointers[i] % algo.alignment[i] != 0)
            return cue_blas_wrong("%c = %p: the algorithm was chosen for addresses that are multiples of %u", "ABCD"[i],
                                  pointers[i], algo.alignment[i]);
    if (workspace_bytes < algo.workspace_bytes || (algo.workspace_bytes > 0 && workspace == NULL))
        return cue_blas_wrong("the algorithm needs a workspace of %llu bytes, it gets %zu",
                              (unsigned long long)algo.workspace_bytes, workspace == NULL ? 0 : workspace_bytes);
    g->workspace_bytes = algo.workspace_bytes;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_pointers(const cue_gemm_call *g, bool reads_c)
{
    const struct {
        const char *name;
        const void *pointer;
        size_t alignment;
        bool needed;
    } all[] = {
        {"A", g->a.data, cue_scalar_bytes(g->a.type), g->k > 0},
        {"B", g->b.data, cue_scalar_bytes(g->b.type), g->k > 0},
        {"C", g->c.data, cue_scalar_bytes(g->c.type), reads_c},
        {"D", g->d.data, cue_scalar_bytes(g->d.type), true},
        {"the bias", g->epilogue.bias, cue_scalar_bytes(g->epilogue.bias_type),
         ((unsigned)g->epilogue.kind & (4 | 16 | 256 | 512)) != 0},
        {"the aux buffer", g->epilogue.aux, 16, ((unsigned)g->epilogue.kind & 128) != 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!all[i].needed)
            continue;
        if (all[i].pointer == NULL)
            return cue_blas_wrong("%s is NULL", all[i].name);
        if ((uintptr_t)all[i].pointer % all[i].alignment != 0)
            return cue_blas_wrong("%s = %p is not a multiple of %zu", all[i].name, all[i].pointer, all[i].alignment);
        if (!cue_mem_is_device(all[i].pointer))
            return cue_blas_wrong("%s = %p is not device memory", all[i].name, all[i].pointer);
    }
    return CUBLAS_STATUS_SUCCESS;
}

static cue_scalar_argument scalar(const cue_lt_desc *desc, const void *value, cue_scalar_type type)
{
    if (desc->pointer_mode == CUBLASLT_POINTER_MODE_DEVICE)
        return (cue_scalar_argument){.device = value};
    return (cue_scalar_argument){.value = cue_scalar_load(value, type, 0)};
}

static cublasStatus_t matmul(cue_gemm_call *g, const cue_lt_desc *desc, const void *alpha, const void *beta,
                             const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspace_bytes,
                             cudaStream_t stream)
{
    if (alpha == NULL || beta == NULL)
        return cue_blas_wrong("%s is NULL", alpha == NULL ? "alpha" : "beta");
    g->alpha = scalar(desc, alpha, g->scalar_type);
    g->beta = scalar(desc, beta, g->scalar_type);
    bool reads_c = g->beta.device != NULL || g->beta.value != 0;
    cublasStatus_t status = check_pointers(g, reads_c);
    if (status != CUBLAS_STATUS_SUCCESS)
        return status;
    if (workspace != NULL && (uintptr_t)workspace % 256 != 0)
        return cue_blas_wrong("the workspace %p is not aligned to 256 bytes", workspace);
    if (g->c.data == g->d.data && (g->c.ld != g->d.ld || g->c.row_major != g->d.row_major))
        return cue_blas_wrong("C and D are the same memory with different layouts");
    g->workspace = workspace;
    g->workspace_bytes = workspace_bytes;
    if (algo != NULL) {
        status = check_algo(algo, g, workspace, workspace_bytes);
        if (status != CUBLAS_STATUS_SUCCESS)
            return status;
    }
    return cue_gemm_submit(stream, "cublasLtMatmul", g);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *A,
                              cublasLtMatrixLayout_t a, const void *B, cublasLtMatrixLayout_t b, const void *beta,
                              const void *C, cublasLtMatrixLayout_t c, void *D, cublasLtMatrixLayout_t d,
                              const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspace_bytes,
                              cudaStream_t stream)
{
    cublasStatus_t status = cue_blas_enter(CUE_HERE, CUE_DEVICE);
    if (status == CUBLAS_STATUS_SUCCESS && cue_handle_get(handle, CUE_BLASLT_HANDLE) == NULL)
        status = CUBLAS_STATUS_NOT_INITIALIZED;
    if (status == CUBLAS_STATUS_SUCCESS) {
        cue_gemm_call g;
        const cue_lt_desc *e;
        status = plan(desc, a, b, c, d, &g, &e);
        if (status == CUBLAS_STATUS_SUCCESS) {
            g.a.data = A, g.b.data = B, g.c.data = C, g.d.data = D;
            status = matmul(&g, e, alpha, beta, algo, workspace, workspace_bytes, stream);
        }
    }
    return cue_blas_leave(status);
}
