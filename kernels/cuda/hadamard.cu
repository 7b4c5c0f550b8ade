/* hadamard.cu: product = left * right, for programs that link the operations: see ops.h. */
#include "kernels/cuda/pass.cuh"

/* hadamard: element by element; product may be left or right.
 * grid   (tiles, slices) of bpi_cuda_pass_of, block (lanes, groups)
 * moves  reads 8BO bytes, writes 4BO; bound by memory
 * order  element by element
 * edges  O not a multiple of 4: the last thread of a row takes single elements */
template <int W> BPI_CUDA_KERNEL hadamard(bpi_matrix left, bpi_matrix right, bpi_matrix product, int64_t slice_rows)
{
    const bpi_cuda_place place = place_of<W>(product.rows, slice_rows);
    const int64_t o = place.column, cols = product.cols;
    if (o >= cols)
        return;
    for (int64_t first = place.first; first < place.end; first += BPI_CUDA_ROWS_IN_FLIGHT * place.step) {
        bpi_cuda_cells<W> l[BPI_CUDA_ROWS_IN_FLIGHT], r[BPI_CUDA_ROWS_IN_FLIGHT];
#pragma unroll
        for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k)
            if (first + k * place.step < place.end) {
                l[k] = read_cells<W>(row_of(left, first + k * place.step), o, cols);
                r[k] = read_cells<W>(row_of(right, first + k * place.step), o, cols);
            }
#pragma unroll
        for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k) {
            if (first + k * place.step >= place.end)
                break;
#pragma unroll
            for (int i = 0; i < W; ++i)
                l[k].v[i] *= r[k].v[i];
            write_cells<W>(row_to(product, first + k * place.step), o, cols, l[k]);
        }
    }
}

extern "C" cudaError_t bpi_cuda_run_hadamard(cudaStream_t stream, bpi_cuda_pass pass, bpi_matrix left, bpi_matrix right,
                                             bpi_matrix product)
{
    if (pass.width == 4)
        hadamard<4><<<grid_of(pass), block_of(pass), 0, stream>>>(left, right, product, pass.slice_rows);
    else
        hadamard<1><<<grid_of(pass), block_of(pass), 0, stream>>>(left, right, product, pass.slice_rows);
    return cudaGetLastError();
}
