/* block_statistics.cu: mean and variance of every column, for ops.h block_forward with batch norm, in two stages; and
 * what takes their place in evaluation. */
#include "kernels/cuda/block.cuh"

/* A sum that keeps what every addition rounds off (Knuth's two-sum): about 46 bits, out of f32 additions alone, as many
 * cards have few units for f64. */
struct exact_sum {
    float high, low;
};

__device__ __forceinline__ void add(exact_sum &sum, float x, float rest)
{
    const float total = sum.high + x;
    const float of_x = total - sum.high;
    sum.low += ((sum.high - (total - of_x)) + (x - of_x)) + rest;
    sum.high = total;
}

/* Shared memory of a block: W sums and W sums of squares of every thread; the rows are apart such that a transposed
 * reading meets no bank twice. */
template <int W> struct moments_block {
    double sums[2 * W][BPI_CUDA_THREADS + 4];
};

/* The block's sums over its groups by a tree, into the slice's two rows of partials. */
template <int W>
__device__ __forceinline__ void put_moments(moments_block<W> &block, int64_t cols, double *partials, int64_t sums_ld)
{
    const int lanes = (int)blockDim.x, at = (int)(threadIdx.y * blockDim.x + threadIdx.x);
    for (int half = (int)blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.y < half)
#pragma unroll
            for (int k = 0; k < 2 * W; ++k)
                block.sums[k][at] += block.sums[k][at + half * lanes];
    }
    __syncthreads();
    const int64_t first = (int64_t)blockIdx.x * lanes * W;
    if (at >= 2 * lanes * W)
        return;
    const int kind = at / (lanes * W), column = at % (lanes * W);
    if (first + column < cols)
        partials[(2 * (int64_t)blockIdx.y + kind) * sums_ld + first + column] =
            block.sums[kind * W + column % W][column / W];
}

/* column_moments: sums and sums of squares of u about its first row, which is near the mean where rows are alike, so
 * that nothing cancels: see docs/numerics.md#block_forward.
 * grid   (tiles, slices) of bpi_cuda_block_pass_of, block (lanes, groups): 8 lanes read 32 neighbouring elements
 * moves  reads uBO bytes, u = 4 or 2 of U, and 4 + u slices O of row vectors, writes 16 slices O; shared 17.3 KiB;
 *        bound by memory
 * order  a thread adds its rows from the first on, a block its groups by a tree: fixed by (B, O); no atomics
 * edges  O not a multiple of 4: the last thread of a row takes single elements; idle lanes add 0 and write nothing;
 *        |u - first row| above 1.8e19: infinite, as in every f32 norm */
template <int W, typename U>
BPI_CUDA_KERNEL column_moments(bpi_matrix u, const float *bias, double *partials, int64_t sums_ld, int64_t slice_rows)
{
    __shared__ moments_block<W> block;
    const bpi_cuda_place place = place_of<W>(u.rows, slice_rows);
    const int64_t o = place.column, cols = u.cols;
    exact_sum sums[W] = {}, squares[W] = {};
    enum { BIAS, FIRST_ROW, VECTORS };
    bpi_cuda_cells<W> vector[VECTORS];
    share_vectors<W>(
        [&](int group) {
            return group == BIAS ? read_vector<W>(bias, o, cols) : cells_of(read_row<W, U>(u, 0, o, cols));
        },
        vector);
    const bpi_cuda_cells<W> shift = vector[BIAS];
    bpi_cuda_cells<W> about = vector[FIRST_ROW];
    add_bias<W>(about, bias, shift);
    for (int64_t first = place.first; o < cols && first < place.end; first += BPI_CUDA_ROWS_IN_FLIGHT * place.step) {
        bpi_cuda_stored<W, U> read[BPI_CUDA_ROWS_IN_FLIGHT];
#pragma unroll
        for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k)
            if (first + k * place.step < place.end)
                read[k] = read_row<W, U>(u, first + k * place.step, o, cols);
#pragma unroll
        for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k) {
            if (first + k * place.step >= place.end)
                break;
            bpi_cuda_cells<W> t = cells_of(read[k]);
            add_bias<W>(t, bias, shift);
#pragma unroll
            for (int i = 0; i < W; ++i) {
                const float distance = t.v[i] - about.v[i], square = distance * distance;
                add(sums[i], distance, 0.0f);
                add(squares[i], square, bpi_fmaf(distance, distance, -square));
            }
        }
    }
    const int at = (int)(threadIdx.y * blockDim.x + threadIdx.x);
#pragma unroll
    for (int i = 0; i < W; ++i) {
        block.sums[i][at] = (double)sums[i].high + (double)sums[i].low;
        block.sums[W + i][at] = (double)squares[i].high + (double)squares[i].low;
    }
    put_moments<W>(block, cols, partials, sums_ld);
}

__device__ __forceinline__ void move_running(void *running, int64_t o, double momentum, double value)
{
    float *at = static_cast<float *>(running) + o;
    *at = (float)((1.0 - momentum) * (double)*at + momentum * value);
}

/* batch_norm_statistics: mean, inv_std and running values out of `parts` slices of moments, in f64.
 * grid   (ceil(O/32)), block (32, 8): a warp reads 256 neighbouring bytes, each of 8 warps every eighth slice
 * moves  reads 16 parts O bytes, writes 8O and 16O of running values; shared 4 KiB; small beside the pass before it
 * order  each warp from its first slice on, then a tree over the warps: fixed by (parts, O)
 * edges  O not a multiple of 32: idle lanes; fewer slices than warps: the others add 0 */
template <typename U>
BPI_CUDA_KERNEL batch_norm_statistics(bpi_block_args args, const double *partials, int64_t parts, int64_t sums_ld)
{
    __shared__ double sums[2][8][32];
    const int64_t o = (int64_t)blockIdx.x * 32 + threadIdx.x, cols = args.u.cols;
    double sum = 0.0, square = 0.0;
    for (int64_t part = threadIdx.y; o < cols && part < parts; part += 8) {
        sum += partials[2 * part * sums_ld + o];
        square += partials[(2 * part + 1) * sums_ld + o];
    }
    sums[0][threadIdx.y][threadIdx.x] = sum;
    sums[1][threadIdx.y][threadIdx.x] = square;
    for (unsigned half = 4; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half)
#pragma unroll
            for (int k = 0; k < 2; ++k)
                sums[k][threadIdx.y][threadIdx.x] += sums[k][threadIdx.y + half][threadIdx.x];
    }
    if (threadIdx.y > 0 || o >= cols)
        return;
    sum = sums[0][0][threadIdx.x];
    square = sums[1][0][threadIdx.x];
    bpi_cuda_cells<1> about = cells_of(read_row<1, U>(args.u, 0, o, cols)), shift = read_vector<1>(args.bias, o, cols);
    add_bias<1>(about, args.bias, shift);
    const double rows = (double)args.u.rows, mean = (double)about.v[0] + sum / rows;
    double squares = square - sum * sum / rows;
    squares = squares < 0.0 ? 0.0 : squares; /* NaN stays */
    static_cast<float *>(args.mean)[o] = (float)mean;
    static_cast<float *>(args.inv_std)[o] = (float)(1.0 / sqrt(squares / rows + args.spec.norm_epsilon));
    if (args.running_mean)
        move_running(args.running_mean, o, args.spec.norm_momentum, mean);
    if (args.running_var)
        move_running(args.running_var, o, args.spec.norm_momentum, squares / (rows - 1.0));
}

template <typename U>
static cudaError_t run(cudaStream_t stream, const bpi_cuda_pass &pass, const bpi_block_args &args, double *partials)
{
    const float *bias = static_cast<const float *>(args.bias);
    const int64_t ld = bpi_cuda_sums_ld(args.u.cols);
    if (pass.width == 4)
        column_moments<4, U><<<grid_of(pass), block_of(pass), 0, stream>>>(args.u, bias, partials, ld, pass.slice_rows);
    else
        column_moments<1, U><<<grid_of(pass), block_of(pass), 0, stream>>>(args.u, bias, partials, ld, pass.slice_rows);
    const cudaError_t code = cudaGetLastError();
    if (code != cudaSuccess)
        return code;
    const dim3 grid((unsigned)((args.u.cols + 31) / 32));
    batch_norm_statistics<U><<<grid, dim3(32, 8), 0, stream>>>(args, partials, pass.slices, ld);
    return cudaGetLastError();
}

extern "C" cudaError_t bpi_cuda_run_batch_norm_statistics(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                                          const bpi_block_args *args, void *workspace)
{
    double *partials = static_cast<double *>(workspace);
    return type == BPI_TYPE_BF16 && !args->wide ? run<bpi_cuda_bf16>(stream, pass, *args, partials)
                                                : run<float>(stream, pass, *args, partials);
}

/* running_statistics: mean and inv_std of an evaluation out of the running values.
 * grid   (ceil(O/256)), block (256)
 * moves  reads 8O bytes, writes 8O
 * order  element by element
 * edges  O not a multiple of 256: idle lanes */
BPI_CUDA_KERNEL running_statistics(bpi_block_args args)
{
    const int64_t o = (int64_t)blockIdx.x * BPI_CUDA_THREADS + threadIdx.x;
    if (o >= args.u.cols)
        return;
    const double variance = (double)static_cast<const float *>(args.running_var)[o];
    static_cast<float *>(args.mean)[o] = static_cast<const float *>(args.running_mean)[o];
    static_cast<float *>(args.inv_std)[o] = (float)(1.0 / sqrt(variance + args.spec.norm_epsilon));
}

extern "C" cudaError_t bpi_cuda_run_running_statistics(cudaStream_t stream, const bpi_block_args *args)
{
    const int64_t blocks = (args->u.cols + BPI_CUDA_THREADS - 1) / BPI_CUDA_THREADS;
    running_statistics<<<dim3((unsigned)blocks), BPI_CUDA_THREADS, 0, stream>>>(*args);
    return cudaGetLastError();
}
