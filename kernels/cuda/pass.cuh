/* pass.cuh: what the kernels that walk over a matrix share: where a thread stands, a row vector for a block, and the
 * sum over the rows of a block. How elements are read and written is in storage.cuh. */
#ifndef BPI_CUDA_PASS_CUH
#define BPI_CUDA_PASS_CUH

#include <stdint.h>

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/storage.cuh"

#define BPI_CUDA_KERNEL static __global__ void __launch_bounds__(BPI_CUDA_THREADS)

/* A thread of a bpi_cuda_pass: its first column, and its rows: first, first + step, ... below end. */
struct bpi_cuda_place {
    int64_t column, first, step, end;
};

template <int W> __device__ __forceinline__ bpi_cuda_place place_of(int64_t rows, int64_t slice_rows)
{
    bpi_cuda_place place;
    place.column = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * W;
    int64_t begin = (int64_t)blockIdx.y * slice_rows;
    place.first = begin + threadIdx.y;
    place.step = blockDim.y;
    place.end = begin + slice_rows < rows ? begin + slice_rows : rows;
    return place;
}

template <typename T = float> __device__ __forceinline__ const T *row_of(const bpi_matrix &matrix, int64_t row)
{
    return static_cast<const T *>(matrix.data) + row * matrix.ld;
}

template <typename T = float> __device__ __forceinline__ T *row_to(const bpi_matrix &matrix, int64_t row)
{
    return static_cast<T *>(matrix.data) + row * matrix.ld;
}

/* W neighbouring elements of a row vector, read once for the whole block; beyond the row 0. All threads call it, and
 * issue their own loads before, as it waits. Neighbouring lanes lie in neighbouring banks. */
template <int W> __device__ __forceinline__ bpi_cuda_cells<W> read_for_block(const float *row, int64_t o, int64_t cols)
{
    __shared__ float shared_row[W][32];
    bpi_cuda_cells<W> cells;
    __syncthreads(); /* what the call before left has been read */
    if (threadIdx.y == 0) {
        cells = read_cells<W>(row, o, cols);
#pragma unroll
        for (int i = 0; i < W; ++i)
            shared_row[i][threadIdx.x] = cells.v[i];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < W; ++i)
        cells.v[i] = shared_row[i][threadIdx.x];
    return cells;
}

/* The sum of `mine` over the groups of the block (a tree, so the order is that of the shape), into the slice's row of
 * partials. All threads of the block call it. Neighbouring lanes lie in neighbouring banks. */
template <int W>
__device__ __forceinline__ void sum_over_groups(const bpi_cuda_cells<W> &mine, int64_t column, int64_t cols,
                                                float *partials, int64_t sums_ld)
{
    __shared__ float sums[W][BPI_CUDA_THREADS];
    const int at = (int)(threadIdx.y * blockDim.x + threadIdx.x);
#pragma unroll
    for (int i = 0; i < W; ++i)
        sums[i][at] = mine.v[i];
    for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half)
#pragma unroll
            for (int i = 0; i < W; ++i)
                sums[i][at] += sums[i][at + (int)(half * blockDim.x)];
    }
    if (threadIdx.y == 0 && column < cols) {
        bpi_cuda_cells<W> total;
#pragma unroll
        for (int i = 0; i < W; ++i)
            total.v[i] = sums[i][at];
        write_cells<W>(partials + (int64_t)blockIdx.y * sums_ld, column, cols, total);
    }
}

static inline dim3 grid_of(const bpi_cuda_pass &pass)
{
    return dim3((unsigned)pass.tiles, (unsigned)pass.slices);
}

static inline dim3 block_of(const bpi_cuda_pass &pass)
{
    return dim3((unsigned)pass.lanes, (unsigned)pass.groups);
}

#endif
