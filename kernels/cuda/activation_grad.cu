/* activation_grad.cu: delta = d_a f'(z) with the first stage of the bias gradient, and the stand-alone derivative. */
#include "kernels/cuda/pass.cuh"
#include "kernels/math/activation_of.h"

/* activation_backward: see ops.h; the second stage of d_b is column_sums_finish. `saved` wide beside delta in bf16, in
 * the last layer alone: single elements, as 8 of both types would not do with the registers.
 * grid   (tiles, slices) of bpi_cuda_pass_of, block (lanes, groups): 8 lanes read 128 neighbouring bytes of a row
 * moves  reads (s of S + s of T)BO bytes, writes (s of T)BO, s = 4 or 2, and 4 slices O; shared W KiB; bound by memory
 * order  a thread adds its rows from the first on, a block its groups by a tree: fixed by (B, O); no atomics
 * edges  O not a multiple of W: the last thread of a row takes single elements; idle lanes add 0 and write nothing */
template <bp_activation A, int W, typename S, typename T>
BPI_CUDA_KERNEL activation_backward(bpi_matrix saved, bpi_matrix d_a, bpi_matrix delta, float slope, float *partials,
                                    int64_t sums_ld, int64_t slice_rows)
{
    constexpr int ahead = bpi_cuda_rows_ahead<W>();
    const bpi_cuda_place place = place_of<W>(delta.rows, slice_rows);
    const int64_t o = place.column, cols = delta.cols;
    bpi_cuda_cells<W> sums = {};
    for (int64_t first = place.first; o < cols && first < place.end; first += ahead * place.step) {
        bpi_cuda_stored<W, S> s[ahead];
        bpi_cuda_stored<W, T> d_out[ahead];
#pragma unroll
        for (int k = 0; k < ahead; ++k)
            if (first + k * place.step < place.end) {
                s[k] = read_stored<W>(row_of<S>(saved, first + k * place.step), o, cols);
                d_out[k] = read_stored<W>(row_of<T>(d_a, first + k * place.step), o, cols);
            }
#pragma unroll
        for (int k = 0; k < ahead; ++k) {
            const int64_t row = first + k * place.step;
            if (row >= place.end)
                break;
            bpi_cuda_cells<W> error;
#pragma unroll
            for (int i = 0; i < W; ++i) {
                error.v[i] = d_out[k].at(i) * bpi_activation_grad_of(A, slope, s[k].at(i));
                sums.v[i] += error.v[i];
            }
            write_cells<W>(row_to<T>(delta, row), o, cols, error);
        }
    }
    if (partials)
        sum_over_groups<W>(sums, o, cols, partials, sums_ld);
}

/* activation_derivative: f'(z), see ops.h.
 * grid   (tiles, slices) of bpi_cuda_pass_of, block (lanes, groups)
 * moves  reads sBO bytes, writes sBO, s = 4 or 2 of T; bound by memory
 * order  element by element
 * edges  as activation_backward */
template <bp_activation A, int W, typename T>
BPI_CUDA_KERNEL activation_derivative(bpi_matrix saved, bpi_matrix derivative, float slope, int64_t slice_rows)
{
    constexpr int ahead = bpi_cuda_rows_ahead<W>();
    const bpi_cuda_place place = place_of<W>(saved.rows, slice_rows);
    const int64_t o = place.column, cols = saved.cols;
    if (o >= cols)
        return;
    for (int64_t first = place.first; first < place.end; first += ahead * place.step) {
        bpi_cuda_stored<W, T> s[ahead];
#pragma unroll
        for (int k = 0; k < ahead; ++k)
            if (first + k * place.step < place.end)
                s[k] = read_stored<W>(row_of<T>(saved, first + k * place.step), o, cols);
#pragma unroll
        for (int k = 0; k < ahead; ++k) {
            if (first + k * place.step >= place.end)
                break;
            bpi_cuda_cells<W> slopes;
#pragma unroll
            for (int i = 0; i < W; ++i)
                slopes.v[i] = bpi_activation_grad_of(A, slope, s[k].at(i));
            write_cells<W>(row_to<T>(derivative, first + k * place.step), o, cols, slopes);
        }
    }
}

template <bp_activation A, typename S, typename T>
static void launch_backward(cudaStream_t stream, const bpi_cuda_pass &pass, const bpi_activation_args &args,
                            float *partials)
{
    constexpr int widest = sizeof(S) == sizeof(T) ? bpi_cuda_width<T>() : 1;
    const int64_t ld = bpi_cuda_sums_ld(args.delta.cols);
    if (pass.width > 1)
        activation_backward<A, widest, S, T><<<grid_of(pass), block_of(pass), 0, stream>>>(
            args.saved, args.d_a, args.delta, args.slope, partials, ld, pass.slice_rows);
    else
        activation_backward<A, 1, S, T><<<grid_of(pass), block_of(pass), 0, stream>>>(
            args.saved, args.d_a, args.delta, args.slope, partials, ld, pass.slice_rows);
}

template <typename S, typename T>
static cudaError_t run_backward(cudaStream_t stream, const bpi_cuda_pass &pass, const bpi_activation_args &args,
                                float *partials)
{
    switch (args.activation) {
#define BACKWARD_CASE(ENUM, name, saves_z)                                                                             \
    case BP_ACTIVATION_##ENUM:                                                                                         \
        launch_backward<BP_ACTIVATION_##ENUM, S, T>(stream, pass, args, partials);                                     \
        break;
        BP_ACTIVATION_LIST(BACKWARD_CASE)
#undef BACKWARD_CASE
    case BP_ACTIVATION_COUNT:
        return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}

extern "C" cudaError_t bpi_cuda_run_backward(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                             const bpi_activation_args *args, float *partials)
{
    if (type != BPI_TYPE_BF16)
        return run_backward<float, float>(stream, pass, *args, partials);
    return args->wide ? run_backward<float, bpi_cuda_bf16>(stream, pass, *args, partials)
                      : run_backward<bpi_cuda_bf16, bpi_cuda_bf16>(stream, pass, *args, partials);
}

template <bp_activation A, typename T>
static void launch_derivative(cudaStream_t stream, const bpi_cuda_pass &pass, float slope, bpi_matrix saved,
                              bpi_matrix derivative)
{
    if (pass.width > 1)
        activation_derivative<A, bpi_cuda_width<T>(), T>
            <<<grid_of(pass), block_of(pass), 0, stream>>>(saved, derivative, slope, pass.slice_rows);
    else
        activation_derivative<A, 1, T>
            <<<grid_of(pass), block_of(pass), 0, stream>>>(saved, derivative, slope, pass.slice_rows);
}

template <typename T>
static cudaError_t run_derivative(cudaStream_t stream, const bpi_cuda_pass &pass, bp_activation activation, float slope,
                                  bpi_matrix saved, bpi_matrix derivative)
{
    switch (activation) {
#define DERIVATIVE_CASE(ENUM, name, saves_z)                                                                           \
    case BP_ACTIVATION_##ENUM:                                                                                         \
        launch_derivative<BP_ACTIVATION_##ENUM, T>(stream, pass, slope, saved, derivative);                            \
        break;
        BP_ACTIVATION_LIST(DERIVATIVE_CASE)
#undef DERIVATIVE_CASE
    case BP_ACTIVATION_COUNT:
        return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}

extern "C" cudaError_t bpi_cuda_run_derivative(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                               bp_activation activation, float slope, bpi_matrix saved,
                                               bpi_matrix derivative)
{
    return type == BPI_TYPE_BF16 ? run_derivative<bpi_cuda_bf16>(stream, pass, activation, slope, saved, derivative)
                                 : run_derivative<float>(stream, pass, activation, slope, saved, derivative);
}
