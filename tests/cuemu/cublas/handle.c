/* handle.c: the cuBLAS handle and its modes. */
#include "cublas/blas.h"

static struct cublasContext *find(cublasHandle_t handle)
{
    return cue_handle_get(handle, CUE_BLAS_HANDLE);
}

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle)
{
    cublasStatus_t status = cue_blas_enter(CUE_HERE, CUE_DEVICE | CUE_UNSAFE);
    if (status == CUBLAS_STATUS_SUCCESS && handle == NULL)
        status = cue_blas_wrong("the place for the handle is NULL");
    if (status == CUBLAS_STATUS_SUCCESS) {
        *handle = cue_handle_new(CUE_BLAS_HANDLE, sizeof **handle);
        status = *handle != NULL ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
    }
    if (status == CUBLAS_STATUS_SUCCESS)
        (*handle)->atomics = CUBLAS_ATOMICS_NOT_ALLOWED;
    return cue_blas_leave(status);
}

/* The manual: releasing the handle's resources implies cudaDeviceSynchronize. */
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle)
{
    cublasStatus_t status = cue_blas_enter(CUE_HERE, CUE_UNSAFE);
    struct cublasContext *h = status == CUBLAS_STATUS_SUCCESS ? find(handle) : NULL;
    if (status == CUBLAS_STATUS_SUCCESS && h == NULL)
        status = CUBLAS_STATUS_NOT_INITIALIZED;
    if (h != NULL) {
        cue_count("synchronisations", 1);
        cue_device_wait_now();
        cue_handle_drop(h);
    }
    return cue_blas_leave(status);
}

/* begin: enters and finds the handle; NULL with the status where either fails. */
static struct cublasContext *begin(const char *call, const void *address, cublasHandle_t handle, cublasStatus_t *status)
{
    *status = cue_blas_enter(call, address, CUE_ALWAYS);
    if (*status != CUBLAS_STATUS_SUCCESS)
        return NULL;
    struct cublasContext *h = find(handle);
    if (h == NULL)
        *status = CUBLAS_STATUS_NOT_INITIALIZED;
    return h;
}

/* The manual: setting the stream resets the workspace to the library's own. */
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream)
{
    cublasStatus_t status;
    struct cublasContext *h = begin(CUE_HERE, handle, &status);
    if (h != NULL && cue_stream_find(stream) == NULL)
        status = CUBLAS_STATUS_INVALID_VALUE;
    if (h != NULL && status == CUBLAS_STATUS_SUCCESS) {
        h->stream = stream;
        h->workspace = NULL;
        h->workspace_bytes = 0;
    }
    return cue_blas_leave(status);
}

cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t *stream)
{
    cublasStatus_t status;
    const struct cublasContext *h = begin(CUE_HERE, handle, &status);
    if (h != NULL && stream == NULL)
        status = cue_blas_wrong("the place for the stream is NULL");
    if (h != NULL && status == CUBLAS_STATUS_SUCCESS)
        *stream = h->stream;
    return cue_blas_leave(status);
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes)
{
    cublasStatus_t status;
    struct cublasContext *h = begin(CUE_HERE, handle, &status);
    if (h != NULL && (uintptr_t)workspace % 256 != 0)
        status = cue_blas_wrong("the workspace %p is not aligned to 256 bytes", workspace);
    if (h != NULL && status == CUBLAS_STATUS_SUCCESS) {
        h->workspace = bytes > 0 ? workspace : NULL;
        h->workspace_bytes = bytes;
    }
    return cue_blas_leave(status);
}

cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode)
{
    cublasStatus_t status;
    struct cublasContext *h = begin(CUE_HERE, handle, &status);
    if (h != NULL && mode != CUBLAS_POINTER_MODE_HOST && mode != CUBLAS_POINTER_MODE_DEVICE)
        status = cue_blas_wrong("pointer mode %d does not exist", (int)mode);
    if (h != NULL && status == CUBLAS_STATUS_SUCCESS)
        h->pointer_mode = mode;
    return cue_blas_leave(status);
}

cublasStatus_t cublasGetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t *mode)
{
    cublasStatus_t status;
    const struct cublasContext *h = begin(CUE_HERE, handle, &status);
    if (h != NULL && mode == NULL)
        status = cue_blas_wrong("the place for the mode is NULL");
    if (h != NULL && status == CUBLAS_STATUS_SUCCESS)
        *mode = h->pointer_mode;
    return cue_blas_leave(status);
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
    const int flags = CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
    cublasStatus_t status;
    struct cublasContext *h = begin(CUE_HERE, handle, &status);
    int base = (int)mode & ~flags;
    if (h != NULL && base != CUBLAS_DEFAULT_MATH && base != CUBLAS_PEDANTIC_MATH && base != CUBLAS_TF32_TENSOR_OP_MATH)
        status = cue_blas_wrong("math mode %d is not implemented", (int)mode);
    if (h != NULL && status == CUBLAS_STATUS_SUCCESS)
        h->math = mode;
    return cue_blas_leave(status);
}

cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t *mode)
{
    cublasStatus_t status;
    const struct cublasContext *h = begin(CUE_HERE, handle, &status);
    if (h != NULL && mode == NULL)
        status = cue_blas_wrong("the place for the mode is NULL");
    if (h != NULL && status == CUBLAS_STATUS_SUCCESS)
        *mode = h->math;
    return cue_blas_leave(status);
}

cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t mode)
{
    cublasStatus_t status;
    struct cublasContext *h = begin(CUE_HERE, handle, &status);
    if (h != NULL)
        h->atomics = mode;
    return cue_blas_leave(status);
}

cublasStatus_t cublasGetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t *mode)
{
    cublasStatus_t status;
    const struct cublasContext *h = begin(CUE_HERE, handle, &status);
    if (h != NULL && mode == NULL)
        status = cue_blas_wrong("the place for the mode is NULL");
    if (h != NULL && status == CUBLAS_STATUS_SUCCESS)
        *mode = h->atomics;
    return cue_blas_leave(status);
}

cublasStatus_t cublasGetVersion_v2(cublasHandle_t handle, int *version)
{
    (void)handle; /* NVIDIA's library answers without one too */
    cublasStatus_t status = cue_blas_enter(CUE_HERE, CUE_ALWAYS);
    if (status == CUBLAS_STATUS_SUCCESS && version == NULL)
        status = cue_blas_wrong("the place for the version is NULL");
    if (status == CUBLAS_STATUS_SUCCESS)
        *version = CUBLAS_VERSION;
    return cue_blas_leave(status);
}

cublasStatus_t cublasGetProperty(libraryPropertyType type, int *value)
{
    static const int parts[] = {CUBLAS_VER_MAJOR, CUBLAS_VER_MINOR, CUBLAS_VER_PATCH};
    if (value == NULL || type < MAJOR_VERSION || type > PATCH_LEVEL)
        return CUBLAS_STATUS_INVALID_VALUE;
    *value = parts[type];
    return CUBLAS_STATUS_SUCCESS;
}

size_t cublasGetCudartVersion(void)
{
    return CUDART_VERSION;
}

const char *cublasGetStatusName(cublasStatus_t status)
{
    return cublasLtGetStatusName(status);
}

const char *cublasGetStatusString(cublasStatus_t status)
{
    return cublasLtGetStatusString(status);
}
