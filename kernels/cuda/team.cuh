/* team.cuh: what the kernels that need whole rows share: a row belongs to a team of blockDim.x threads, see
 * bpi_cuda_teams in launch.h. */
#ifndef BPI_CUDA_TEAM_CUH
#define BPI_CUDA_TEAM_CUH

#include "kernels/cuda/block.cuh"

/* The rows of a slice. */
struct team_place {
    int64_t begin, end;
};

__device__ __forceinline__ team_place team_place_of(int64_t rows, int64_t slice_rows)
{
    const int64_t begin = (int64_t)blockIdx.y * slice_rows;
    const team_place place = {begin, begin + slice_rows < rows ? begin + slice_rows : rows};
    return place;
}

/* What a thread has in flight: of ROWS neighbouring rows each, CELLS times W columns; place p is of row p / CELLS. */
template <int CELLS> struct team_shape {
    static constexpr int W = 4, PLACES = BPI_CUDA_ROWS_IN_FLIGHT, ROWS = PLACES / CELLS;

    __device__ static __forceinline__ int row(int p)
    {
        return p / CELLS;
    }

    __device__ static __forceinline__ int64_t column(int c)
    {
        return (int64_t)(c * (int)blockDim.x + (int)threadIdx.x) * W;
    }

    /* The first of a thread's rows in a round, and the rows of a round of the block. */
    __device__ static __forceinline__ int64_t first(int64_t round)
    {
        return round + ROWS * (int64_t)threadIdx.y;
    }

    __device__ static __forceinline__ int64_t step()
    {
        return ROWS * (int64_t)blockDim.y;
    }

    /* As kept_rows, W bits a place. */
    __device__ static __forceinline__ uint32_t kept(const dropout_scalars &d, uint64_t stream, int64_t first,
                                                    int64_t cols)
    {
        uint32_t bits = 0;
#pragma unroll 1
        for (int p = 0; d.kept > 0.0f && p < PLACES; ++p)
            bits |= kept_bits<W>(d, stream, first + row(p), column(p % CELLS), cols) << W * p;
        return bits;
    }
};

/* N row vectors for the columns of a thread, each read once by the block: where a thread shares its columns with those
 * of other teams, through shared memory. All threads of the block call it. NULL: 0. */
template <int CELLS, int N>
__device__ __forceinline__ void read_vectors_of_team(const void *const (&vectors)[N], int64_t cols,
                                                     bpi_cuda_cells<4> (&cells)[N][CELLS])
{
    using shape = team_shape<CELLS>;
    if (CELLS > 1 || blockDim.y == 1) {
#pragma unroll
        for (int n = 0; n < N; ++n)
#pragma unroll
            for (int c = 0; c < CELLS; ++c)
                cells[n][c] = read_vector<4>(vectors[n], shape::column(c), cols);
        return;
    }
    __shared__ __align__(16) float staged[N * BPI_CUDA_THREADS / 2 * 4];
    const int lanes = (int)blockDim.x, thread = (int)threadIdx.y * lanes + (int)threadIdx.x;
    for (int at = thread; at < N * lanes; at += BPI_CUDA_THREADS) {
        const void *mine = nullptr;
#pragma unroll
        for (int n = 0; n < N; ++n)
            mine = at / lanes == n ? vectors[n] : mine;
        write_cells<4>(staged, 4 * at, 4 * at + 4, read_vector<4>(mine, 4 * (at % lanes), cols));
    }
    __syncthreads();
#pragma unroll
    for (int n = 0; n < N; ++n) {
        const int from = 4 * (n * lanes + (int)threadIdx.x);
        cells[n][0] = read_cells<4>(staged, from, from + 4);
    }
}

/* A value of each of ROWS neighbouring rows, of which lane k of the team's part of a warp reads the k-th; beyond the
 * end 0. All lanes of a warp call it. */
template <int ROWS>
__device__ __forceinline__ void read_of_rows(const void *vector, int64_t first, int64_t end, float (&values)[ROWS])
{
    const int within = (int)blockDim.x < BPI_CUDA_WARP ? (int)blockDim.x : BPI_CUDA_WARP;
    const int lane = (int)threadIdx.x % within;
    const float mine = lane < ROWS && first + lane < end ? static_cast<const float *>(vector)[first + lane] : 0.0f;
#pragma unroll
    for (int k = 0; k < ROWS; ++k)
        values[k] = __shfl_sync(0xffffffffu, mine, k, within);
}

/* The same the other way, by the first lanes of the team. */
template <int ROWS>
__device__ __forceinline__ void write_of_rows(void *vector, int64_t first, int64_t end, const float (&values)[ROWS])
{
    const int lane = (int)threadIdx.x;
    float mine = values[0];
#pragma unroll
    for (int k = 1; k < ROWS; ++k)
        mine = lane == k ? values[k] : mine;
    if (lane < ROWS && first + lane < end)
        static_cast<float *>(vector)[first + lane] = mine;
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
