/* block_forward.cu: what follows the product where there is no norm, or a batch norm whose statistics are there: norm,
 * activation, dropout and skip in one pass, for ops.h block_forward. */
#include "kernels/cuda/block.cuh"

/* block_forward: out = dropout(f(y)) + skip, y = gamma (u - mean) inv_std + beta with BATCH, else u.
 * grid   (tiles, slices) of bpi_cuda_block_pass_of, block (lanes, groups): 8 lanes read 32 neighbouring elements
 * moves  reads uBO bytes, and tBO of skip; writes uBO of a and uBO of out where it is another, u and t = 4 or 2 of U
 *        and T; reads 4 slices O of the bias, or 20 with BATCH; shared 2.5 KiB for these; bound by memory
 * order  element by element
 * edges  O not a multiple of 4: the last thread of a row takes single elements; idle lanes stay for the one barrier */
template <bool BATCH, int W, typename U, typename T> BPI_CUDA_KERNEL block_forward(forward_work work)
{
    constexpr int ROWS = block_rows<W, U, T>();
    const bpi_block_args &args = work.args;
    const bpi_cuda_place place = place_of<W>(args.u.rows, work.slice_rows);
    const int64_t o = place.column, cols = args.u.cols;
    enum { BIAS, MEAN, INV_STD, GAMMA, BETA };
    const void *const sources[] = {args.bias, args.mean, args.inv_std, args.gamma, args.beta};
    bpi_cuda_cells<W> vector[BATCH ? BETA + 1 : MEAN];
    read_vectors<W>(sources, o, cols, vector);
    const uint64_t stream = dropout_stream(work.drop);
    if (o >= cols)
        return;
    for (int64_t first = place.first; first < place.end; first += ROWS * place.step) {
        bpi_cuda_stored<W, U> u[ROWS] = {};
        bpi_cuda_stored<W, T> skip[ROWS] = {};
        bpi_cuda_cells<W> y[ROWS];
#pragma unroll
        for (int k = 0; k < ROWS; ++k)
            if (first + k * place.step < place.end) {
                u[k] = read_row<W, U>(args.u, first + k * place.step, o, cols);
                skip[k] = read_row<W, T>(args.skip, first + k * place.step, o, cols);
            }
        const uint32_t kept = kept_rows<W, ROWS>(work.drop, stream, first, place.step, o, cols);
#pragma unroll
        for (int k = 0; k < ROWS; ++k) {
            y[k] = cells_of(u[k]);
            add_bias<W>(y[k], args.bias, vector[BIAS]);
            if constexpr (BATCH) {
                normalise<W>(y[k], vector[MEAN], vector[INV_STD]);
                y[k] = argument_of<W>(y[k], vector[GAMMA], vector[BETA]);
            }
        }
        activate(args.spec, y);
#pragma unroll
        for (int k = 0; k < ROWS; ++k)
            if (first + k * place.step < place.end)
                put_outputs<W, U>(work, first + k * place.step, o, kept >> W * k, y[k], skip[k]);
    }
}

template <bool BATCH>
static cudaError_t run(cudaStream_t stream, const bpi_cuda_pass &pass, bpi_type type, const forward_work &work)
{
    return for_kind(pass.width, type, work.args.wide, [&](auto kind) {
        using K = decltype(kind);
        block_forward<BATCH, K::width, typename K::output, typename K::error>
            <<<grid_of(pass), block_of(pass), 0, stream>>>(work);
    });
}

extern "C" cudaError_t bpi_cuda_run_block_forward(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                                  const bpi_block_args *args)
{
    const forward_work work = forward_work_of(*args, pass.slice_rows);
    return args->spec.norm == BP_NORM_BATCH ? run<true>(stream, pass, type, work)
                                            : run<false>(stream, pass, type, work);
}
