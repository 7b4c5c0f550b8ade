/* team.cuh: what the kernels that need whole rows share: a row belongs to a team of blockDim.x threads, see
 * bpi_cuda_teams in launch.h. */
#ifndef BPI_CUDA_TEAM_CUH
#define BPI_CUDA_TEAM_CUH

#include "kernels/cuda/block.cuh"

/* The rows of a slice; a thread's are begin + threadIdx.y and every blockDim.y-th that follows. */
struct team_place {
    int64_t begin, end;
};

__device__ __forceinline__ team_place team_place_of(int64_t rows, int64_t slice_rows)
{
    const int64_t begin = (int64_t)blockIdx.y * slice_rows;
    const team_place place = {begin, begin + slice_rows < rows ? begin + slice_rows : rows};
    return place;
}

/* N sums over the team, the same bits in each of its threads: warps by trees of shuffles, then one after the other. All
 * threads of the block call it. */
template <int N> __device__ __forceinline__ void team_sum(float (&values)[N])
{
    __shared__ float warps[BPI_CUDA_THREADS / BPI_CUDA_WARP][N];
    const int lanes = (int)blockDim.x, within = lanes < BPI_CUDA_WARP ? lanes : BPI_CUDA_WARP;
    for (int distance = within / 2; distance > 0; distance /= 2)
#pragma unroll
        for (int n = 0; n < N; ++n)
            values[n] += __shfl_xor_sync(0xffffffffu, values[n], distance);
    if (lanes <= BPI_CUDA_WARP)
        return;
    const int thread = (int)threadIdx.y * lanes + (int)threadIdx.x, first = (int)threadIdx.y * lanes / BPI_CUDA_WARP;
    __syncthreads(); /* nobody reads what the sum before left */
    if (thread % BPI_CUDA_WARP == 0)
#pragma unroll
        for (int n = 0; n < N; ++n)
            warps[thread / BPI_CUDA_WARP][n] = values[n];
    __syncthreads();
#pragma unroll
    for (int n = 0; n < N; ++n) {
        values[n] = warps[first][n];
        for (int w = 1; w < lanes / BPI_CUDA_WARP; ++w)
            values[n] += warps[first + w][n];
    }
}

static inline dim3 grid_of(const bpi_cuda_teams &teams)
{
    return dim3(1, (unsigned)teams.slices);
}

static inline dim3 block_of(const bpi_cuda_teams &teams)
{
    return dim3((unsigned)teams.lanes, (unsigned)teams.groups);
}

#endif
