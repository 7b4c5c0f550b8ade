/* activation.cu: a = f(z + bias) in one pass, for ops.h activation_forward and the rest of linear_forward. */
#include "kernels/cuda/pass.cuh"
#include "kernels/math/activation_of.h"

/* The next rows of a thread. */
template <int W, int AHEAD, typename T>
__device__ __forceinline__ void read_rows(const bpi_matrix &z, const bpi_cuda_place &place, int64_t first,
                                          bpi_cuda_stored<W, T> (&read)[AHEAD])
{
#pragma unroll
    for (int k = 0; k < AHEAD; ++k)
        if (place.column < z.cols && first + k * place.step < place.end)
            read[k] = read_stored<W>(row_of<T>(z, first + k * place.step), place.column, z.cols);
}

/* activation_forward: t = z + bias, a = f(t); t back to z where `keeps`, see ops.h linear_forward.
 * grid   (tiles, slices) of bpi_cuda_pass_of, block (lanes, groups): 8 lanes read 128 neighbouring bytes of a row
 * moves  reads sBO bytes and 4 slices O of the bias, writes sBO, and sBO more where it keeps t, s = 4 or 2 of T; shared
 *        W/8 KiB; bound by memory; the first rows are on their way while the block fetches the bias
 * order  element by element
 * edges  O not a multiple of W: the last thread of a row takes single elements; narrow O: several rows a warp */
template <bp_activation A, int W, typename T>
BPI_CUDA_KERNEL activation_forward(bpi_matrix z, const float *bias, bpi_matrix a, float slope, bool keeps,
                                   int64_t slice_rows)
{
    constexpr int ahead = bpi_cuda_rows_ahead<W>();
    const bpi_cuda_place place = place_of<W>(z.rows, slice_rows);
    const int64_t o = place.column, cols = z.cols;
    bpi_cuda_stored<W, T> read[ahead];
    bpi_cuda_cells<W> shift = {};
    read_rows(z, place, place.first, read);
    if (bias)
        shift = read_for_block<W>(bias, o, cols);
    const int64_t round = ahead * place.step;
    for (int64_t first = place.first; o < cols && first < place.end; first += round) {
#pragma unroll
        for (int k = 0; k < ahead; ++k) {
            const int64_t row = first + k * place.step;
            if (row >= place.end)
                break;
            bpi_cuda_cells<W> t;
#pragma unroll
            for (int i = 0; i < W; ++i)
                t.v[i] = bias ? read[k].at(i) + shift.v[i] : read[k].at(i);
            /* Written before it becomes a: held across the quotients of sigmoid, both would be spilled on sm_100. */
            if (keeps)
                write_cells<W>(row_to<T>(z, row), o, cols, t);
#pragma unroll
            for (int i = 0; i < W; ++i)
                t.v[i] = bpi_activation_value_of(A, slope, t.v[i]);
            write_cells<W>(row_to<T>(a, row), o, cols, t);
        }
        read_rows(z, place, first + round, read);
    }
}

template <bp_activation A, typename T>
static void launch(cudaStream_t stream, const bpi_cuda_pass &pass, float slope, bpi_matrix z, const float *bias,
                   bpi_matrix a)
{
    const bool keeps = bias && z.data != a.data;
    if (pass.width > 1)
        activation_forward<A, bpi_cuda_width<T>(), T>
            <<<grid_of(pass), block_of(pass), 0, stream>>>(z, bias, a, slope, keeps, pass.slice_rows);
    else
        activation_forward<A, 1, T>
            <<<grid_of(pass), block_of(pass), 0, stream>>>(z, bias, a, slope, keeps, pass.slice_rows);
}

template <typename T>
static cudaError_t run_forward(cudaStream_t stream, bpi_cuda_pass pass, bp_activation activation, float slope,
                               bpi_matrix z, const float *bias, bpi_matrix a)
{
    switch (activation) {
#define FORWARD_CASE(ENUM, name, saves_z)                                                                              \
    case BP_ACTIVATION_##ENUM:                                                                                         \
        launch<BP_ACTIVATION_##ENUM, T>(stream, pass, slope, z, bias, a);                                              \
        break;
        BP_ACTIVATION_LIST(FORWARD_CASE)
#undef FORWARD_CASE
    case BP_ACTIVATION_COUNT:
        return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}

extern "C" cudaError_t bpi_cuda_run_forward(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                            bp_activation activation, float slope, bpi_matrix z, const float *bias,
                                            bpi_matrix a)
{
    return type == BPI_TYPE_BF16 ? run_forward<bpi_cuda_bf16>(stream, pass, activation, slope, z, bias, a)
                                 : run_forward<float>(stream, pass, activation, slope, z, bias, a);
}
