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

/* W columns of some rows. error: dL/d out, then dL/dy; u: then xhat; saved: what f' is taken from. */
template <int W, int ROWS> struct rows_back {
    bpi_cuda_cells<W> error[ROWS], u[ROWS], saved[ROWS];
    float mean[ROWS], inv_std[ROWS];
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

template <typename U, typename T, int W, int ROWS>
__device__ __forceinline__ void read_rows(const backward_work &work, int64_t row, int64_t o, int k,
                                          rows_back<W, ROWS> &rows)
{
    const bpi_block_grad_args &args = work.args;
    rows.mean[k] = static_cast<const float *>(args.mean)[row];
    rows.inv_std[k] = static_cast<const float *>(args.inv_std)[row];
    rows.error[k] = read_error<W, T>(args, row, o);
    rows.u[k] = cells_of(read_row<W, U>(args.u, row, o, args.u.cols));
    if (work.source == FROM_A)
        rows.saved[k] = cells_of(read_row<W, U>(args.a, row, o, args.u.cols));
}

/* Down to dL/dy and xhat. */
template <int W, int ROWS>
__device__ __forceinline__ void to_argument(const backward_work &work, uint32_t kept, const column_vectors<W> &columns,
                                            rows_back<W, ROWS> &rows)
{
#pragma unroll
    for (int k = 0; k < ROWS; ++k) {
        add_bias<W>(rows.u[k], work.args.bias, columns.bias);
#pragma unroll
        for (int i = 0; i < W; ++i)
            rows.u[k].v[i] = (rows.u[k].v[i] - rows.mean[k]) * rows.inv_std[k];
        if (work.source == FROM_ARGUMENT)
            rows.saved[k] = argument_of<W>(rows.u[k], columns.gamma, columns.beta);
        if (work.drop.kept > 0.0f)
            drop<W>(work.drop, kept >> W * k, rows.error[k]);
    }
    derive(work.args.spec, rows.saved, rows.error);
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
 * moves  reads tBO bytes each of d_out and d_out_skip, uBO of u, and of a where f' is taken from it; writes tBO each of
 *        delta and d_skip (read too where it adds), and 12 slices O; u and t = 4 or 2 of U and T; shared 4 KiB; bound
 *        by memory
 * order  rows by a tree of the team: fixed by O; columns: a thread from its first row on, a block its teams by a tree:
 *        fixed by (B, O); no atomics
 * edges  O not a multiple of 4: the last thread of a row takes single elements; rows beyond the end: their threads take
 *        part in the sums with nothing */
template <typename U, typename T> BPI_CUDA_KERNEL layer_norm_grad(backward_work work)
{
    constexpr int W = 4, ROWS = BPI_CUDA_ROWS_IN_FLIGHT;
    const bpi_block_grad_args &args = work.args;
    const int64_t cols = args.u.cols, o = (int64_t)threadIdx.x * W, step = blockDim.y;
    const team_place place = team_place_of(args.u.rows, work.slice_rows);
    column_vectors<W> columns = {};
    column_sums<W> sums = {};
    if (o < cols)
        columns = read_columns<W>(work, o);
    for (int64_t round = place.begin; round < place.end; round += ROWS * step) {
        const int64_t first = round + threadIdx.y;
        const int64_t end = o < cols ? place.end : place.begin; /* of this thread's rows */
        rows_back<W, ROWS> rows = {};
        float row_sums[2 * ROWS] = {};
#pragma unroll
        for (int k = 0; k < ROWS; ++k)
            if (first + k * step < end)
                read_rows<U, T>(work, first + k * step, o, k, rows);
        const uint32_t kept = kept_rows<W, ROWS>(work.drop, first, step, o, cols);
#pragma unroll
        for (int k = 0; k < ROWS; ++k)
            if (first + k * step < end)
                pass_on<W, T>(args, first + k * step, o, rows.error[k]);
        to_argument(work, kept, columns, rows);
#pragma unroll
        for (int k = 0; k < ROWS; ++k)
            if (first + k * step < end)
                add_to_row<W>(rows.error[k], rows.u[k], columns.gamma, &row_sums[2 * k]);
        team_sum(row_sums);
#pragma unroll
        for (int k = 0; k < ROWS; ++k)
            if (first + k * step < end)
                put_delta<T>(work, first + k * step, o, rows.inv_std[k], &row_sums[2 * k], columns.gamma, rows.error[k],
                             rows.u[k], sums);
    }
    put_column_sums<W>(work, o, sums);
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
    for (int64_t row = place.begin; row < place.end; ++row) {
        float row_sums[2] = {};
#pragma unroll 1
        for (int pass = 0; pass < 2; ++pass) {
            for (int64_t o = begin; o < cols; o += step) {
                const column_vectors<W> columns = read_columns<W>(work, o);
                const uint32_t kept = kept_rows<W, 1>(work.drop, row, 0, o, cols);
                rows_back<W, 1> rows = {};
                read_rows<U, T>(work, row, o, 0, rows);
                if (pass == 0)
                    pass_on<W, T>(args, row, o, rows.error[0]);
                to_argument(work, kept, columns, rows);
                if (pass == 0) {
                    add_to_row<W>(rows.error[0], rows.u[0], columns.gamma, row_sums);
                    continue;
                }
                column_sums<W> sums = {};
                if (row > place.begin)
                    sums = {read_cells<W>(gamma, o, cols), read_cells<W>(beta, o, cols), read_cells<W>(bias, o, cols)};
                put_delta<T>(work, row, o, rows.inv_std[0], row_sums, columns.gamma, rows.error[0], rows.u[0], sums);
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
        else
            layer_norm_grad<U, T><<<grid, block, 0, stream>>>(work);
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
