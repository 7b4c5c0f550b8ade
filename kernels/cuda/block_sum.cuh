/* block_sum.cuh: one number out of the threads of a block, by a tree, so that the order is fixed. */
#ifndef BPI_CUDA_BLOCK_SUM_CUH
#define BPI_CUDA_BLOCK_SUM_CUH

#include "kernels/cuda/launch.h"

/* The sum over all BPI_CUDA_THREADS threads, the whole of it in thread 0 alone; `thread` counts them through the block.
 * All of them call it; `scratch` is shared memory that nothing else uses between two calls. */
template <typename T> __device__ __forceinline__ T block_sum(T value, T (&scratch)[BPI_CUDA_THREADS], int thread)
{
    __syncthreads();
    scratch[thread] = value;
    for (int half = BPI_CUDA_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half)
            scratch[thread] += scratch[thread + half];
    }
    return scratch[thread];
}

#endif
