/* lt.h: a square f32 matmul through cublasLt, for the scenarios that break one thing of it. */
#ifndef FAULTS_LT_H
#define FAULTS_LT_H

#include "host.h"

enum { LT_N = 32 };

typedef struct lt_problem {
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t layout;
    cublasLtMatmulPreference_t preference;
} lt_problem;

static inline lt_problem lt_open(void)
{
    lt_problem p;
    MUST(cublasLtCreate(&p.handle));
    MUST(cublasLtMatmulDescCreate(&p.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    MUST(cublasLtMatrixLayoutCreate(&p.layout, CUDA_R_32F, LT_N, LT_N, LT_N));
    MUST(cublasLtMatmulPreferenceCreate(&p.preference));
    return p;
}

static inline void lt_close(lt_problem *p)
{
    MUST(cublasLtMatmulPreferenceDestroy(p->preference));
    MUST(cublasLtMatrixLayoutDestroy(p->layout));
    MUST(cublasLtMatmulDescDestroy(p->desc));
    MUST(cublasLtDestroy(p->handle));
}

#endif
