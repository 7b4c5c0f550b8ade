/* block_backward.cu: from dL/d out to dL/du where there is no norm, and with batch norm, for ops.h block_backward. What
 * layer norm does is in layer_norm_grad.cu; the second stage of d_b without a norm in column_sums.cu. */
#include "kernels/cuda/block.cuh"

/* PLAIN: no norm. SUMS: batch norm's first pass, which leaves only sums; APPLY: the second. dL/dy is made in both: to
 * store it would move as many bytes as to read its parts again, or more. */
enum stage { PLAIN, SUMS, APPLY };

/* Row vectors; the first ones are all that a stage reads. */
enum { BIAS, MEAN, INV_STD, GAMMA, BETA, PRODUCT_MEAN, ERROR_MEAN };

__device__ __forceinline__ constexpr int vectors_of(stage s)
{
    return s == PLAIN ? MEAN : s == SUMS ? PRODUCT_MEAN : ERROR_MEAN + 1;
}

/* Rows of a thread. error: dL/d out, then dL/dy, then delta; u: with a norm then xhat; saved: what f' is taken from. */
template <int W, int ROWS> struct rows_back {
    bpi_cuda_cells<W> error[ROWS], u[ROWS], saved[ROWS];
};

/* Down to dL/dy. */
template <stage S, int W, int ROWS, int V>
__device__ __forceinline__ void to_argument(const backward_work &work, uint32_t kept,
                                            const bpi_cuda_cells<W> (&vector)[V], rows_back<W, ROWS> &rows)
{
#pragma unroll
    for (int k = 0; k < ROWS; ++k) {
        add_bias<W>(rows.u[k], work.args.bias, vector[BIAS]);
        if constexpr (S != PLAIN)
            normalise<W>(rows.u[k], vector[MEAN], vector[INV_STD]);
        if (work.source == FROM_ARGUMENT) {
            rows.saved[k] = rows.u[k];
            if constexpr (S != PLAIN)
                rows.saved[k] = argument_of<W>(rows.u[k], vector[GAMMA], vector[BETA]);
        }
        if (work.drop.kept > 0.0f)
            drop<W>(work.drop, kept >> W * k, rows.error[k]);
    }
    derive(work.args.spec, rows.saved, rows.error);
}

/* block_backward: delta and the column sums of it (PLAIN); the column sums of dL/dy xhat and of dL/dy (SUMS); with the
 * means m and n of these, delta = gamma inv_std (dL/dy - n - xhat m) (APPLY).
 * grid   (tiles, slices) of bpi_cuda_block_pass_of, block (lanes, groups): 8 lanes read 32 neighbouring elements
 * moves  reads tBO bytes each of d_out and d_out_skip, uBO of u with a norm or where f' is taken from it, and of a
 *        where f' is taken from that; writes tBO each of delta and d_skip (read too where it adds), and 4 slices O;
 *        SUMS writes 8 slices O and nothing else; reads 4 slices O of each of up to 7 row vectors; u and t = 4 or 2 of
 *        U and T; shared 7.5 KiB; bound by memory
 * order  a thread adds its rows from the first on, a block its groups by a tree: fixed by (B, O); no atomics
 * edges  O not a multiple of 4: the last thread of a row takes single elements; idle lanes add 0 and write nothing */
template <stage S, int W, typename U, typename T> BPI_CUDA_KERNEL block_backward(backward_work work)
{
    constexpr int ROWS = block_rows<W, U, T>();
    const bpi_block_grad_args &args = work.args;
    const derivative_source source = work.source;
    const bpi_cuda_place place = place_of<W>(args.u.rows, work.slice_rows);
    const int64_t o = place.column, cols = args.u.cols;
    const void *const beta = source == FROM_ARGUMENT ? args.beta : nullptr;
    const void *const sources[] = {args.bias, args.mean, args.inv_std, args.gamma, beta, work.means[0], work.means[1]};
    bpi_cuda_cells<W> vector[vectors_of(S)], products = {}, errors = {};
    read_vectors<W>(sources, o, cols, vector);
    const uint64_t stream = dropout_stream(work.drop);
    for (int64_t first = place.first; o < cols && first < place.end; first += ROWS * place.step) {
        rows_back<W, ROWS> rows = {};
        bpi_cuda_stored<W, U> u[ROWS] = {}, saved[ROWS] = {};
#pragma unroll
        for (int k = 0; k < ROWS; ++k) {
            const int64_t row = first + k * place.step;
            if (row >= place.end)
                continue;
            rows.error[k] = read_error<W, T>(args, row, o);
            if (S != PLAIN || source == FROM_ARGUMENT)
                u[k] = read_row<W, U>(args.u, row, o, cols);
            if (source == FROM_A)
                saved[k] = read_row<W, U>(args.a, row, o, cols);
        }
        const uint32_t kept = kept_rows<W, ROWS>(work.drop, stream, first, place.step, o, cols);
#pragma unroll
        for (int k = 0; k < ROWS; ++k) {
            rows.u[k] = cells_of(u[k]);
            rows.saved[k] = cells_of(saved[k]);
            if (S != SUMS && first + k * place.step < place.end)
                pass_on<W, T>(args, first + k * place.step, o, rows.error[k]);
        }
        to_argument<S>(work, kept, vector, rows);
#pragma unroll
        for (int k = 0; k < ROWS; ++k) {
            if (first + k * place.step >= place.end)
                continue;
#pragma unroll
            for (int i = 0; i < W; ++i) {
                if constexpr (S == APPLY)
                    rows.error[k].v[i] = vector[GAMMA].v[i] * vector[INV_STD].v[i] *
                                         bpi_fmaf(-rows.u[k].v[i], vector[PRODUCT_MEAN].v[i],
                                                  rows.error[k].v[i] - vector[ERROR_MEAN].v[i]);
                products.v[i] += S == SUMS ? rows.error[k].v[i] * rows.u[k].v[i] : 0.0f;
                errors.v[i] += rows.error[k].v[i];
            }
            if (S != SUMS)
                write_cells<W>(row_to<T>(args.delta, first + k * place.step), o, cols, rows.error[k]);
        }
    }
    if (S == SUMS) {
        sum_over_groups<W>(products, o, cols, work.partials, 2 * work.sums_ld);
        __syncthreads(); /* nobody reads what the sum before left */
        sum_over_groups<W>(errors, o, cols, work.partials + work.sums_ld, 2 * work.sums_ld);
    } else if (S == PLAIN && work.partials)
        sum_over_groups<W>(errors, o, cols, work.partials, work.sums_ld);
}

template <stage S>
static cudaError_t run(cudaStream_t stream, const bpi_cuda_pass &pass, bpi_type type, const backward_work &work)
{
    return for_kind(pass.width, type, work.args.wide, [&](auto kind) {
        using K = decltype(kind);
        block_backward<S, K::width, typename K::output, typename K::error>
            <<<grid_of(pass), block_of(pass), 0, stream>>>(work);
    });
}

extern "C" cudaError_t bpi_cuda_run_block_backward(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                                   const bpi_block_grad_args *args, float *workspace)
{
    backward_work work = backward_work_of(*args, pass.slice_rows);
    work.partials = args->d_b ? workspace : nullptr;
    const cudaError_t code = run<PLAIN>(stream, pass, type, work);
    if (code != cudaSuccess || !args->d_b)
        return code;
    return bpi_cuda_run_column_sums_finish(stream, workspace, pass.slices, args->u.cols, args->accumulate,
                                           static_cast<float *>(args->d_b));
}

/* batch_norm_gradients: d_gamma, d_beta, and the means that the second pass subtracts, out of `parts` slices of sums;
 * and d_b: delta sums to 0 over the rows, whatever dL/dy is, as the norm takes every shift away again. What is added is
 * that 0, or NaN where the sums are not finite.
 * grid   (ceil(O/32)), block (32, 8): a warp reads 128 neighbouring bytes, each of 8 warps every eighth slice
 * moves  reads 8 parts O bytes, writes 20O; shared 2 KiB; small beside the pass before it
 * order  each warp from its first slice on, then a tree over the warps: fixed by (parts, O)
 * edges  O not a multiple of 32: idle lanes; fewer slices than warps: the others add 0 */
BPI_CUDA_KERNEL batch_norm_gradients(backward_work work, int64_t parts)
{
    __shared__ float sums[2][8][32];
    const bpi_block_grad_args &args = work.args;
    const int64_t o = (int64_t)blockIdx.x * 32 + threadIdx.x, cols = args.u.cols;
    float product = 0.0f, error = 0.0f;
    for (int64_t part = threadIdx.y; o < cols && part < parts; part += 8) {
        product += work.partials[2 * part * work.sums_ld + o];
        error += work.partials[(2 * part + 1) * work.sums_ld + o];
    }
    sums[0][threadIdx.y][threadIdx.x] = product;
    sums[1][threadIdx.y][threadIdx.x] = error;
    for (unsigned half = 4; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half)
#pragma unroll
            for (int k = 0; k < 2; ++k)
                sums[k][threadIdx.y][threadIdx.x] += sums[k][threadIdx.y + half][threadIdx.x];
    }
    if (threadIdx.y > 0 || o >= cols)
        return;
    product = sums[0][0][threadIdx.x];
    error = sums[1][0][threadIdx.x];
    work.means[0][o] = product / (float)args.u.rows;
    work.means[1][o] = error / (float)args.u.rows;
    put_gradient(args.d_gamma, o, args.accumulate, product);
    put_gradient(args.d_beta, o, args.accumulate, error);
    if (args.d_b)
        put_gradient(args.d_b, o, args.accumulate, 0.0f * product + 0.0f * error);
}

extern "C" cudaError_t bpi_cuda_run_batch_norm_backward(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                                        const bpi_block_grad_args *args, float *workspace)
{
    backward_work work = backward_work_of(*args, pass.slice_rows);
    work.means[0] = workspace;
    work.means[1] = workspace + work.sums_ld;
    work.partials = workspace + 2 * work.sums_ld;
    cudaError_t code = run<SUMS>(stream, pass, type, work);
    if (code != cudaSuccess)
        return code;
    const dim3 grid((unsigned)((args->u.cols + 31) / 32));
    batch_norm_gradients<<<grid, dim3(32, 8), 0, stream>>>(work, pass.slices);
    code = cudaGetLastError();
    return code == cudaSuccess ? run<APPLY>(stream, pass, type, work) : code;
}
