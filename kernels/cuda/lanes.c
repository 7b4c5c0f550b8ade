/* lanes.c: the streams, the events between them, and a cuBLAS handle with a workspace of its own for each lane.
 *
 * cuBLAS promises the same bits on every run only where streams share no workspace; and memory of ours lets it be
 * captured. Atomics are off, as sums by atomics depend on the order in which blocks end. */
#include "kernels/cuda/cuda.h"

static bp_status open_blas(bpi_cuda *cuda, int lane)
{
    bpi_error *error = cuda->backend.error;
    BPI_CUDA_TRY(error, cublasCreate(&cuda->blas[lane]));
    BPI_CUDA_TRY(error, cublasSetStream(cuda->blas[lane], cuda->lanes[lane]));
    BPI_TRY(bpi_cuda_device_memory(cuda, BPI_CUDA_BLAS_BYTES, &cuda->blas_workspace[lane]));
    BPI_CUDA_TRY(error, cublasSetWorkspace(cuda->blas[lane], cuda->blas_workspace[lane], BPI_CUDA_BLAS_BYTES));
    BPI_CUDA_TRY(error, cublasSetAtomicsMode(cuda->blas[lane], CUBLAS_ATOMICS_NOT_ALLOWED));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_lanes_open(bpi_cuda *cuda)
{
    bpi_error *error = cuda->backend.error;
    BPI_CUDA_TRY(error, cudaStreamCreateWithFlags(&cuda->copies, cudaStreamNonBlocking));
    BPI_CUDA_TRY(error, cudaEventCreateWithFlags(&cuda->forked, cudaEventDisableTiming));
    BPI_CUDA_TRY(error, cudaEventCreateWithFlags(&cuda->joined, cudaEventDisableTiming));
    for (int lane = 0; lane < BPI_CUDA_LANES; ++lane) {
        BPI_CUDA_TRY(error, cudaStreamCreateWithFlags(&cuda->lanes[lane], cudaStreamNonBlocking));
        BPI_TRY(open_blas(cuda, lane));
    }
    BPI_CUDA_TRY(error, cublasLtCreate(&cuda->lt));
    return BP_STATUS_OK;
}

/* What fails here has nobody left to be told. */
void bpi_cuda_lanes_close(bpi_cuda *cuda)
{
    if (cuda->lt)
        (void)cublasLtDestroy(cuda->lt);
    for (int lane = 0; lane < BPI_CUDA_LANES; ++lane) {
        if (cuda->blas[lane])
            (void)cublasDestroy(cuda->blas[lane]);
        (void)cudaFree(cuda->blas_workspace[lane]);
        if (cuda->lanes[lane])
            (void)cudaStreamDestroy(cuda->lanes[lane]);
    }
    if (cuda->forked)
        (void)cudaEventDestroy(cuda->forked);
    if (cuda->joined)
        (void)cudaEventDestroy(cuda->joined);
    if (cuda->copies)
        (void)cudaStreamDestroy(cuda->copies);
}

bp_status bpi_cuda_synchronize(bpi_backend *backend)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    for (int lane = BPI_CUDA_LANES - 1; lane >= 0; --lane)
        BPI_CUDA_TRY(backend->error, cudaStreamSynchronize(cuda->lanes[lane]));
    return BP_STATUS_OK;
}

static bp_status order(bpi_cuda *cuda, int before, int after, cudaEvent_t event)
{
    BPI_CUDA_TRY(cuda->backend.error, cudaEventRecord(event, cuda->lanes[before]));
    BPI_CUDA_TRY(cuda->backend.error, cudaStreamWaitEvent(cuda->lanes[after], event, 0));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_lane_fork(bpi_backend *backend)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    return order(cuda, 0, 1, cuda->forked);
}

bp_status bpi_cuda_lane_join(bpi_backend *backend)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    return order(cuda, 1, 0, cuda->joined);
}
