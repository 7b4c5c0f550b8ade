/* hadamard.cu: product = left * right, for programs that link the operations: see ops.h. */
#include "kernels/cuda/pass.cuh"

/* hadamard: element by element; product may be left or right.
 * grid   (tiles, slices) of bpi_cuda_pass_of, block (lanes, groups)
 * moves  reads 2sBO bytes, writes sBO, s = 4 or 2 of T; bound by memory
 * order  element by element
 * edges  O not a multiple of W: the last thread of a row takes single elements */
template <int W, typename T>
BPI_CUDA_KERNEL hadamard(bpi_matrix left, bpi_matrix right, bpi_matrix product, int64_t slice_rows)
{
    constexpr int ahead = bpi_cuda_rows_ahead<W>();
    const bpi_cuda_place place = place_of<W>(product.rows, slice_rows);
    const int64_t o = place.column, cols = product.cols;
    if (o >= cols)
        return;
    for (int64_t first = place.first; first < place.end; first += ahead * place.step) {
        bpi_cuda_stored<W, T> l[ahead], r[ahead];
#pragma unroll
        for (int k = 0; k < ahead; ++k)
            if (first + k * place.step < place.end) {
                l[k] = read_stored<W>(row_of<T>(left, first + k * place.step), o, cols);
                r[k] = read_stored<W>(row_of<T>(right, first + k * place.step), o, cols);
            }
#pragma unroll
        for (int k = 0; k < ahead; ++k) {
            if (first + k * place.step >= place.end)
                break;
            bpi_cuda_cells<W> p;
#pragma unroll
            for (int i = 0; i < W; ++i)
                p.v[i] = l[k].at(i) * r[k].at(i);
            write_cells<W>(row_to<T>(product, first + k * place.step), o, cols, p);
        }
    }
}

template <typename T>
static void launch(cudaStream_t stream, const bpi_cuda_pass &pass, bpi_matrix left, bpi_matrix right,
                   bpi_matrix product)
{
    if (pass.width > 1)
        hadamard<bpi_cuda_width<T>(), T>
            <<<grid_of(pass), block_of(pass), 0, stream>>>(left, right, product, pass.slice_rows);
    else
        hadamard<1, T><<<grid_of(pass), block_of(pass), 0, stream>>>(left, right, product, pass.slice_rows);
}

extern "C" cudaError_t bpi_cuda_run_hadamard(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type, bpi_matrix left,
                                             bpi_matrix right, bpi_matrix product)
{
    if (type == BPI_TYPE_BF16)
        launch<bpi_cuda_bf16>(stream, pass, left, right, product);
    else
        launch<float>(stream, pass, left, right, product);
    return cudaGetLastError();
}
