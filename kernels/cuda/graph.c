/* graph.c: a sequence of operations, recorded once and run again with one call. Lane 1 is part of it through fork and
 * join; nothing that is recorded may allocate, copy from the host or wait. */
#include "kernels/cuda/cuda.h"

/* Lane 1 becomes part of the capture at once: a join that comes before the first fork must find it there. */
bp_status bpi_cuda_capture_begin(bpi_backend *backend)
{
    BPI_CUDA_TRY(backend->error,
                 cudaStreamBeginCapture(bpi_cuda_of(backend)->lanes[0], cudaStreamCaptureModeThreadLocal));
    return bpi_cuda_lane_fork(backend);
}

bp_status bpi_cuda_capture_end(bpi_backend *backend, void **graph)
{
    cudaGraph_t recorded = NULL;
    cudaGraphExec_t made = NULL;
    *graph = NULL;
    bp_status joined = bpi_cuda_lane_join(backend);
    BPI_CUDA_TRY(backend->error, cudaStreamEndCapture(bpi_cuda_of(backend)->lanes[0], &recorded));
    cudaError_t code = cudaGraphInstantiate(&made, recorded, 0);
    (void)cudaGraphDestroy(recorded);
    BPI_CUDA_TRY(backend->error, code);
    *graph = made;
    return joined;
}

bp_status bpi_cuda_graph_launch(bpi_backend *backend, void *graph)
{
    BPI_CUDA_TRY(backend->error, cudaGraphLaunch(graph, bpi_cuda_of(backend)->lanes[0]));
    return BP_STATUS_OK;
}

void bpi_cuda_graph_release(bpi_backend *backend, void *graph)
{
    (void)backend;
    if (graph)
        (void)cudaGraphExecDestroy(graph);
}
