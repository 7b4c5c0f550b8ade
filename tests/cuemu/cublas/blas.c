/* blas.c: entering, leaving and complaining, for both libraries. */
#include "cublas/blas.h"

#include <stdarg.h>
#include <stdio.h>

cublasStatus_t cue_blas_enter(const char *call, const void *address, int flags)
{
    cudaError_t error = cue_enter(call, address, flags);
    if (error == cudaSuccess)
        return CUBLAS_STATUS_SUCCESS;
    return error == cudaErrorMemoryAllocation ? CUBLAS_STATUS_ALLOC_FAILED : CUBLAS_STATUS_EXECUTION_FAILED;
}

cublasStatus_t cue_blas_leave(cublasStatus_t status)
{
    cue_leave_quietly(cudaSuccess);
    return status;
}

cublasStatus_t cue_blas_wrong(const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cue_complain(CUE_BLAS, "%s", text);
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cue_blas_submit(cudaStream_t stream, const char *name, cue_work_fn *run, const void *payload,
                               size_t bytes)
{
    cue_work work = {.kind = CUE_WORK_LIBRARY,
                     .name = name,
                     .site = cue_here(),
                     .run = run,
                     .payload = payload,
                     .payload_bytes = bytes};
    return cue_submit(stream, &work) == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
