/* load.cu: a batch out of samples in device memory: see ops.h load. */
#include "kernels/cuda/pass.cuh"

template <bool BYTES> __device__ __forceinline__ float value_at(const bpi_cuda_gather &from, int64_t at)
{
    if (BYTES)
        return (float)static_cast<const uint8_t *>(from.source_x)[at] / from.divisor;
    return static_cast<const float *>(from.source_x)[at];
}

__device__ __forceinline__ int64_t sample_of(const bpi_cuda_gather &from, int64_t b)
{
    return from.index ? from.index[b] : from.first + b;
}

/* load_inputs: x[b,i] = (value - mean[i]) * inv_std[i], and zero between I and ld.
 * grid   (tiles, slices) of bpi_cuda_pass_of(B, ld, 1), block (lanes, groups): a warp reads neighbouring inputs of a
 * row moves  reads BI bytes or 4BI, writes 4B ld; bound by memory; rows are dense and start anywhere, so single
 * elements order  element by element edges  the padding's threads write zeros and read nothing */
template <bool BYTES> BPI_CUDA_KERNEL load_inputs(bpi_cuda_gather from, int64_t slice_rows)
{
    const bpi_cuda_place place = place_of<1>(from.x.rows, slice_rows);
    const int64_t i = place.column, inputs = from.x.cols;
    if (i >= from.x.ld)
        return;
    const bool inside = i < inputs, standardised = inside && from.mean;
    const float mean = standardised ? from.mean[i] : 0.0f, inv_std = standardised ? from.inv_std[i] : 1.0f;
    for (int64_t first = place.first; first < place.end; first += BPI_CUDA_ROWS_IN_FLIGHT * place.step) {
        float x[BPI_CUDA_ROWS_IN_FLIGHT];
#pragma unroll
        for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k) {
            const int64_t b = first + k * place.step;
            x[k] = inside && b < place.end ? value_at<BYTES>(from, sample_of(from, b) * inputs + i) : 0.0f;
        }
#pragma unroll
        for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k) {
            const int64_t b = first + k * place.step;
            if (b < place.end)
                row_to(from.x, b)[i] = standardised ? (x[k] - mean) * inv_std : x[k];
        }
    }
}

/* load_targets: classes and values of the batch.
 * grid   (tiles, slices) of bpi_cuda_pass_of(B, T, 1), T at least 1, block (lanes, groups)
 * moves  16B bytes for classes, 8BT for values; small beside the inputs
 * order  element by element
 * edges  no values: T = 1, and the lane of column 0 moves the class */
BPI_CUDA_KERNEL load_targets(bpi_cuda_gather from, int64_t rows, int64_t slice_rows)
{
    const bpi_cuda_place place = place_of<1>(rows, slice_rows);
    const int64_t t = place.column, cols = from.targets.cols;
    for (int64_t b = place.first; b < place.end; b += place.step) {
        const int64_t sample = sample_of(from, b);
        if (from.classes && t == 0)
            from.classes[b] = from.source_classes[sample];
        if (from.targets.data && t < cols)
            row_to(from.targets, b)[t] = from.source_targets[sample * cols + t];
    }
}

extern "C" cudaError_t bpi_cuda_run_gather(cudaStream_t stream, const bpi_cuda_gather *gather)
{
    const int64_t rows = gather->x.rows;
    if (gather->x.data) {
        const bpi_cuda_pass pass = bpi_cuda_pass_of(rows, gather->x.ld, 1);
        if (gather->x_type == BPI_TYPE_U8)
            load_inputs<true><<<grid_of(pass), block_of(pass), 0, stream>>>(*gather, pass.slice_rows);
        else
            load_inputs<false><<<grid_of(pass), block_of(pass), 0, stream>>>(*gather, pass.slice_rows);
        const cudaError_t code = cudaGetLastError();
        if (code != cudaSuccess)
            return code;
    }
    if (!gather->classes && !gather->targets.data)
        return cudaSuccess;
    const bpi_cuda_pass pass = bpi_cuda_pass_of(rows, gather->targets.data ? gather->targets.cols : 1, 1);
    load_targets<<<grid_of(pass), block_of(pass), 0, stream>>>(*gather, rows, pass.slice_rows);
    return cudaGetLastError();
}
