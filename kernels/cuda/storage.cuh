/* storage.cuh: elements of activation arrays in the type that they are stored in, f32 or bf16, read and written as f32.
 * A kernel is a template over that type T; it computes in f32, and a value is rounded once, where it is written.
 *
 * Rows start on 16 bytes where W is bpi_cuda_width<T>(): then W neighbouring elements are one access. Else W is 1. */
#ifndef BPI_CUDA_STORAGE_CUH
#define BPI_CUDA_STORAGE_CUH

#include <stdint.h>

#include "kernels/cuda/launch.h"
#include "kernels/math/bf16.h"

/* A type of its own: no arithmetic on the bits can happen by mistake. */
struct bpi_cuda_bf16 {
    uint16_t bits;
};

/* Elements in 16 bytes. */
template <typename T> __host__ __device__ constexpr int bpi_cuda_width()
{
    return 16 / (int)sizeof(T);
}

/* Rows that a thread loads before it works on the first: as much work in flight at any W, and code of one size. */
template <int W> __host__ __device__ constexpr int bpi_cuda_rows_ahead()
{
    return W > 4 ? BPI_CUDA_ROWS_IN_FLIGHT * 4 / W : BPI_CUDA_ROWS_IN_FLIGHT;
}

/* ---- one element ---- */

__device__ __forceinline__ float float_of(float element)
{
    return element;
}

__device__ __forceinline__ float float_of(bpi_cuda_bf16 element)
{
    return bpi_float_from_bf16(element.bits);
}

/* One instruction where there is one; the same bits, but for the payload of a NaN. */
__device__ __forceinline__ uint16_t bf16_bits_of(float value)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    uint16_t bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
#else
    return bpi_bf16_from_float(value);
#endif
}

__device__ __forceinline__ void put(float *element, float value)
{
    *element = value;
}

__device__ __forceinline__ void put(bpi_cuda_bf16 *element, float value)
{
    element->bits = bf16_bits_of(value);
}

/* What a reader of the element will find: the value itself, or the value rounded. */
template <typename T> __device__ __forceinline__ float as_stored(float value)
{
    return sizeof(T) == sizeof(float) ? value : bpi_float_from_bf16(bf16_bits_of(value));
}

/* Two elements in a word, the first in its low half, where it lies lower in memory. */
__device__ __forceinline__ uint32_t bf16_pair_of(float first, float second)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
#else
    return (uint32_t)bpi_bf16_from_float(first) | (uint32_t)bpi_bf16_from_float(second) << 16;
#endif
}

/* ---- W neighbouring elements ---- */

/* As f32. */
template <int W> struct bpi_cuda_cells {
    float v[W];
};

/* As they lie in memory: what is loaded ahead takes no more registers than bytes. */
template <int W, typename T> struct bpi_cuda_stored {
    float v[W];

    __device__ __forceinline__ float at(int i) const
    {
        return v[i];
    }
};

template <int W> struct bpi_cuda_stored<W, bpi_cuda_bf16> {
    uint32_t words[(W + 1) / 2];

    __device__ __forceinline__ float at(int i) const
    {
        return bpi_float_from_bits(i % 2 ? words[i / 2] & 0xffff0000u : words[i / 2] << 16);
    }
};

/* Columns o .. o + W - 1 of a row, which begin inside it; beyond it 0. */
template <int W>
__device__ __forceinline__ bpi_cuda_stored<W, float> read_stored(const float *row, int64_t o, int64_t cols)
{
    bpi_cuda_stored<W, float> stored;
    if (W % 4 == 0 && o + W <= cols) {
#pragma unroll
        for (int q = 0; q < W / 4; ++q) {
            const float4 quad = reinterpret_cast<const float4 *>(row + o)[q];
            stored.v[(4 * q) % W] = quad.x;
            stored.v[(4 * q + 1) % W] = quad.y;
            stored.v[(4 * q + 2) % W] = quad.z;
            stored.v[(4 * q + 3) % W] = quad.w;
        }
        return stored;
    }
#pragma unroll
    for (int i = 0; i < W; ++i)
        stored.v[i] = o + i < cols ? row[o + i] : 0.0f;
    return stored;
}

template <int W>
__device__ __forceinline__ bpi_cuda_stored<W, bpi_cuda_bf16> read_stored(const bpi_cuda_bf16 *row, int64_t o,
                                                                         int64_t cols)
{
    static_assert(W == 1 || W == 4 || W == 8, "an element, 8 bytes or 16");
    bpi_cuda_stored<W, bpi_cuda_bf16> stored;
    constexpr int words = (W + 1) / 2;
    if (W == 4 && o + W <= cols) {
        const uint2 pair = *reinterpret_cast<const uint2 *>(row + o);
        stored.words[0] = pair.x;
        stored.words[1 % words] = pair.y;
        return stored;
    }
    if (W == 8 && o + W <= cols) {
        const uint4 quad = *reinterpret_cast<const uint4 *>(row + o);
        stored.words[0] = quad.x;
        stored.words[1 % words] = quad.y;
        stored.words[2 % words] = quad.z;
        stored.words[3 % words] = quad.w;
        return stored;
    }
#pragma unroll
    for (int i = 0; i < words; ++i) {
        const uint32_t low = o + 2 * i < cols ? row[o + 2 * i].bits : 0;
        const uint32_t high = W > 1 && o + 2 * i + 1 < cols ? row[o + 2 * i + 1].bits : 0;
        stored.words[i] = low | high << 16;
    }
    return stored;
}

template <int W, typename T> __device__ __forceinline__ bpi_cuda_cells<W> cells_of(const bpi_cuda_stored<W, T> &stored)
{
    bpi_cuda_cells<W> cells;
#pragma unroll
    for (int i = 0; i < W; ++i)
        cells.v[i] = stored.at(i);
    return cells;
}

template <int W, typename T>
__device__ __forceinline__ bpi_cuda_cells<W> read_cells(const T *row, int64_t o, int64_t cols)
{
    return cells_of(read_stored<W>(row, o, cols));
}

template <int W>
__device__ __forceinline__ void write_cells(float *row, int64_t o, int64_t cols, const bpi_cuda_cells<W> &cells)
{
    if (W % 4 == 0 && o + W <= cols) {
#pragma unroll
        for (int q = 0; q < W / 4; ++q)
            reinterpret_cast<float4 *>(row + o)[q] = make_float4(cells.v[(4 * q) % W], cells.v[(4 * q + 1) % W],
                                                                 cells.v[(4 * q + 2) % W], cells.v[(4 * q + 3) % W]);
        return;
    }
#pragma unroll
    for (int i = 0; i < W; ++i)
        if (o + i < cols)
            row[o + i] = cells.v[i];
}

template <int W>
__device__ __forceinline__ void write_cells(bpi_cuda_bf16 *row, int64_t o, int64_t cols, const bpi_cuda_cells<W> &cells)
{
    static_assert(W == 1 || W == 4 || W == 8, "an element, 8 bytes or 16");
    if (W == 4 && o + W <= cols) {
        *reinterpret_cast<uint2 *>(row + o) =
            make_uint2(bf16_pair_of(cells.v[0], cells.v[1 % W]), bf16_pair_of(cells.v[2 % W], cells.v[3 % W]));
        return;
    }
    if (W == 8 && o + W <= cols) {
        *reinterpret_cast<uint4 *>(row + o) =
            make_uint4(bf16_pair_of(cells.v[0], cells.v[1 % W]), bf16_pair_of(cells.v[2 % W], cells.v[3 % W]),
                       bf16_pair_of(cells.v[4 % W], cells.v[5 % W]), bf16_pair_of(cells.v[6 % W], cells.v[7 % W]));
        return;
    }
#pragma unroll
    for (int i = 0; i < W; ++i)
        if (o + i < cols)
            put(&row[o + i], cells.v[i]);
}

#endif
