/* convert.cu: an array of f32 as bf16, for ops.h convert_weights. */
#include "kernels/cuda/pass.cuh"

/* convert: to[k] = from[k] rounded to nearest, ties to even.
 * grid   (bpi_cuda_blocks_of count), block (256): a warp reads 512 neighbouring bytes and writes 256: eight elements a
 *        thread would be two reads, each of half of every sector
 * moves  reads 4 count bytes, writes 2 count; bound by memory
 * order  element by element
 * edges  count not a multiple of 4: the last thread takes single elements */
BPI_CUDA_KERNEL convert(const float *from, int64_t count, bpi_cuda_bf16 *to)
{
    constexpr int W = 4;
    const int64_t step = (int64_t)gridDim.x * BPI_CUDA_THREADS * W;
    for (int64_t k = ((int64_t)blockIdx.x * BPI_CUDA_THREADS + threadIdx.x) * W; k < count; k += step)
        write_cells<W>(to, k, count, read_cells<W>(from, k, count));
}

extern "C" cudaError_t bpi_cuda_run_convert(cudaStream_t stream, const float *from, int64_t count, void *to)
{
    const dim3 grid((unsigned)bpi_cuda_blocks_of(count)), block(BPI_CUDA_THREADS);
    convert<<<grid, block, 0, stream>>>(from, count, static_cast<bpi_cuda_bf16 *>(to));
    return cudaGetLastError();
}
