/* expect: out-of-bounds. The bias has one entry per column, as in row-major code; the manual says per row of D. */
#include "lt.h"

void scenario(void)
{
    lt_problem p = lt_open();
    enum { ROWS = 2 * LT_N };
    cublasLtMatrixLayout_t tall;
    float *a = device_floats(ROWS * LT_N), *b = device_floats(LT_N * LT_N), *d = device_floats(ROWS * LT_N);
#ifdef REPAIRED
    void *bias = device_floats(ROWS);
#else
    void *bias = device_floats(LT_N);
#endif
    const float one = 1, zero = 0;
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    MUST(cublasLtMatrixLayoutCreate(&tall, CUDA_R_32F, ROWS, LT_N, ROWS));
    MUST(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    MUST(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias));
    cublasLtMatrixLayout_t l = p.layout, t = tall;
    MUST(cublasLtMatmul(p.handle, p.desc, &one, a, t, b, l, &zero, d, t, d, t, NULL, NULL, 0, NULL)); /* FAULT */
    (void)cudaDeviceSynchronize();
    MUST(cublasLtMatrixLayoutDestroy(tall));
    lt_close(&p);
    (void)cudaFree(a);
    (void)cudaFree(b);
    (void)cudaFree(d);
    (void)cudaFree(bias);
}
