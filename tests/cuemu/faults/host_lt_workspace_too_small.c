/* expect: blas. The algorithm was chosen for a larger workspace than it gets. */
#include "lt.h"

void scenario(void)
{
    lt_problem p = lt_open();
    float *a = device_floats(LT_N * LT_N), *d = device_floats(LT_N * LT_N), *workspace = device_floats(1 << 18);
    const float one = 1, zero = 0;
    uint64_t most = 1 << 20;
    int found = 0;
    cublasLtMatmulHeuristicResult_t result;
    MUST(cublasLtMatmulPreferenceSetAttribute(p.preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most,
                                              sizeof most));
    MUST(cublasLtMatmulAlgoGetHeuristic(p.handle, p.desc, p.layout, p.layout, p.layout, p.layout, p.preference, 1,
                                        &result, &found));
#ifdef REPAIRED
    size_t bytes = result.workspaceSize;
#else
    size_t bytes = result.workspaceSize - 1;
#endif
    cublasLtMatrixLayout_t l = p.layout;
    cublasLtMatmulAlgo_t *algo = &result.algo;
    size_t n = bytes;
    (void)cublasLtMatmul(p.handle, p.desc, &one, a, l, a, l, &zero, d, l, d, l, algo, workspace, n, NULL); /* FAULT */
    MUST(cudaDeviceSynchronize());
    lt_close(&p);
    MUST(cudaFree(a));
    MUST(cudaFree(d));
    MUST(cudaFree(workspace));
}
