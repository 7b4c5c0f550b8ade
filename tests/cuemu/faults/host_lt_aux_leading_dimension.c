/* expect: blas. The mask of a ReLU epilogue has a leading dimension that is no multiple of 128 bits. */
#include "lt.h"

void scenario(void)
{
    lt_problem p = lt_open();
    float *a = device_floats(LT_N * LT_N), *d = device_floats(LT_N * LT_N);
    void *mask = device_floats(LT_N * 128 / 32);
    const float one = 1, zero = 0;
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_RELU_AUX;
#ifdef REPAIRED
    int64_t ld = 128;
#else
    int64_t ld = LT_N;
#endif
    MUST(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    MUST(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &mask, sizeof mask));
    MUST(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &ld, sizeof ld));
    cublasLtMatrixLayout_t l = p.layout;
    (void)cublasLtMatmul(p.handle, p.desc, &one, a, l, a, l, &zero, d, l, d, l, NULL, NULL, 0, NULL); /* FAULT */
    MUST(cudaDeviceSynchronize());
    lt_close(&p);
    MUST(cudaFree(a));
    MUST(cudaFree(d));
    MUST(cudaFree(mask));
}
