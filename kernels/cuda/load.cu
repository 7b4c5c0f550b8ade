/* load.cu: a batch out of samples in device memory: see ops.h load. */
#include "kernels/cuda/pass.cuh"

__device__ __forceinline__ int64_t sample_of(const bpi_cuda_gather &from, int64_t b)
{
    return from.index ? from.index[b] : from.first + b;
}

/* W neighbouring inputs of a sample, all of them inside it: W is 4 only where I is a multiple of 4. */
template <bool BYTES, int W>
__device__ __forceinline__ bpi_cuda_cells<W> read_inputs(const bpi_cuda_gather &from, int64_t sample, int64_t i)
{
    const int64_t inputs = from.x.cols;
    if (!BYTES)
        return read_cells<W>(static_cast<const float *>(from.source_x) + sample * inputs, i, inputs);
    const uint8_t *row = static_cast<const uint8_t *>(from.source_x) + sample * inputs;
    const uint32_t word = W == 4 ? *reinterpret_cast<const uint32_t *>(row + i) : row[i];
    bpi_cuda_cells<W> cells;
#pragma unroll
    for (int k = 0; k < W; ++k)
        cells.v[k] = (float)(word >> 8 * k & 0xffu);
    return cells;
}

/* load_inputs: x[b,i] = (value - mean[i]) * inv_std[i], and zero between I and ld.
 * grid   (tiles, slices) of bpi_cuda_load_pass_of(B, ld), block (lanes, groups): a warp writes 512 neighbouring bytes
 * moves  reads BI bytes or 4BI, 8B tiles of the index, 8I slices of the statistics, writes sB ld, s = 4 or 2 of T;
 *        shared 3 KiB; bound by memory
 * order  element by element
 * edges  samples that do not start on the bytes of W elements: W = 1; the padding's threads read nothing, their value
 *        and statistics are 0, and so is what they write; the index comes into shared memory for 256 rows at a time */
template <bool BYTES, int W, typename T> BPI_CUDA_KERNEL load_inputs(bpi_cuda_gather from, int64_t slice_rows)
{
    __shared__ int64_t samples[BPI_CUDA_THREADS];
    const bpi_cuda_place place = place_of<W>(from.x.rows, slice_rows);
    const int64_t i = place.column, inputs = from.x.cols;
    const int thread = (int)(threadIdx.y * blockDim.x + threadIdx.x);
    bpi_cuda_cells<W> mean, inv_std;
    if (from.mean) {
        mean = read_for_block<W>(from.mean, i, inputs);
        inv_std = read_for_block<W>(from.inv_std, i, inputs);
    }
    for (int64_t begin = place.first - threadIdx.y; begin < place.end; begin += BPI_CUDA_THREADS) {
        const int64_t end = begin + BPI_CUDA_THREADS < place.end ? begin + BPI_CUDA_THREADS : place.end;
        __syncthreads(); /* the rows before are done with */
        if (begin + thread < end)
            samples[thread] = sample_of(from, begin + thread);
        __syncthreads();
        for (int64_t first = begin + threadIdx.y; i < from.x.ld && first < end;
             first += BPI_CUDA_ROWS_IN_FLIGHT * place.step) {
            bpi_cuda_cells<W> x[BPI_CUDA_ROWS_IN_FLIGHT] = {};
#pragma unroll
            for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k) {
                const int64_t b = first + k * place.step;
                if (i < inputs && b < end)
                    x[k] = read_inputs<BYTES, W>(from, samples[b - begin], i);
            }
#pragma unroll
            for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k) {
                const int64_t b = first + k * place.step;
                if (b >= end)
                    break;
#pragma unroll
                for (int c = 0; c < W; ++c) {
                    const float value = BYTES ? x[k].v[c] / from.divisor : x[k].v[c];
                    x[k].v[c] = from.mean ? (value - mean.v[c]) * inv_std.v[c] : value;
                }
                write_cells<W>(row_to<T>(from.x, b), i, from.x.ld, x[k]);
            }
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

static bool starts_on(const void *data, uintptr_t bytes)
{
    return reinterpret_cast<uintptr_t>(data) % bytes == 0; /* of NULL too */
}

template <bool BYTES, typename T> static void launch_inputs(cudaStream_t stream, const bpi_cuda_gather &gather)
{
    const bool quads = gather.x.cols % 4 == 0 && starts_on(gather.source_x, BYTES ? 4 : 16) && gather.x.ld % 4 == 0 &&
                       starts_on(gather.x.data, 16) && starts_on(gather.mean, 16) && starts_on(gather.inv_std, 16);
    const bpi_cuda_pass pass = bpi_cuda_load_pass_of(gather.x.rows, gather.x.ld, quads ? 4 : 1);
    if (quads)
        load_inputs<BYTES, 4, T><<<grid_of(pass), block_of(pass), 0, stream>>>(gather, pass.slice_rows);
    else
        load_inputs<BYTES, 1, T><<<grid_of(pass), block_of(pass), 0, stream>>>(gather, pass.slice_rows);
}

template <typename T> static void launch_type(cudaStream_t stream, const bpi_cuda_gather &gather)
{
    if (gather.x_type == BPI_TYPE_U8)
        launch_inputs<true, T>(stream, gather);
    else
        launch_inputs<false, T>(stream, gather);
}

extern "C" cudaError_t bpi_cuda_run_gather(cudaStream_t stream, const bpi_cuda_gather *gather)
{
    const int64_t rows = gather->x.rows;
    if (gather->x.data) {
        if (gather->activation_type == BPI_TYPE_BF16)
            launch_type<bpi_cuda_bf16>(stream, *gather);
        else
            launch_type<float>(stream, *gather);
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
