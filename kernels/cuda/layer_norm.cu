/* layer_norm.cu: layer norm, activation, dropout and skip in one pass, for ops.h block_forward: a row stays in
 * registers between its statistics, which are taken in two passes, and what is made of it. */
#include "kernels/cuda/team.cuh"

__device__ __forceinline__ float inv_std_of(float squares, int64_t cols, double epsilon)
{
    return 1.0f / sqrtf(squares / (float)cols + (float)epsilon);
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
 * moves  reads uBO bytes, and tBO of skip, and 12 slices O of row vectors; writes uBO of a, uBO of out where it is
 *        another, 8B; u and t = 4 or 2 of U and T; shared 6 KiB; bound by memory
 * order  a thread adds its columns from the first on, a team its threads by a tree: fixed by O; no atomics
 * edges  O not a multiple of 4: the last thread of a row takes single elements; rows beyond the end: their threads take
 *        part in the sums with nothing; |u - mean| above 1.8e19: infinite, as in every f32 norm
 * One block is said to do where a row is of several cells a thread, whose vectors take more than 128 registers. */
template <int CELLS, typename U, typename T>
static __global__ void __launch_bounds__(BPI_CUDA_THREADS, CELLS > 1 ? 1 : 2) layer_norm(forward_work work)
{
    using shape = team_shape<CELLS>;
    constexpr int W = shape::W, PLACES = shape::PLACES, ROWS = shape::ROWS;
    const bpi_block_args &args = work.args;
    const int64_t cols = args.u.cols;
    const team_place place = team_place_of(args.u.rows, work.slice_rows);
    enum { BIAS, GAMMA, BETA, VECTORS };
    const void *const sources[VECTORS] = {args.bias, args.gamma, args.beta};
    bpi_cuda_cells<W> vector[VECTORS][CELLS];
    read_vectors_of_team<CELLS>(sources, cols, vector);
    const uint64_t stream = dropout_stream(work.drop);
    for (int64_t round = place.begin; round < place.end; round += shape::step()) {
        const int64_t first = shape::first(round);
        bpi_cuda_stored<W, U> read[PLACES] = {};
        bpi_cuda_stored<W, T> skip[PLACES] = {};
        bpi_cuda_cells<W> u[PLACES];
        float mean[ROWS] = {}, squares[ROWS] = {};
#pragma unroll
        for (int p = 0; p < PLACES; ++p) {
            const int64_t row = first + shape::row(p), o = shape::column(p % CELLS);
            if (o < cols && row < place.end) {
                read[p] = read_row<W, U>(args.u, row, o, cols);
                skip[p] = read_row<W, T>(args.skip, row, o, cols);
            }
        }
#pragma unroll
        for (int p = 0; p < PLACES; ++p) {
            u[p] = cells_of(read[p]);
            add_bias<W>(u[p], args.bias, vector[BIAS][p % CELLS]);
            mean[shape::row(p)] += sum_of<W>(u[p], shape::column(p % CELLS), cols);
        }
        team_sum(mean);
#pragma unroll
        for (int k = 0; k < ROWS; ++k)
            mean[k] /= (float)cols;
#pragma unroll
        for (int p = 0; p < PLACES; ++p)
            squares[shape::row(p)] += squares_of<W>(u[p], mean[shape::row(p)], shape::column(p % CELLS), cols);
        team_sum(squares);
        float inv_std[ROWS];
#pragma unroll
        for (int k = 0; k < ROWS; ++k)
            inv_std[k] = inv_std_of(squares[k], cols, args.spec.norm_epsilon);
        write_of_rows(args.mean, first, place.end, mean);
        write_of_rows(args.inv_std, first, place.end, inv_std);
        const uint32_t kept = shape::kept(work.drop, stream, first, cols);
#pragma unroll
        for (int p = 0; p < PLACES; ++p)
            to_argument<W>(u[p], mean[shape::row(p)], inv_std[shape::row(p)], vector[GAMMA][p % CELLS],
                           vector[BETA][p % CELLS]);
        activate(args.spec, u);
#pragma unroll
        for (int p = 0; p < PLACES; ++p) {
            const int64_t row = first + shape::row(p), o = shape::column(p % CELLS);
            if (o < cols && row < place.end)
                put_outputs<W, U>(work, row, o, kept >> W * p, u[p], skip[p]);
        }
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
    const uint64_t stream = dropout_stream(work.drop);
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
        const float inv_std[1] = {inv_std_of(squares[0], cols, args.spec.norm_epsilon)};
        write_of_rows(args.mean, row, place.end, mean);
        write_of_rows(args.inv_std, row, place.end, inv_std);
        for (int64_t o = begin; o < cols; o += step) {
            bpi_cuda_cells<W> cells[1] = {read_u(row, o)};
            const uint32_t kept = kept_rows<W, 1>(work.drop, stream, row, 0, o, cols);
            to_argument<W>(cells[0], mean[0], inv_std[0], read_vector<W>(args.gamma, o, cols),
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
        else if (teams.cells == 1)
            layer_norm<1, U, T><<<grid, block, 0, stream>>>(work);
        else if (teams.cells == 2)
            layer_norm<2, U, T><<<grid, block, 0, stream>>>(work);
        else
            layer_norm<4, U, T><<<grid, block, 0, stream>>>(work);
    });
}
