/* lt_object.c: cublasLt's handle, layouts, descriptors and preferences, with their attributes.
 * An attribute that is not in the tables below is one that nothing here honours: setting it is fatal. */
#include "cublas/lt.h"

#include <string.h>

typedef struct attribute {
    int id;
    size_t offset, bytes;
} attribute;

#define FIELD(type, id, field)                                                                                         \
    {                                                                                                                  \
        id, offsetof(type, field), sizeof(((type *)0)->field)                                                          \
    }

static const attribute layout_attributes[] = {
    FIELD(cue_lt_layout, CUBLASLT_MATRIX_LAYOUT_TYPE, type),
    FIELD(cue_lt_layout, CUBLASLT_MATRIX_LAYOUT_ORDER, order),
    FIELD(cue_lt_layout, CUBLASLT_MATRIX_LAYOUT_ROWS, rows),
    FIELD(cue_lt_layout, CUBLASLT_MATRIX_LAYOUT_COLS, cols),
    FIELD(cue_lt_layout, CUBLASLT_MATRIX_LAYOUT_LD, ld),
    FIELD(cue_lt_layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, batch_count),
    FIELD(cue_lt_layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, batch_stride),
    FIELD(cue_lt_layout, CUBLASLT_MATRIX_LAYOUT_PLANE_OFFSET, plane_offset),
};

static const attribute desc_attributes[] = {
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, compute),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_SCALE_TYPE, scale_type),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_POINTER_MODE, pointer_mode),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_TRANSA, transa),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_TRANSB, transb),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_TRANSC, transc),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_FILL_MODE, fill_mode),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, bias_batch_stride),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, aux_ld),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, aux_batch_stride),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_ALPHA_VECTOR_BATCH_STRIDE, alpha_batch_stride),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, sm_count_target),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, scale_a),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, scale_b),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_C_SCALE_POINTER, scale_c),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, scale_d),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_AMAX_D_POINTER, amax_d),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, aux_type),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_SCALE_POINTER, aux_scale),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_AMAX_POINTER, aux_amax),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_FAST_ACCUM, fast_accumulation),
    FIELD(cue_lt_desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, bias_type),
};

static const attribute preference_attributes[] = {
    FIELD(cue_lt_preference, CUBLASLT_MATMUL_PREF_SEARCH_MODE, search_mode),
    FIELD(cue_lt_preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, max_workspace_bytes),
    FIELD(cue_lt_preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reduction_scheme_mask),
    FIELD(cue_lt_preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment[0]),
    FIELD(cue_lt_preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment[1]),
    FIELD(cue_lt_preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment[2]),
    FIELD(cue_lt_preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment[3]),
    FIELD(cue_lt_preference, CUBLASLT_MATMUL_PREF_MAX_WAVES_COUNT, max_waves),
    FIELD(cue_lt_preference, CUBLASLT_MATMUL_PREF_IMPL_MASK, impl_mask),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const kind_names[] = {
    [CUE_LT_LAYOUT] = "matrix layout", [CUE_LT_DESC] = "matmul descriptor", [CUE_LT_PREFERENCE] = "preference"};

void *cue_lt_find(const void *object, cue_lt_object_kind kind)
{
    cue_lt_object_kind *found = cue_handle_get(object, CUE_BLASLT_OBJECT);
    if (found != NULL && *found != kind) {
        cue_blas_wrong("this is a %s, not a %s", kind_names[*found], kind_names[kind]);
        return NULL;
    }
    return found;
}

static const attribute *look_up(cue_lt_object_kind kind, int id)
{
    const attribute *table = kind == CUE_LT_LAYOUT ? layout_attributes
                             : kind == CUE_LT_DESC ? desc_attributes
                                                   : preference_attributes;
    size_t n = kind == CUE_LT_LAYOUT ? COUNT(layout_attributes)
               : kind == CUE_LT_DESC ? COUNT(desc_attributes)
                                     : COUNT(preference_attributes);
    for (size_t i = 0; i < n; i++)
        if (table[i].id == id)
            return &table[i];
    cue_fatal("cublasLt: attribute %d of a %s is not implemented", id, kind_names[kind]);
}

static cublasStatus_t set(const char *call, const void *address, void *object, cue_lt_object_kind kind, int id,
                          const void *value, size_t bytes)
{
    cublasStatus_t status = cue_blas_enter(call, address, CUE_ALWAYS);
    char *o = status == CUBLAS_STATUS_SUCCESS ? cue_lt_find(object, kind) : NULL;
    if (status == CUBLAS_STATUS_SUCCESS && o == NULL)
        status = CUBLAS_STATUS_INVALID_VALUE;
    if (o != NULL) {
        const attribute *a = look_up(kind, id);
        if (value == NULL || bytes != a->bytes)
            status =
                cue_blas_wrong("attribute %d of a %s has %zu bytes, not %zu", id, kind_names[kind], a->bytes, bytes);
        else
            memcpy(o + a->offset, value, bytes);
    }
    return cue_blas_leave(status);
}

static cublasStatus_t get(const char *call, const void *address, const void *object, cue_lt_object_kind kind, int id,
                          void *value, size_t bytes, size_t *written)
{
    cublasStatus_t status = cue_blas_enter(call, address, CUE_ALWAYS);
    const char *o = status == CUBLAS_STATUS_SUCCESS ? cue_lt_find(object, kind) : NULL;
    if (status == CUBLAS_STATUS_SUCCESS && o == NULL)
        status = CUBLAS_STATUS_INVALID_VALUE;
    if (o != NULL) {
        const attribute *a = look_up(kind, id);
        if ((bytes == 0 && written == NULL) || (bytes != 0 && (value == NULL || bytes != a->bytes)))
            status =
                cue_blas_wrong("attribute %d of a %s has %zu bytes, not %zu", id, kind_names[kind], a->bytes, bytes);
        else if (bytes != 0)
            memcpy(value, o + a->offset, bytes);
        if (status == CUBLAS_STATUS_SUCCESS && written != NULL)
            *written = a->bytes;
    }
    return cue_blas_leave(status);
}

static cublasStatus_t create(const char *call, const void *address, void **out, const void *initial, size_t bytes)
{
    cublasStatus_t status = cue_blas_enter(call, address, CUE_ALWAYS);
    if (status == CUBLAS_STATUS_SUCCESS && out == NULL)
        status = cue_blas_wrong("the place for the object is NULL");
    if (status == CUBLAS_STATUS_SUCCESS) {
        *out = cue_handle_new(CUE_BLASLT_OBJECT, bytes);
        status = *out != NULL ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
    }
    if (status == CUBLAS_STATUS_SUCCESS)
        memcpy(*out, initial, bytes);
    return cue_blas_leave(status);
}

static cublasStatus_t destroy(const char *call, const void *address, void *object, cue_lt_object_kind kind)
{
    cublasStatus_t status = cue_blas_enter(call, address, CUE_ALWAYS);
    void *o = status == CUBLAS_STATUS_SUCCESS && object != NULL ? cue_lt_find(object, kind) : NULL;
    if (status == CUBLAS_STATUS_SUCCESS && object != NULL && o == NULL)
        status = CUBLAS_STATUS_INVALID_VALUE;
    if (o != NULL)
        cue_handle_drop(o);
    return cue_blas_leave(status);
}

/* ---------------------------------------------------------------------- exported */

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows,
                                          uint64_t cols, int64_t ld)
{
    cue_lt_layout initial = {.kind = CUE_LT_LAYOUT,
                             .type = (uint32_t)type,
                             .order = CUBLASLT_ORDER_COL,
                             .rows = rows,
                             .cols = cols,
                             .ld = ld,
                             .batch_count = 1};
    return create(CUE_HERE, (void **)layout, &initial, sizeof initial);
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    return destroy(CUE_HERE, layout, CUE_LT_LAYOUT);
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t id,
                                                const void *value, size_t bytes)
{
    return set(CUE_HERE, layout, CUE_LT_LAYOUT, (int)id, value, bytes);
}

cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t id,
                                                void *value, size_t bytes, size_t *written)
{
    return get(CUE_HERE, layout, CUE_LT_LAYOUT, (int)id, value, bytes, written);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute,
                                        cudaDataType_t scale_type)
{
    cue_lt_desc initial = {.kind = CUE_LT_DESC,
                           .compute = (int32_t)compute,
                           .scale_type = (int32_t)scale_type,
                           .fill_mode = CUBLAS_FILL_MODE_FULL,
                           .epilogue = CUBLASLT_EPILOGUE_DEFAULT,
                           .aux_type = -1,
                           .bias_type = -1};
    return create(CUE_HERE, (void **)desc, &initial, sizeof initial);
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc)
{
    return destroy(CUE_HERE, desc, CUE_LT_DESC);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t id,
                                              const void *value, size_t bytes)
{
    return set(CUE_HERE, desc, CUE_LT_DESC, (int)id, value, bytes);
}

cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t id, void *value,
                                              size_t bytes, size_t *written)
{
    return get(CUE_HERE, desc, CUE_LT_DESC, (int)id, value, bytes, written);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
    cue_lt_preference initial = {.kind = CUE_LT_PREFERENCE,
                                 .reduction_scheme_mask = CUBLASLT_REDUCTION_SCHEME_MASK,
                                 .alignment = {256, 256, 256, 256},
                                 .impl_mask = ~(uint64_t)0};
    return create(CUE_HERE, (void **)preference, &initial, sizeof initial);
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    return destroy(CUE_HERE, preference, CUE_LT_PREFERENCE);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t id, const void *value,
                                                    size_t bytes)
{
    return set(CUE_HERE, preference, CUE_LT_PREFERENCE, (int)id, value, bytes);
}

cublasStatus_t cublasLtMatmulPreferenceGetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t id, void *value, size_t bytes,
                                                    size_t *written)
{
    return get(CUE_HERE, preference, CUE_LT_PREFERENCE, (int)id, value, bytes, written);
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    cublasStatus_t status = cue_blas_enter(CUE_HERE, CUE_DEVICE | CUE_UNSAFE);
    if (status == CUBLAS_STATUS_SUCCESS && handle == NULL)
        status = cue_blas_wrong("the place for the handle is NULL");
    if (status == CUBLAS_STATUS_SUCCESS) {
        *handle = cue_handle_new(CUE_BLASLT_HANDLE, sizeof(int));
        status = *handle != NULL ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
    }
    return cue_blas_leave(status);
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    cublasStatus_t status = cue_blas_enter(CUE_HERE, CUE_ALWAYS);
    void *h = status == CUBLAS_STATUS_SUCCESS ? cue_handle_get(handle, CUE_BLASLT_HANDLE) : NULL;
    if (status == CUBLAS_STATUS_SUCCESS && h == NULL)
        status = CUBLAS_STATUS_NOT_INITIALIZED;
    if (h != NULL)
        cue_handle_drop(h);
    return cue_blas_leave(status);
}
