/* column_sums.cu: the bias gradient in two stages, for ops.h bias_grad; and the second stage of every other d_b. */
#include "kernels/cuda/pass.cuh"

/* column_sums: partial column sums of delta.
 * grid   (tiles, slices) of bpi_cuda_pass_of, block (lanes, groups): 8 lanes read 128 neighbouring bytes of a row
 * moves  reads sBO bytes, s = 4 or 2 of T, writes 4 slices O; shared W KiB; bound by memory
 * order  a thread adds its rows from the first on, a block its groups by a tree: fixed by (B, O); no atomics
 * edges  O not a multiple of W: the last thread of a row takes single elements; idle lanes add 0 and write nothing */
template <int W, typename T>
BPI_CUDA_KERNEL column_sums(bpi_matrix delta, float *partials, int64_t sums_ld, int64_t slice_rows)
{
    constexpr int ahead = bpi_cuda_rows_ahead<W>();
    const bpi_cuda_place place = place_of<W>(delta.rows, slice_rows);
    const int64_t o = place.column, cols = delta.cols;
    bpi_cuda_cells<W> sums = {};
    for (int64_t first = place.first; o < cols && first < place.end; first += ahead * place.step) {
        bpi_cuda_stored<W, T> error[ahead];
#pragma unroll
        for (int k = 0; k < ahead; ++k)
            if (first + k * place.step < place.end)
                error[k] = read_stored<W>(row_of<T>(delta, first + k * place.step), o, cols);
#pragma unroll
        for (int k = 0; k < ahead; ++k)
            if (first + k * place.step < place.end)
#pragma unroll
                for (int i = 0; i < W; ++i)
                    sums.v[i] += error[k].at(i);
    }
    sum_over_groups<W>(sums, o, cols, partials, sums_ld);
}

template <typename T>
static void launch(cudaStream_t stream, const bpi_cuda_pass &pass, bpi_matrix delta, float *partials)
{
    const int64_t ld = bpi_cuda_sums_ld(delta.cols);
    if (pass.width > 1)
        column_sums<bpi_cuda_width<T>(), T>
            <<<grid_of(pass), block_of(pass), 0, stream>>>(delta, partials, ld, pass.slice_rows);
    else
        column_sums<1, T><<<grid_of(pass), block_of(pass), 0, stream>>>(delta, partials, ld, pass.slice_rows);
}

extern "C" cudaError_t bpi_cuda_run_column_sums(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                                bpi_matrix delta, float *partials)
{
    if (type == BPI_TYPE_BF16)
        launch<bpi_cuda_bf16>(stream, pass, delta, partials);
    else
        launch<float>(stream, pass, delta, partials);
    return cudaGetLastError();
}

/* column_sums_finish: out[o] = (accumulate ? out[o] : 0) + the sum of `parts` rows of partials, for each kind of sum.
 * grid   (ceil(O/32), kinds), block (32, 8): a warp reads 128 neighbouring bytes, each of 8 warps every eighth row
 * moves  reads 4 parts O bytes, writes 4O, of each kind; shared 1 KiB; small beside the pass before it
 * order  each warp from its first row on, then a tree over the warps: fixed by (parts, O)
 * edges  O not a multiple of 32: idle lanes; fewer parts than warps: the others add 0 */
BPI_CUDA_KERNEL column_sums_finish(bpi_cuda_sums work, int64_t sums_ld)
{
    __shared__ float sums[8][32];
    const int64_t o = (int64_t)blockIdx.x * 32 + threadIdx.x, cols = work.cols;
    const float *partials = work.partials + blockIdx.y * sums_ld;
    float *out = blockIdx.y == 0 ? work.out[0] : blockIdx.y == 1 ? work.out[1] : work.out[2];
    if (!out)
        return;
    float sum = 0.0f;
    for (int64_t part = threadIdx.y; o < cols && part < work.parts; part += 8)
        sum += partials[part * work.kinds * sums_ld + o];
    sums[threadIdx.y][threadIdx.x] = sum;
    for (unsigned half = 4; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half)
            sums[threadIdx.y][threadIdx.x] += sums[threadIdx.y + half][threadIdx.x];
    }
    if (threadIdx.y == 0 && o < cols)
        out[o] = work.accumulate ? out[o] + sums[0][threadIdx.x] : sums[0][threadIdx.x];
}

extern "C" cudaError_t bpi_cuda_run_sums_finish(cudaStream_t stream, const bpi_cuda_sums *sums)
{
    const dim3 grid((unsigned)((sums->cols + 31) / 32), (unsigned)sums->kinds);
    column_sums_finish<<<grid, dim3(32, 8), 0, stream>>>(*sums, bpi_cuda_sums_ld(sums->cols));
    return cudaGetLastError();
}

extern "C" cudaError_t bpi_cuda_run_column_sums_finish(cudaStream_t stream, const float *partials, int64_t parts,
                                                       int64_t cols, bool accumulate, float *d_b)
{
    const bpi_cuda_sums sums = {partials, parts, cols, 1, {d_b}, accumulate};
    return bpi_cuda_run_sums_finish(stream, &sums);
}
