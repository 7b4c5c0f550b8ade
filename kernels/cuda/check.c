/* check.c: turns what CUDA and cuBLAS return into a status with words. */
#include "kernels/cuda/cuda.h"

#include <string.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bp_status bpi_cuda_check(bpi_error *error, cudaError_t code, const char *call, const char *file, int line)
{
    if (code == cudaSuccess)
        return BP_STATUS_OK;
    (void)cudaGetLastError();
    bp_status status = code == cudaErrorMemoryAllocation ? BP_STATUS_OUT_OF_MEMORY : BP_STATUS_DEVICE;
    return bpi_fail(error, status, "backend cuda: %s: %s (%s), %s:%d", call, cudaGetErrorString(code),
                    cudaGetErrorName(code), base_name(file), line);
}

bp_status bpi_cuda_check_blas(bpi_error *error, cublasStatus_t code, const char *call, const char *file, int line)
{
    if (code == CUBLAS_STATUS_SUCCESS)
        return BP_STATUS_OK;
    (void)cudaGetLastError();
    bp_status status = code == CUBLAS_STATUS_ALLOC_FAILED ? BP_STATUS_OUT_OF_MEMORY : BP_STATUS_DEVICE;
    return bpi_fail(error, status, "backend cuda: %s: %s (%s), %s:%d", call, cublasGetStatusString(code),
                    cublasGetStatusName(code), base_name(file), line);
}
