/* lt.h: the objects behind cublasLt's opaque handles. */
#ifndef CUE_CUBLAS_LT_H
#define CUE_CUBLAS_LT_H

#include "cublas/blas.h"

typedef enum cue_lt_object_kind { CUE_LT_LAYOUT = 1, CUE_LT_DESC, CUE_LT_PREFERENCE } cue_lt_object_kind;

typedef struct cue_lt_layout {
    cue_lt_object_kind kind;
    uint32_t type;
    int32_t order;
    uint64_t rows, cols;
    int64_t ld;
    int32_t batch_count;
    int64_t batch_stride, plane_offset;
} cue_lt_layout;

typedef struct cue_lt_desc {
    cue_lt_object_kind kind;
    int32_t compute, scale_type, pointer_mode, transa, transb, transc, fill_mode;
    uint32_t epilogue;
    void *bias;
    int64_t bias_batch_stride;
    void *aux;
    int64_t aux_ld, aux_batch_stride, alpha_batch_stride;
    int32_t sm_count_target;
    void *scale_a, *scale_b, *scale_c, *scale_d, *amax_d;
    int32_t aux_type;
    void *aux_scale, *aux_amax;
    int8_t fast_accumulation;
    int32_t bias_type;
} cue_lt_desc;

typedef struct cue_lt_preference {
    cue_lt_object_kind kind;
    uint32_t search_mode;
    uint64_t max_workspace_bytes;
    uint32_t reduction_scheme_mask;
    uint32_t alignment[4]; /* of A, B, C, D in bytes */
    float max_waves;
    uint64_t impl_mask;
} cue_lt_preference;

/* cue_lt_find: the object if it is alive and of that kind; otherwise reports and returns NULL. */
void *cue_lt_find(const void *object, cue_lt_object_kind kind);

/* What cue_lt_heuristic leaves in cublasLtMatmulAlgo_t. */
typedef struct cue_lt_algo {
    uint64_t magic, workspace_bytes, problem; /* problem: a hash of what the algorithm was chosen for */
    uint32_t alignment[4];
    uint64_t id;
} cue_lt_algo;

/* lt_plan: layouts and descriptor, checked against each other, as one call without pointers. */
cublasStatus_t cue_lt_plan(const cue_lt_desc *desc, const cue_lt_layout *a, const cue_lt_layout *b,
                           const cue_lt_layout *c, const cue_lt_layout *d, cue_gemm_call *out);
uint64_t cue_lt_problem(const cue_gemm_call *g);

#endif
