/* block_forward.cu: what follows the product where there is no norm, or a batch norm whose statistics are there: norm,
 * activation, dropout and skip in one pass, for ops.h block_forward. */
#include "kernels/cuda/block.cuh"

/* block_forward: out = dropout(f(y)) + skip, y = gamma (u - mean) inv_std + beta with BATCH, else u.
 * grid   (tiles, slices) of bpi_cuda_block_pass_of, block (lanes, groups): a warp reads 512 neighbouring bytes of a row
 * moves  reads 4BO bytes, and 4BO of skip; writes 4BO of a and 4BO of out where they are others; shared 2.5 KiB for
 *        what a column has once; bound by memory
 * order  element by element
 * edges  O not a multiple of 4: the last thread of a row takes single elements; idle lanes stay for the one barrier */
template <bool BATCH, int W> BPI_CUDA_KERNEL block_forward(forward_work work)
{
    constexpr int ROWS = BPI_CUDA_BLOCK_ROWS;
    const bpi_block_args &args = work.args;
    const bpi_cuda_place place = place_of<W>(args.u.rows, work.slice_rows);
    const int64_t o = place.column, cols = args.u.cols;
    enum { BIAS, MEAN, INV_STD, GAMMA, BETA };
    const void *const sources[] = {args.bias, args.mean, args.inv_std, args.gamma, args.beta};
    bpi_cuda_cells<W> vector[BATCH ? BETA + 1 : MEAN];
    read_vectors<W>(sources, o, cols, vector);
    if (o >= cols)
        return;
    for (int64_t first = place.first; first < place.end; first += ROWS * place.step) {
        bpi_cuda_cells<W> u[ROWS] = {}, skip[ROWS] = {};
#pragma unroll
        for (int k = 0; k < ROWS; ++k)
            if (first + k * place.step < place.end) {
                u[k] = read_row<W>(args.u, first + k * place.step, o, cols);
                skip[k] = read_row<W>(args.skip, first + k * place.step, o, cols);
            }
        const uint32_t kept = kept_rows<W, ROWS>(work.drop, first, place.step, o, cols);
#pragma unroll
        for (int k = 0; k < ROWS; ++k) {
            add_bias<W>(u[k], args.bias, vector[BIAS]);
            if constexpr (BATCH) {
                normalise<W>(u[k], vector[MEAN], vector[INV_STD]);
                u[k] = argument_of<W>(u[k], vector[GAMMA], vector[BETA]);
            }
        }
        activate<W>(args.spec, u);
#pragma unroll
        for (int k = 0; k < ROWS; ++k)
            if (first + k * place.step < place.end)
                put_outputs<W>(work, first + k * place.step, o, kept >> W * k, u[k], skip[k]);
    }
}

template <bool BATCH> static void launch(cudaStream_t stream, const bpi_cuda_pass &pass, const forward_work &work)
{
    if (pass.width == 4)
        block_forward<BATCH, 4><<<grid_of(pass), block_of(pass), 0, stream>>>(work);
    else
        block_forward<BATCH, 1><<<grid_of(pass), block_of(pass), 0, stream>>>(work);
}

extern "C" cudaError_t bpi_cuda_run_block_forward(cudaStream_t stream, bpi_cuda_pass pass, const bpi_block_args *args)
{
    const forward_work work = forward_work_of(*args, pass.slice_rows);
    if (args->spec.norm == BP_NORM_BATCH)
        launch<true>(stream, pass, work);
    else
        launch<false>(stream, pass, work);
    return cudaGetLastError();
}
