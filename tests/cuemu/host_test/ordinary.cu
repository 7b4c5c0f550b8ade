// ordinary.cu: CUDA as people write it, with nothing that knows of cuemu.
#include <cooperative_groups.h>
#include <math_constants.h>

#include "ordinary.h"

namespace cg = cooperative_groups;

__constant__ float scale_of[4];
__device__ int launches;
__device__ const float coefficients[3] = {1.0f, 0.5f, 0.25f};

// also in ordinary_second.cu, with another body
static __global__ void elementwise(float *out, const float *a, const float *b, size_t n)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        out[i] = a[i] * b[i] * scale_of[i & 3];
    if (i == 0)
        atomicAdd(&launches, 1);
}

template <class T> __device__ T larger(T a, T b)
{
    return a > b ? a : b;
}

template <class T> __global__ void row_max(T *out, const T *x, int cols)
{
    extern __shared__ __align__(16) unsigned char raw[];
    T *best = reinterpret_cast<T *>(raw);
    T m = (T)-CUDART_INF;
    for (int c = (int)threadIdx.x; c < cols; c += (int)blockDim.x)
        m = larger(m, x[(size_t)blockIdx.x * cols + c]);
    best[threadIdx.x] = m;
    __syncthreads();
    for (unsigned width = blockDim.x / 2; width > 0; width /= 2) {
        if (threadIdx.x < width)
            best[threadIdx.x] = larger(best[threadIdx.x], best[threadIdx.x + width]);
        __syncthreads();
    }
    if (threadIdx.x == 0)
        out[blockIdx.x] = best[0];
}

static __global__ void tile_sum(float *out, const float *x, int n)
{
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<32> tile = cg::tiled_partition<32>(block);
    float sum = 0;
    for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < n; i += (int)(gridDim.x * blockDim.x))
        sum += x[i];
    for (int offset = tile.size() / 2; offset > 0; offset /= 2)
        sum += tile.shfl_down(sum, offset);
    if (tile.thread_rank() == 0)
        atomicAdd(out, sum);
}

__device__ __noinline__ float polynomial(float x, int degree)
{
    return degree == 0 ? coefficients[0] : coefficients[degree] + x * polynomial(x, degree - 1);
}

static __global__ void call(float *out, const float *x, int n)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n)
        out[i] = polynomial(x[i], 2);
}

static __global__ void __launch_bounds__(256) reverse(float *out, const float *x, int n)
{
    extern __shared__ float staged[];
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x)
        staged[i] = x[i];
    __syncthreads();
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x)
        out[i] = staged[n - 1 - i];
}

extern "C" {

cudaError_t ordinary_scale(float *out, const float *a, const float *b, size_t n, const float scale[4],
                           cudaStream_t stream)
{
    cudaError_t error = cudaMemcpyToSymbolAsync(scale_of, scale, 4 * sizeof(float), 0, cudaMemcpyHostToDevice, stream);
    if (error != cudaSuccess)
        return error;
    elementwise<<<(unsigned)((n + 127) / 128), 128, 0, stream>>>(out, a, b, n);
    return cudaGetLastError();
}

cudaError_t ordinary_launches(int *count)
{
    return cudaMemcpyFromSymbol(count, launches, sizeof *count);
}

cudaError_t ordinary_row_max_float(float *out, const float *x, int rows, int cols, cudaStream_t stream)
{
    row_max<float><<<rows, 128, 128 * sizeof(float), stream>>>(out, x, cols);
    return cudaGetLastError();
}

cudaError_t ordinary_row_max_double(double *out, const double *x, int rows, int cols, cudaStream_t stream)
{
    row_max<double><<<rows, 64, 64 * sizeof(double), stream>>>(out, x, cols);
    return cudaGetLastError();
}

cudaError_t ordinary_tile_sum(float *out, const float *x, int n, cudaStream_t stream)
{
    tile_sum<<<3, 96, 0, stream>>>(out, x, n);
    return cudaGetLastError();
}

cudaError_t ordinary_call(float *out, const float *x, int n, cudaStream_t stream)
{
    call<<<(n + 63) / 64, 64, 0, stream>>>(out, x, n);
    return cudaGetLastError();
}

cudaError_t ordinary_reverse(float *out, const float *x, int n, cudaStream_t stream)
{
    reverse<<<1, 256, n * sizeof(float), stream>>>(out, x, n);
    return cudaGetLastError();
}

cudaError_t ordinary_reverse_allow(int bytes)
{
    return cudaFuncSetAttribute(reverse, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

cudaError_t ordinary_occupancy(int *blocks, int block_size)
{
    return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, reverse, block_size, 0);
}

cudaError_t ordinary_attributes(struct cudaFuncAttributes *attributes)
{
    return cudaFuncGetAttributes(attributes, reverse);
}
}
