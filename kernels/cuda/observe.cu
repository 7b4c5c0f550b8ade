/* observe.cu: what an observed step is looked at for: units that are off, and sums by tensor of the gradients and of
 * what the update did. The contract: ops.h observe_units, observe_gradients, observe_update. */
#include <stddef.h>

#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/pass.cuh"
#include "kernels/math/clip.h"

/* ---- units ---- */

__device__ __forceinline__ bool is_off(bp_activation activation, float a)
{
    if (activation == BP_ACTIVATION_RELU)
        return a == 0.0f;
    if (activation == BP_ACTIVATION_TANH)
        return fabsf(a) > BPI_SATURATED_TANH;
    return a < BPI_SATURATED_SIGMOID || a > 1.0f - BPI_SATURATED_SIGMOID;
}

/* units_off: partial counts of units that are off, as floats: a slice has far fewer than 2^24 rows.
 * grid   (tiles, slices) of bpi_cuda_pass_of, block (lanes, groups): 8 lanes read 128 neighbouring bytes of a row
 * moves  reads sBO bytes, s = 4 or 2 of T, writes 4 slices O; shared W KiB; bound by memory
 * order  counts are exact: none
 * edges  O not a multiple of W: the last thread of a row takes single elements; idle lanes count 0 and write nothing */
template <int W, typename T>
BPI_CUDA_KERNEL units_off(bp_activation activation, bpi_matrix a, float *partials, int64_t sums_ld, int64_t slice_rows)
{
    constexpr int ahead = bpi_cuda_rows_ahead<W>();
    const bpi_cuda_place place = place_of<W>(a.rows, slice_rows);
    const int64_t o = place.column, cols = a.cols;
    bpi_cuda_cells<W> counts = {};
    for (int64_t first = place.first; o < cols && first < place.end; first += ahead * place.step) {
        bpi_cuda_stored<W, T> cells[ahead];
#pragma unroll
        for (int k = 0; k < ahead; ++k)
            if (first + k * place.step < place.end)
                cells[k] = read_stored<W>(row_of<T>(a, first + k * place.step), o, cols);
#pragma unroll
        for (int k = 0; k < ahead; ++k)
            if (first + k * place.step < place.end)
#pragma unroll
                for (int i = 0; i < W; ++i)
                    counts.v[i] += is_off(activation, cells[k].at(i)) ? 1.0f : 0.0f;
    }
    sum_over_groups<W>(counts, o, cols, partials, sums_ld);
}

/* units_finish: counts[o] = (accumulate ? counts[o] : 0) + the sum of `parts` rows of partials.
 * grid   (ceil(O/256)), block (256): a warp reads 128 neighbouring bytes of each row
 * moves  reads 4 parts O bytes, writes 8O; small beside the pass before it
 * order  whole numbers: none
 * edges  O not a multiple of 256: idle threads */
BPI_CUDA_KERNEL units_finish(const float *partials, int64_t parts, int64_t cols, int64_t sums_ld, bool accumulate,
                             int64_t *counts)
{
    const int64_t o = (int64_t)blockIdx.x * BPI_CUDA_THREADS + threadIdx.x;
    if (o >= cols)
        return;
    int64_t count = accumulate ? counts[o] : 0;
    for (int64_t part = 0; part < parts; ++part)
        count += (int64_t)partials[part * sums_ld + o];
    counts[o] = count;
}

template <typename T>
static void launch(cudaStream_t stream, const bpi_cuda_pass &pass, bp_activation activation, bpi_matrix a,
                   float *partials)
{
    const int64_t ld = bpi_cuda_sums_ld(a.cols);
    if (pass.width > 1)
        units_off<bpi_cuda_width<T>(), T>
            <<<grid_of(pass), block_of(pass), 0, stream>>>(activation, a, partials, ld, pass.slice_rows);
    else
        units_off<1, T><<<grid_of(pass), block_of(pass), 0, stream>>>(activation, a, partials, ld, pass.slice_rows);
}

extern "C" cudaError_t bpi_cuda_run_observe_units(cudaStream_t stream, bpi_cuda_pass pass, bpi_type type,
                                                  bp_activation activation, bpi_matrix a, bool accumulate,
                                                  float *partials, int64_t *counts)
{
    if (type == BPI_TYPE_BF16)
        launch<bpi_cuda_bf16>(stream, pass, activation, a, partials);
    else
        launch<float>(stream, pass, activation, a, partials);
    const cudaError_t code = cudaGetLastError();
    if (code != cudaSuccess)
        return code;
    const unsigned blocks = (unsigned)((a.cols + BPI_CUDA_THREADS - 1) / BPI_CUDA_THREADS);
    const int64_t ld = bpi_cuda_sums_ld(a.cols);
    units_finish<<<blocks, BPI_CUDA_THREADS, 0, stream>>>(partials, pass.slices, a.cols, ld, accumulate, counts);
    return cudaGetLastError();
}

/* ---- sums by tensor ---- */

/* What a thread, a block or a tensor adds up to: two sums, and what is counted of gradients. */
struct tensor_part {
    double first, second;
    double largest;
    int64_t zeros, nonfinite;
};

__device__ __forceinline__ void add(tensor_part &to, const tensor_part &more)
{
    to.first += more.first;
    to.second += more.second;
    to.largest = more.largest > to.largest ? more.largest : to.largest;
    to.zeros += more.zeros;
    to.nonfinite += more.nonfinite;
}

/* The sum over the threads of a block by a tree, in thread 0; all of them call it. */
__device__ static tensor_part sum_of_parts(const tensor_part &mine, tensor_part (&scratch)[BPI_CUDA_THREADS])
{
    const int thread = (int)threadIdx.x;
    __syncthreads();
    scratch[thread] = mine;
    for (int half = BPI_CUDA_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half)
            add(scratch[thread], scratch[thread + half]);
    }
    return scratch[thread];
}

/* The gradients, and on the way the sum and the flag of square_sums (update.cu), element by element in its order. */
struct gradient_look {
    const float *gradients;
    int64_t count;
    float clip_value;
    double sum;
    float probe;

    __device__ __forceinline__ void take(int64_t at, tensor_part &part)
    {
        const bpi_cuda_cells<4> g = read_cells<4>(gradients, at, count);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const double clipped = (double)bpi_clip_by_value(g.v[i], clip_value), value = (double)g.v[i];
            const bool finite = g.v[i] * 0.0f == 0.0f;
            probe += g.v[i] * 0.0f;
            sum += clipped * clipped;
            part.zeros += g.v[i] == 0.0f;
            part.nonfinite += !finite;
            part.first += finite ? value * value : 0.0;
            part.second += finite ? value : 0.0;
            part.largest = finite && fabs(value) > part.largest ? fabs(value) : part.largest;
        }
    }
};

/* Parameters before and after an update. */
struct move_look {
    const float *before, *after;
    int64_t count;

    __device__ __forceinline__ void take(int64_t at, tensor_part &part)
    {
        const bpi_cuda_cells<4> old = read_cells<4>(before, at, count), now = read_cells<4>(after, at, count);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const double weight = (double)old.v[i], move = (double)now.v[i] - weight;
            part.first += weight * weight;
            part.second += move * move;
        }
    }
};

/* The block's part, which its first thread has left, by 5 lanes: one would take a sector for each of its words. All
 * threads of the block call it. */
__device__ __forceinline__ void put_part(const tensor_part &part, tensor_part *to)
{
    constexpr int WORDS = 5;
    static_assert(sizeof part == WORDS * sizeof(int64_t), "first, second, largest, zeros, nonfinite");
    if (threadIdx.x >= BPI_CUDA_WARP)
        return;
    __syncwarp();
    const int64_t words[WORDS] = {__double_as_longlong(part.first), __double_as_longlong(part.second),
                                  __double_as_longlong(part.largest), part.zeros, part.nonfinite};
    int64_t mine = words[0];
#pragma unroll
    for (int w = 1; w < WORDS; ++w)
        mine = (int)threadIdx.x == w ? words[w] : mine;
    if (threadIdx.x < WORDS)
        reinterpret_cast<int64_t *>(to)[threadIdx.x] = mine;
}

/* How a block walks: rows of 4 elements a thread, one for each block in turn. */
struct block_walk {
    int64_t row, step, start;

    /* Whether a row of the block has elements of a tensor. */
    __device__ __forceinline__ bool meets(int64_t offset, int64_t end) const
    {
        const int64_t rows_before = offset < start + row ? 0 : (offset - start - row) / step + 1;
        return start + rows_before * step < end;
    }
};

__device__ __forceinline__ block_walk walk_of(int64_t block, int64_t blocks)
{
    const int64_t row = 4 * BPI_CUDA_THREADS;
    return {row, blocks * row, block * row};
}

/* Walks over the whole array as square_sums does, tensor by tensor: pieces [tensors, gridDim.x], of the tensors that
 * the block meets. A thread's place moves on through all of them, as they follow one another without a gap. The block
 * reads the ranges once, RANGES at a time, as words of which neighbouring threads take neighbouring ones. */
template <typename LOOK>
__device__ __forceinline__ void walk(LOOK &look, const bpi_observed_range *ranges, int64_t tensors, tensor_part *pieces)
{
    constexpr int RANGES = BPI_CUDA_THREADS / 2;
    __shared__ tensor_part scratch[BPI_CUDA_THREADS];
    __shared__ int64_t words[2 * RANGES]; /* offset, count, offset, ... */
    static_assert(sizeof *ranges == 2 * sizeof *words && offsetof(bpi_observed_range, count) == sizeof *words, "words");
    const block_walk here = walk_of(blockIdx.x, gridDim.x);
    const int64_t *const all = reinterpret_cast<const int64_t *>(ranges);
    int64_t at = here.start + 4 * (int64_t)threadIdx.x;
    for (int64_t t = 0; t < tensors; ++t) {
        const int k = (int)(t % RANGES);
        if (k == 0) {
            __syncthreads(); /* the ranges before are done with */
            if (2 * t + threadIdx.x < 2 * tensors)
                words[threadIdx.x] = all[2 * t + threadIdx.x];
            __syncthreads();
        }
        const int64_t offset = words[2 * k], end = offset + words[2 * k + 1];
        if (!here.meets(offset, end)) /* the same in all threads of the block */
            continue;
        tensor_part mine = {};
        for (; at < end; at += here.step)
            look.take(at, mine);
        sum_of_parts(mine, scratch);
        put_part(scratch[0], &pieces[t * gridDim.x + blockIdx.x]);
    }
}

/* gradient_sums: what square_sums does, with the same bits, and partial sums by tensor.
 * grid   (bpi_cuda_blocks_of count), block (256): a warp reads 512 neighbouring bytes
 * moves  reads 4 count bytes, and 16 tensors a block, writes 16 a block, and 40 for each tensor that it meets; shared
 *        12 KiB + 4 KiB; bound by memory, with many small tensors by the tree that each of them takes
 * order  a thread's elements in ascending order, threads by a tree: fixed by count and the tensors' sizes
 * edges  tensors begin and end on quads */
BPI_CUDA_KERNEL gradient_sums(gradient_look look, const bpi_observed_range *ranges, int64_t tensors,
                              tensor_part *pieces, bpi_cuda_square_sum *partials)
{
    __shared__ double sums[BPI_CUDA_THREADS];
    __shared__ int64_t flags[BPI_CUDA_THREADS];
    walk(look, ranges, tensors, pieces);
    const int thread = (int)threadIdx.x;
    const double sum = block_sum(look.sum, sums, thread);
    const int64_t nonfinite = block_sum<int64_t>(!(look.probe == 0.0f), flags, thread);
    if (thread == 0) {
        partials[blockIdx.x].value = sum;
        partials[blockIdx.x].nonfinite = nonfinite;
    }
}

/* move_sums: partial sums by tensor of squares of parameters before an update, and of what it added to them.
 * grid, block, order, edges as gradient_sums; moves: reads 8 count bytes, and 16 tensors a block, writes 40 for each
 * tensor that a block meets; shared 12 KiB */
BPI_CUDA_KERNEL move_sums(move_look look, const bpi_observed_range *ranges, int64_t tensors, tensor_part *pieces)
{
    walk(look, ranges, tensors, pieces);
}

/* tensor_finish: a tensor's sums out of those of the blocks that met it.
 * grid   (tensors), block (256): a thread takes every 256th block
 * moves  40 bytes of each of these blocks; shared 10 KiB; small beside the pass before it
 * order  each thread from its first on, then a tree: fixed by the number of blocks
 * edges  fewer blocks than threads: the others add 0 */
template <bool MOVES>
BPI_CUDA_KERNEL tensor_finish(const tensor_part *pieces, const bpi_observed_range *ranges, int64_t blocks,
                              bpi_tensor_sums *sums)
{
    __shared__ tensor_part scratch[BPI_CUDA_THREADS];
    const int64_t offset = ranges[blockIdx.x].offset, end = offset + ranges[blockIdx.x].count;
    tensor_part part = {};
    for (int64_t b = threadIdx.x; b < blocks; b += BPI_CUDA_THREADS)
        if (walk_of(b, blocks).meets(offset, end))
            add(part, pieces[blockIdx.x * blocks + b]);
    part = sum_of_parts(part, scratch);
    if (threadIdx.x != 0)
        return;
    bpi_tensor_sums *to = &sums[blockIdx.x];
    if (MOVES) {
        to->weight_square_sum = part.first;
        to->move_square_sum = part.second;
    } else {
        to->square_sum = part.first;
        to->sum = part.second;
        to->largest = part.largest;
        to->zeros = part.zeros;
        to->nonfinite = part.nonfinite;
    }
}

static_assert(sizeof(tensor_part) == BPI_CUDA_TENSOR_PART_BYTES, "launch.c counts the scratch memory");

extern "C" cudaError_t bpi_cuda_run_gradient_sums(cudaStream_t stream, const bpi_hyper *hyper, const float *gradients,
                                                  int64_t count, void *workspace, const bpi_observe_args *args)
{
    const int64_t blocks = bpi_cuda_blocks_of(count);
    const float clip_value = hyper->clip_value > 0.0 ? (float)hyper->clip_value : BPI_MATH_INF;
    const gradient_look look = {gradients, count, clip_value, 0.0, 0.0f};
    tensor_part *pieces = static_cast<tensor_part *>(args->scratch);
    gradient_sums<<<(unsigned)blocks, BPI_CUDA_THREADS, 0, stream>>>(look, args->ranges, args->tensors, pieces,
                                                                     static_cast<bpi_cuda_square_sum *>(workspace));
    const cudaError_t code = cudaGetLastError();
    if (code != cudaSuccess)
        return code;
    tensor_finish<false>
        <<<(unsigned)args->tensors, BPI_CUDA_THREADS, 0, stream>>>(pieces, args->ranges, blocks, args->sums);
    return cudaGetLastError();
}

extern "C" cudaError_t bpi_cuda_run_move_sums(cudaStream_t stream, const float *before, const float *after,
                                              int64_t count, const bpi_observe_args *args)
{
    const int64_t blocks = bpi_cuda_blocks_of(count);
    const move_look look = {before, after, count};
    tensor_part *pieces = static_cast<tensor_part *>(args->scratch);
    move_sums<<<(unsigned)blocks, BPI_CUDA_THREADS, 0, stream>>>(look, args->ranges, args->tensors, pieces);
    const cudaError_t code = cudaGetLastError();
    if (code != cudaSuccess)
        return code;
    tensor_finish<true>
        <<<(unsigned)args->tensors, BPI_CUDA_THREADS, 0, stream>>>(pieces, args->ranges, blocks, args->sums);
    return cudaGetLastError();
}
