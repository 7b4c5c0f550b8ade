/* layer_norm.cu: layer norm, activation, dropout and skip in one pass, for ops.h block_forward: a row stays in
 * registers between its statistics, which are taken in two passes, and what is made of it. */
#include "kernels/cuda/team.cuh"

__device__ __forceinline__ float inv_std_of(float squares, int64_t cols, double epsilon)
{
    return 1.0f / sqrtf(squares / (float)cols + (float)epsilon);
}

__device__ __forceinline__ void put_statistics(const bpi_block_args &args, int64_t row, float mean, float inv_std)
{
    if (threadIdx.x > 0)
        return;
    static_cast<float *>(args.mean)[row] = mean;
    static_cast<float *>(args.inv_std)[row] = inv_std;
}

/* The sum of the W columns from o on, or of their squared distances to the mean, over those that are in the row. */
template <int W> __device__ __forceinline__ float sum_of(const bpi_cuda_cells<W> &cells, int64_t o, int64_t cols)
{
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < W; ++i)
        sum += o + i < cols ? cells.v[i] : 0.0f;
    return sum;
}

template <int W>
__device__ __forceinline__ float squares_of(const bpi_cuda_cells<W> &cells, float mean, int64_t o, int64_t cols)
{
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < W; ++i) {
        const float distance = cells.v[i] - mean;
        sum += o + i < cols ? distance * distance : 0.0f;
    }
    return sum;
}

template <int W>
__device__ __forceinline__ void to_argument(bpi_cuda_cells<W> &u, float mean, float inv_std,
                                            const bpi_cuda_cells<W> &gamma, const bpi_cuda_cells<W> &beta)
{
#pragma unroll
    for (int i = 0; i < W; ++i)
        u.v[i] = bpi_fmaf(gamma.v[i], (u.v[i] - mean) * inv_std, beta.v[i]);
}

/* layer_norm: mean and inv_std of every row, out = dropout(f(gamma (u - mean) inv_std + beta)) + skip.
 * grid   (1, slices) of bpi_cuda_teams_of, block (lanes, groups): a warp reads 128 neighbouring elements of a row
 * moves  reads uBO bytes, and tBO of skip; writes uBO of a, uBO of out where it is another, 8B; u and t = 4 or 2 of U
 *        and T; bound by memory
 * order  a thread adds its columns from the first on, a team its threads by a tree: fixed by O; no atomics
 * edges  O not a multiple of 4: the last thread of a row takes single elements; rows beyond the end: their threads take
 *        part in the sums with nothing; |u - mean| above 1.8e19: infinite, as in every f32 norm */
template <typename U, typename T> BPI_CUDA_KERNEL layer_norm(forward_work work)
{
    constexpr int W = 4, ROWS = BPI_CUDA_ROWS_IN_FLIGHT;
    const bpi_block_args &args = work.args;
    const int64_t cols = args.u.cols, o = (int64_t)threadIdx.x * W, step = blockDim.y;
    const bool inside = o < cols;
    const team_place place = team_place_of(args.u.rows, work.slice_rows);
    bpi_cuda_cells<W> gamma = {}, beta = {}, shift = {};
    if (inside) {
        gamma = read_vector<W>(args.gamma, o, cols);
        beta = read_vector<W>(args.beta, o, cols);
        shift = read_vector<W>(args.bias, o, cols);
    }
    for (int64_t round = place.begin; round < place.end; round += ROWS * step) {
        const int64_t first = round + threadIdx.y;
        bpi_cuda_stored<W, U> read[ROWS] = {};
        bpi_cuda_stored<W, T> skip[ROWS] = {};
        bpi_cuda_cells<W> u[ROWS];
        float mean[ROWS], squares[ROWS];
#pragma unroll
        for (int k = 0; k < ROWS; ++k)
            if (inside && first + k * step < place.end) {
                read[k] = read_row<W, U>(args.u, first + k * step, o, cols);
                skip[k] = read_row<W, T>(args.skip, first + k * step, o, cols);
            }
#pragma unroll
        for (int k = 0; k < ROWS; ++k) {
            u[k] = cells_of(read[k]);
            add_bias<W>(u[k], args.bias, shift);
            mean[k] = sum_of<W>(u[k], o, cols);
        }
        team_sum(mean);
#pragma unroll
        for (int k = 0; k < ROWS; ++k) {
            mean[k] /= (float)cols;
            squares[k] = squares_of<W>(u[k], mean[k], o, cols);
        }
        team_sum(squares);
        const uint32_t kept = kept_rows<W, ROWS>(work.drop, first, step, o, cols);
#pragma unroll
        for (int k = 0; k < ROWS; ++k) {
            const float inv_std = inv_std_of(squares[k], cols, args.spec.norm_epsilon);
            if (first + k * step < place.end)
                put_statistics(args, first + k * step, mean[k], inv_std);
            to_argument<W>(u[k], mean[k], inv_std, gamma, beta);
        }
        activate(args.spec, u);
#pragma unroll
        for (int k = 0; k < ROWS; ++k)
            if (inside && first + k * step < place.end)
                put_outputs<W, U>(work, first + k * step, o, kept >> W * k, u[k], skip[k]);
    }
}

/* layer_norm_long: the same for rows that are longer than a block, or do not start on 16 bytes: a block each.
 * grid   (1, slices) of bpi_cuda_teams_of, block (256, 1)
 * moves  as layer_norm, but u is read three times and the vectors once a row: out of the cache
 * order  as layer_norm
 * edges  as layer_norm */
template <int W, typename U, typename T> BPI_CUDA_KERNEL layer_norm_long(forward_work work)
{
    const bpi_block_args &args = work.args;
    const int64_t cols = args.u.cols, begin = (int64_t)threadIdx.x * W, step = (int64_t)blockDim.x * W;
    const team_place place = team_place_of(args.u.rows, work.slice_rows);
    const auto read_u = [&](int64_t row, int64_t o) {
        bpi_cuda_cells<W> u = cells_of(read_row<W, U>(args.u, row, o, cols));
        add_bias<W>(u, args.bias, read_vector<W>(args.bias, o, cols));
        return u;
    };
    for (int64_t row = place.begin; row < place.end; ++row) {
        float mean[1] = {}, squares[1] = {};
        for (int64_t o = begin; o < cols; o += step)
            mean[0] += sum_of<W>(read_u(row, o), o, cols);
        team_sum(mean);
        mean[0] /= (float)cols;
        for (int64_t o = begin; o < cols; o += step)
            squares[0] += squares_of<W>(read_u(row, o), mean[0], o, cols);
        team_sum(squares);
        const float inv_std = inv_std_of(squares[0], cols, args.spec.norm_epsilon);
        put_statistics(args, row, mean[0], inv_std);
        for (int64_t o = begin; o < cols; o += step) {
            bpi_cuda_cells<W> cells[1] = {read_u(row, o)};
            const uint32_t kept = kept_rows<W, 1>(work.drop, row, 0, o, cols);
            to_argument<W>(cells[0], mean[0], inv_std, read_vector<W>(args.gamma, o, cols),
                           read_vector<W>(args.beta, o, cols));
            activate(args.spec, cells);
            put_outputs<W, U>(work, row, o, kept, cells[0], read_row<W, T>(args.skip, row, o, cols));
        }
    }
}

extern "C" cudaError_t bpi_cuda_run_layer_norm(cudaStream_t stream, bpi_cuda_teams teams, bpi_type type,
                                               const bpi_block_args *args)
{
    const forward_work work = forward_work_of(*args, teams.slice_rows);
    const dim3 grid = grid_of(teams), block = block_of(teams);
    return for_kind(teams.width, type, args->wide, [&](auto kind) {
        using K = decltype(kind);
        using U = typename K::output;
        using T = typename K::error;
        if (teams.long_rows)
            layer_norm_long<K::width, U, T><<<grid, block, 0, stream>>>(work);
        else
            layer_norm<U, T><<<grid, block, 0, stream>>>(work);
    });
}
