/* layer_norm_grad.cu: from dL/d out to dL/du through a layer norm, in one pass with the first stage of d_gamma, d_beta
 * and d_b, for ops.h block_backward; the second stage is in column_sums.cu. */
#include "kernels/cuda/team.cuh"

/* What W columns have once. */
template <int W> struct column_vectors {
    bpi_cuda_cells<W> gamma, beta, bias;
};

/* What a thread adds up over its rows for W columns. */
template <int W> struct column_sums {
    bpi_cuda_cells<W> gamma, beta, bias;
};

/* W columns of each of some places. error: dL/d out, then dL/dy; u: then xhat; saved: what f' is taken from. */
template <int W, int PLACES> struct places_back {
    bpi_cuda_cells<W> error[PLACES], u[PLACES], saved[PLACES];
};

template <int W> __device__ __forceinline__ column_vectors<W> read_columns(const backward_work &work, int64_t o)
{
    const bpi_block_grad_args &args = work.args;
    column_vectors<W> columns = {};
    columns.gamma = read_vector<W>(args.gamma, o, args.u.cols);
    if (work.source == FROM_ARGUMENT)
        columns.beta = read_vector<W>(args.beta, o, args.u.cols);
    columns.bias = read_vector<W>(args.bias, o, args.u.cols);
    return columns;
}

template <typename U, typename T, int W, int PLACES>
__device__ __forceinline__ void read_place(const backward_work &work, int64_t row, int64_t o, int p,
                                           places_back<W, PLACES> &places)
{
    const bpi_block_grad_args &args = work.args;
    places.error[p] = read_error<W, T>(args, row, o);
    places.u[p] = cells_of(read_row<W, U>(args.u, row, o, args.u.cols));
    if (work.source == FROM_A)
        places.saved[p] = cells_of(read_row<W, U>(args.a, row, o, args.u.cols));
}

/* Down to dL/dy and xhat; place p is of row p / CELLS and columns p % CELLS. */
template <int CELLS, int W, int PLACES>
__device__ __forceinline__ void
to_argument(const backward_work &work, uint32_t kept, const column_vectors<W> (&columns)[CELLS],
            const float (&mean)[PLACES / CELLS], const float (&inv_std)[PLACES / CELLS], places_back<W, PLACES> &places)
{
#pragma unroll
    for (int p = 0; p < PLACES; ++p) {
        const column_vectors<W> &column = columns[p % CELLS];
        add_bias<W>(places.u[p], work.args.bias, column.bias);
#pragma unroll
        for (int i = 0; i < W; ++i)
            places.u[p].v[i] = (places.u[p].v[i] - mean[p / CELLS]) * inv_std[p / CELLS];
        if (work.source == FROM_ARGUMENT)
            places.saved[p] = argument_of<W>(places.u[p], column.gamma, column.beta);
        if (work.drop.kept > 0.0f)
            drop<W>(work.drop, kept >> W * p, places.error[p]);
    }
    derive(work.args.spec, places.saved, places.error);
}

/* The sums over a row that delta needs: of g = gamma dL/dy, and of g xhat. */
template <int W>
__device__ __forceinline__ void add_to_row(const bpi_cuda_cells<W> &error, const bpi_cuda_cells<W> &xhat,
                                           const bpi_cuda_cells<W> &gamma, float *sums)
{
#pragma unroll
    for (int i = 0; i < W; ++i) {
        const float g = gamma.v[i] * error.v[i];
        sums[0] += g;
        sums[1] += g * xhat.v[i];
    }
}

/* delta = inv_std (gamma dL/dy - mean - xhat product_mean), and the three column sums; row_sums as add_to_row's. */
template <typename T, int W>
__device__ __forceinline__ void put_delta(const backward_work &work, int64_t row, int64_t o, float inv_std,
                                          const float *row_sums, const bpi_cuda_cells<W> &gamma,
                                          const bpi_cuda_cells<W> &error, const bpi_cuda_cells<W> &xhat,
                                          column_sums<W> &sums)
{
    const float cols = (float)work.args.u.cols, mean = row_sums[0] / cols, product_mean = row_sums[1] / cols;
    bpi_cuda_cells<W> delta;
#pragma unroll
    for (int i = 0; i < W; ++i) {
        delta.v[i] = inv_std * bpi_fmaf(-xhat.v[i], product_mean, bpi_fmaf(gamma.v[i], error.v[i], -mean));
        sums.gamma.v[i] += error.v[i] * xhat.v[i];
        sums.beta.v[i] += error.v[i];
        sums.bias.v[i] += delta.v[i];
    }
    write_cells<W>(row_to<T>(work.args.delta, row), o, work.args.u.cols, delta);
}

/* The block's sums into the slice's three rows of partials. All threads of the block call it. */
template <int W>
__device__ __forceinline__ void put_column_sums(const backward_work &work, int64_t o, const column_sums<W> &sums)
{
    const int64_t cols = work.args.u.cols, ld = work.sums_ld;
    sum_over_groups<W>(sums.gamma, o, cols, work.partials, 3 * ld);
    __syncthreads(); /* nobody reads what the sum before left */
    sum_over_groups<W>(sums.beta, o, cols, work.partials + ld, 3 * ld);
    __syncthreads();
    sum_over_groups<W>(sums.bias, o, cols, work.partials + 2 * ld, 3 * ld);
}

/* layer_norm_grad: with the means m of g = gamma dL/dy and n of g xhat over a row, delta = inv_std (g - m - xhat n);
 * and column sums of dL/dy xhat, dL/dy and delta.
 * grid   (1, slices) of bpi_cuda_teams_of, block (lanes, groups): a warp reads 128 neighbouring elements of a row
 * moves  reads tBO bytes each of d_out and d_out_skip, uBO of u, and of a where f' is taken from it, 12 slices O of row
 *        vectors, and 8B of statistics for each warp of a team; writes tBO each of delta and d_skip (read too where it
 *        adds), and 12 slices O; u and t = 4 or 2 of U and T; shared 10 KiB; bound by memory
 * order  rows by a tree of the team: fixed by O; columns: a thread from its first row on, a block its teams by a tree:
 *        fixed by (B, O); no atomics
 * edges  O not a multiple of 4: the last thread of a row takes single elements; rows beyond the end: their threads take
 *        part in the sums with nothing
 * One block is said to do where a row is of several cells a thread: vectors and sums take more than 128 registers. */
template <int CELLS, typename U, typename T>
static __global__ void __launch_bounds__(BPI_CUDA_THREADS, CELLS > 1 ? 1 : 2) layer_norm_grad(backward_work work)
{
    using shape = team_shape<CELLS>;
    constexpr int W = shape::W, PLACES = shape::PLACES, ROWS = shape::ROWS;
    const bpi_block_grad_args &args = work.args;
    const int64_t cols = args.u.cols;
    const team_place place = team_place_of(args.u.rows, work.slice_rows);
    enum { BIAS, GAMMA, BETA, VECTORS };
    const void *const sources[VECTORS] = {args.bias, args.gamma, work.source == FROM_ARGUMENT ? args.beta : nullptr};
    bpi_cuda_cells<W> vector[VECTORS][CELLS];
    read_vectors_of_team<CELLS>(sources, cols, vector);
    column_vectors<W> columns[CELLS];
    column_sums<W> sums[CELLS] = {};
#pragma unroll
    for (int c = 0; c < CELLS; ++c)
        columns[c] = {vector[GAMMA][c], vector[BETA][c], vector[BIAS][c]};
    const uint64_t stream = dropout_stream(work.drop);
    for (int64_t round = place.begin; round < place.end; round += shape::step()) {
        const int64_t first = shape::first(round);
        const auto inside = [&](int p) { return shape::column(p % CELLS) < cols && first + shape::row(p) < place.end; };
        places_back<W, PLACES> places = {};
        float row_sums[2 * ROWS] = {}, mean[ROWS], inv_std[ROWS];
#pragma unroll
        for (int p = 0; p < PLACES; ++p)
            if (inside(p))
                read_place<U, T>(work, first + shape::row(p), shape::column(p % CELLS), p, places);
        read_of_rows(args.mean, first, place.end, mean);
        read_of_rows(args.inv_std, first, place.end, inv_std);
        const uint32_t kept = shape::kept(work.drop, stream, first, cols);
#pragma unroll
        for (int p = 0; p < PLACES; ++p)
            if (inside(p))
                pass_on<W, T>(args, first + shape::row(p), shape::column(p % CELLS), places.error[p]);
        to_argument<CELLS>(work, kept, columns, mean, inv_std, places);
#pragma unroll
        for (int p = 0; p < PLACES; ++p)
            if (inside(p))
                add_to_row<W>(places.error[p], places.u[p], columns[p % CELLS].gamma, &row_sums[2 * shape::row(p)]);
        team_sum(row_sums);
#pragma unroll
        for (int p = 0; p < PLACES; ++p)
            if (inside(p))
                put_delta<T>(work, first + shape::row(p), shape::column(p % CELLS), inv_std[shape::row(p)],
                             &row_sums[2 * shape::row(p)], columns[p % CELLS].gamma, places.error[p], places.u[p],
                             sums[p % CELLS]);
    }
#pragma unroll
    for (int c = 0; c < CELLS; ++c)
        put_column_sums<W>(work, shape::column(c), sums[c]);
}

/* layer_norm_grad_long: the same for rows that are longer than a block, or do not start on 16 bytes: a block each.
 * grid   (1, slices) of bpi_cuda_teams_of, block (256, 1)
 * moves  as layer_norm_grad, but what dL/dy is made of is read twice, the vectors once a row, and the slice's sums are
 *        read and written for each row: out of the cache
 * order  as layer_norm_grad
 * edges  as layer_norm_grad */
template <int W, typename U, typename T> BPI_CUDA_KERNEL layer_norm_grad_long(backward_work work)
{
    const bpi_block_grad_args &args = work.args;
    const int64_t cols = args.u.cols, begin = (int64_t)threadIdx.x * W, step = (int64_t)blockDim.x * W;
    const team_place place = team_place_of(args.u.rows, work.slice_rows);
    float *const gamma = work.partials + 3 * (int64_t)blockIdx.y * work.sums_ld;
    float *const beta = gamma + work.sums_ld, *const bias = beta + work.sums_ld;
    const uint64_t stream = dropout_stream(work.drop);
    for (int64_t row = place.begin; row < place.end; ++row) {
        float row_sums[2] = {}, mean[1], inv_std[1];
        read_of_rows(args.mean, row, place.end, mean);
        read_of_rows(args.inv_std, row, place.end, inv_std);
#pragma unroll 1
        for (int pass = 0; pass < 2; ++pass) {
            for (int64_t o = begin; o < cols; o += step) {
                const column_vectors<W> columns[1] = {read_columns<W>(work, o)};
                const uint32_t kept = kept_rows<W, 1>(work.drop, stream, row, 0, o, cols);
                places_back<W, 1> places = {};
                read_place<U, T>(work, row, o, 0, places);
                if (pass == 0)
                    pass_on<W, T>(args, row, o, places.error[0]);
                to_argument<1>(work, kept, columns, mean, inv_std, places);
                if (pass == 0) {
                    add_to_row<W>(places.error[0], places.u[0], columns[0].gamma, row_sums);
                    continue;
                }
                column_sums<W> sums = {};
                if (row > place.begin)
                    sums = {read_cells<W>(gamma, o, cols), read_cells<W>(beta, o, cols), read_cells<W>(bias, o, cols)};
                put_delta<T>(work, row, o, inv_std[0], row_sums, columns[0].gamma, places.error[0], places.u[0], sums);
                write_cells<W>(gamma, o, cols, sums.gamma);
                write_cells<W>(beta, o, cols, sums.beta);
                write_cells<W>(bias, o, cols, sums.bias);
            }
            if (pass == 0)
                team_sum(row_sums);
        }
    }
}

static cudaError_t launch(cudaStream_t stream, const bpi_cuda_teams &teams, bpi_type type, const backward_work &work)
{
    const dim3 grid = grid_of(teams), block = block_of(teams);
    return for_kind(teams.width, type, work.args.wide, [&](auto kind) {
        using K = decltype(kind);
        using U = typename K::output;
        using T = typename K::error;
        if (teams.long_rows)
            layer_norm_grad_long<K::width, U, T><<<grid, block, 0, stream>>>(work);
        else if (teams.cells == 1)
            layer_norm_grad<1, U, T><<<grid, block, 0, stream>>>(work);
        else if (teams.cells == 2)
            layer_norm_grad<2, U, T><<<grid, block, 0, stream>>>(work);
        else
            layer_norm_grad<4, U, T><<<grid, block, 0, stream>>>(work);
    });
}

extern "C" cudaError_t bpi_cuda_run_layer_norm_grad(cudaStream_t stream, bpi_cuda_teams teams, bpi_type type,
                                                    const bpi_block_grad_args *args, float *workspace)
{
    backward_work work = backward_work_of(*args, teams.slice_rows);
    work.partials = workspace;
    const cudaError_t code = launch(stream, teams, type, work);
    if (code != cudaSuccess)
        return code;
    bpi_cuda_sums sums = {workspace, teams.slices, args->u.cols, 3, {}, args->accumulate};
    sums.out[0] = static_cast<float *>(args->d_gamma);
    sums.out[1] = static_cast<float *>(args->d_beta);
    sums.out[2] = static_cast<float *>(args->d_b);
    return bpi_cuda_run_sums_finish(stream, &sums);
}
