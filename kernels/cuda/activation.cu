/* activation.cu: a = f(z + bias) in one pass, for ops.h activation_forward and the rest of linear_forward. */
#include "kernels/cuda/pass.cuh"
#include "kernels/math/activation_of.h"

/* The next rows of a thread. */
template <int W>
__device__ __forceinline__ void read_rows(const bpi_matrix &z, const bpi_cuda_place &place, int64_t first,
                                          bpi_cuda_cells<W> (&t)[BPI_CUDA_ROWS_IN_FLIGHT])
{
#pragma unroll
    for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k)
        if (place.column < z.cols && first + k * place.step < place.end)
            t[k] = read_cells<W>(row_of(z, first + k * place.step), place.column, z.cols);
}

/* activation_forward: t = z + bias, a = f(t); t back to z where `keeps`, see ops.h linear_forward.
 * grid   (tiles, slices) of bpi_cuda_pass_of, block (lanes, groups): a warp reads 512 neighbouring bytes of a row
 * moves  reads 4BO bytes and 4 slices O of the bias, writes 4BO, and 4BO more where it keeps t; shared 512 bytes; bound
 *        by memory; the first rows are on their way while the block fetches the bias
 * order  element by element
 * edges  O not a multiple of 4: the last thread of a row takes single elements; narrow O: several rows a warp */
template <bp_activation A, int W>
BPI_CUDA_KERNEL activation_forward(bpi_matrix z, const float *bias, bpi_matrix a, float slope, bool keeps,
                                   int64_t slice_rows)
{
    const bpi_cuda_place place = place_of<W>(z.rows, slice_rows);
    const int64_t o = place.column, cols = z.cols;
    bpi_cuda_cells<W> t[BPI_CUDA_ROWS_IN_FLIGHT], shift = {};
    read_rows<W>(z, place, place.first, t);
    if (bias)
        shift = read_for_block<W>(bias, o, cols);
    const int64_t round = BPI_CUDA_ROWS_IN_FLIGHT * place.step;
    for (int64_t first = place.first; o < cols && first < place.end; first += round) {
#pragma unroll
        for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k) {
            const int64_t row = first + k * place.step;
            if (row >= place.end)
                break;
#pragma unroll
            for (int i = 0; i < W; ++i)
                t[k].v[i] = bias ? t[k].v[i] + shift.v[i] : t[k].v[i];
            /* Written before it becomes a: held across the quotients of sigmoid, both would be spilled on sm_100. */
            if (keeps)
                write_cells<W>(row_to(z, row), o, cols, t[k]);
#pragma unroll
            for (int i = 0; i < W; ++i)
                t[k].v[i] = bpi_activation_value_of(A, slope, t[k].v[i]);
            write_cells<W>(row_to(a, row), o, cols, t[k]);
        }
        read_rows<W>(z, place, first + round, t);
    }
}

template <bp_activation A>
static void launch(cudaStream_t stream, const bpi_cuda_pass &pass, float slope, bpi_matrix z, const float *bias,
                   bpi_matrix a)
{
    const bool keeps = bias && z.data != a.data;
    if (pass.width == 4)
        activation_forward<A, 4>
            <<<grid_of(pass), block_of(pass), 0, stream>>>(z, bias, a, slope, keeps, pass.slice_rows);
    else
        activation_forward<A, 1>
            <<<grid_of(pass), block_of(pass), 0, stream>>>(z, bias, a, slope, keeps, pass.slice_rows);
}

extern "C" cudaError_t bpi_cuda_run_forward(cudaStream_t stream, bpi_cuda_pass pass, bp_activation activation,
                                            float slope, bpi_matrix z, const float *bias, bpi_matrix a)
{
    switch (activation) {
#define FORWARD_CASE(ENUM, name, saves_z)                                                                              \
    case BP_ACTIVATION_##ENUM:                                                                                         \
        launch<BP_ACTIVATION_##ENUM>(stream, pass, slope, z, bias, a);                                                 \
        break;
        BP_ACTIVATION_LIST(FORWARD_CASE)
#undef FORWARD_CASE
    case BP_ACTIVATION_COUNT:
        return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}
