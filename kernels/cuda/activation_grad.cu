/* activation_grad.cu: delta = d_a f'(z) with the first stage of the bias gradient, and the stand-alone derivative. */
#include "kernels/cuda/pass.cuh"
#include "kernels/math/activation_of.h"

/* activation_backward: see ops.h; the second stage of d_b is column_sums_finish.
 * grid   (tiles, slices) of bpi_cuda_pass_of, block (lanes, groups): a warp reads 512 neighbouring bytes of a row
 * moves  reads 8BO bytes, writes 4BO and 4 slices O; shared 4 KiB; bound by memory
 * order  a thread adds its rows from the first on, a block its groups by a tree: fixed by (B, O); no atomics
 * edges  O not a multiple of 4: the last thread of a row takes single elements; idle lanes add 0 and write nothing */
template <bp_activation A, int W>
BPI_CUDA_KERNEL activation_backward(bpi_matrix saved, bpi_matrix d_a, bpi_matrix delta, float slope, float *partials,
                                    int64_t sums_ld, int64_t slice_rows)
{
    const bpi_cuda_place place = place_of<W>(delta.rows, slice_rows);
    const int64_t o = place.column, cols = delta.cols;
    bpi_cuda_cells<W> sums = {};
    for (int64_t first = place.first; o < cols && first < place.end; first += BPI_CUDA_ROWS_IN_FLIGHT * place.step) {
        bpi_cuda_cells<W> s[BPI_CUDA_ROWS_IN_FLIGHT], error[BPI_CUDA_ROWS_IN_FLIGHT];
#pragma unroll
        for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k)
            if (first + k * place.step < place.end) {
                s[k] = read_cells<W>(row_of(saved, first + k * place.step), o, cols);
                error[k] = read_cells<W>(row_of(d_a, first + k * place.step), o, cols);
            }
#pragma unroll
        for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k) {
            const int64_t row = first + k * place.step;
            if (row >= place.end)
                break;
#pragma unroll
            for (int i = 0; i < W; ++i) {
                error[k].v[i] *= bpi_activation_grad_of(A, slope, s[k].v[i]);
                sums.v[i] += error[k].v[i];
            }
            write_cells<W>(row_to(delta, row), o, cols, error[k]);
        }
    }
    if (partials)
        sum_over_groups<W>(sums, o, cols, partials, sums_ld);
}

/* activation_derivative: f'(z), see ops.h.
 * grid   (tiles, slices) of bpi_cuda_pass_of, block (lanes, groups)
 * moves  reads 4BO bytes, writes 4BO; bound by memory
 * order  element by element
 * edges  as activation_backward */
template <bp_activation A, int W>
BPI_CUDA_KERNEL activation_derivative(bpi_matrix saved, bpi_matrix derivative, float slope, int64_t slice_rows)
{
    const bpi_cuda_place place = place_of<W>(saved.rows, slice_rows);
    const int64_t o = place.column, cols = saved.cols;
    if (o >= cols)
        return;
    for (int64_t first = place.first; first < place.end; first += BPI_CUDA_ROWS_IN_FLIGHT * place.step) {
        bpi_cuda_cells<W> s[BPI_CUDA_ROWS_IN_FLIGHT];
#pragma unroll
        for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k)
            if (first + k * place.step < place.end)
                s[k] = read_cells<W>(row_of(saved, first + k * place.step), o, cols);
#pragma unroll
        for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k) {
            if (first + k * place.step >= place.end)
                break;
#pragma unroll
            for (int i = 0; i < W; ++i)
                s[k].v[i] = bpi_activation_grad_of(A, slope, s[k].v[i]);
            write_cells<W>(row_to(derivative, first + k * place.step), o, cols, s[k]);
        }
    }
}

template <bp_activation A, int W>
static void launch_backward(cudaStream_t stream, const bpi_cuda_pass &pass, const bpi_activation_args &args,
                            float *partials)
{
    activation_backward<A, W><<<grid_of(pass), block_of(pass), 0, stream>>>(
        args.saved, args.d_a, args.delta, args.slope, partials, bpi_cuda_sums_ld(args.delta.cols), pass.slice_rows);
}

extern "C" cudaError_t bpi_cuda_run_backward(cudaStream_t stream, bpi_cuda_pass pass, const bpi_activation_args *args,
                                             float *partials)
{
    switch (args->activation) {
#define BACKWARD_CASE(ENUM, name, saves_z)                                                                             \
    case BP_ACTIVATION_##ENUM:                                                                                         \
        if (pass.width == 4)                                                                                           \
            launch_backward<BP_ACTIVATION_##ENUM, 4>(stream, pass, *args, partials);                                   \
        else                                                                                                           \
            launch_backward<BP_ACTIVATION_##ENUM, 1>(stream, pass, *args, partials);                                   \
        break;
        BP_ACTIVATION_LIST(BACKWARD_CASE)
#undef BACKWARD_CASE
    case BP_ACTIVATION_COUNT:
        return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}

template <bp_activation A, int W>
static void launch_derivative(cudaStream_t stream, const bpi_cuda_pass &pass, float slope, bpi_matrix saved,
                              bpi_matrix derivative)
{
    activation_derivative<A, W>
        <<<grid_of(pass), block_of(pass), 0, stream>>>(saved, derivative, slope, pass.slice_rows);
}

extern "C" cudaError_t bpi_cuda_run_derivative(cudaStream_t stream, bpi_cuda_pass pass, bp_activation activation,
                                               float slope, bpi_matrix saved, bpi_matrix derivative)
{
    switch (activation) {
#define DERIVATIVE_CASE(ENUM, name, saves_z)                                                                           \
    case BP_ACTIVATION_##ENUM:                                                                                         \
        if (pass.width == 4)                                                                                           \
            launch_derivative<BP_ACTIVATION_##ENUM, 4>(stream, pass, slope, saved, derivative);                        \
        else                                                                                                           \
            launch_derivative<BP_ACTIVATION_##ENUM, 1>(stream, pass, slope, saved, derivative);                        \
        break;
        BP_ACTIVATION_LIST(DERIVATIVE_CASE)
#undef DERIVATIVE_CASE
    case BP_ACTIVATION_COUNT:
        return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}
