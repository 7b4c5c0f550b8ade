/* loss.cu: value and error of every loss in one pass, from z, in the stable form: see ops.h loss.
 *
 * A row belongs to a group of lanes within a warp, a lane to every lanes-th W columns of it: what a lane reads of z
 * nobody else writes, so that the error may take its place. W is 4 where O is a multiple of 4, else 1. */
#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/pass.cuh"
#include "kernels/math/loss.h"

struct loss_launch {
    bpi_loss_args args;
    bpi_cuda_rows cut;
    bpi_cuda_total *totals; /* [slices] */
    float *partials;        /* [cut.sums, sums_ld], or NULL: d_b is not wanted */
    int64_t sums_ld;
};

/* This lane's columns of a row, W at a time: with KEPT > 0 at most KEPT times, in a loop that is unrolled. */
template <int KEPT, int W, typename Visit> __device__ __forceinline__ void for_columns(int64_t cols, Visit visit)
{
    const int64_t step = (int64_t)blockDim.x * W;
    if (KEPT > 0) {
#pragma unroll
        for (int k = 0; k < KEPT; ++k) {
            const int64_t o = threadIdx.x * W + k * step;
            if (o < cols)
                visit(k, o);
        }
    } else {
        for (int64_t o = threadIdx.x * W; o < cols; o += step)
            visit(0, o);
    }
}

/* The sum over a group; the same bits in each of its lanes. */
template <typename T> __device__ __forceinline__ T group_sum(T value)
{
    for (int distance = (int)blockDim.x / 2; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    return value;
}

/* The first of the largest, as a scan with > finds it: NaN is passed over. */
struct largest {
    float value;
    int64_t index;
};

__device__ __forceinline__ void take(largest &most, float value, int64_t index)
{
    if (value > most.value || (value == most.value && index < most.index)) {
        most.value = value;
        most.index = index;
    }
}

__device__ __forceinline__ largest group_largest(largest most)
{
    for (int distance = (int)blockDim.x / 2; distance > 0; distance /= 2) {
        const float value = __shfl_xor_sync(0xffffffffu, most.value, distance);
        const long long index = __shfl_xor_sync(0xffffffffu, (long long)most.index, distance);
        take(most, value, index);
    }
    return most;
}

/* Nothing is larger than a NaN at the front, which no scan leaves. */
__device__ __forceinline__ int64_t first_largest(largest most, float front)
{
    return __builtin_isnan(front) ? 0 : most.index;
}

__device__ __forceinline__ float front_of_group(float value)
{
    return __shfl_sync(0xffffffffu, value, 0, (int)blockDim.x);
}

/* Where the errors of a row go. */
template <typename T> struct error_sink {
    T *delta;    /* the row, or NULL */
    float *sums; /* this group's column sums, or NULL */
    int64_t cols;
    float scale;
};

template <int W, typename T>
__device__ __forceinline__ void put_errors(const error_sink<T> &sink, int64_t o, bpi_cuda_cells<W> errors)
{
#pragma unroll
    for (int i = 0; i < W; ++i)
        errors.v[i] *= sink.scale;
    if (sink.delta)
        write_cells<W>(sink.delta, o, sink.cols, errors);
    if (!sink.sums)
        return;
    bpi_cuda_cells<W> sums = read_cells<W>(sink.sums, o, sink.cols);
#pragma unroll
    for (int i = 0; i < W; ++i)
        sums.v[i] += errors.v[i];
    write_cells<W>(sink.sums, o, sink.cols, sums);
}

struct row_result {
    double value; /* this lane's part */
    bool correct;
};

/* ---- softmax cross-entropy ---- */

/* The columns of z, or of the targets, that a lane asks for again and again: kept in registers where KEPT > 0. */
template <int KEPT, int W> struct kept_row {
    const float *row;
    int64_t cols;
    bpi_cuda_cells<W> kept[KEPT > 0 ? KEPT : 1];

    __device__ __forceinline__ bpi_cuda_cells<W> first_time(int k, int64_t o)
    {
        const bpi_cuda_cells<W> cells = read_cells<W>(row, o, cols);
        if (KEPT > 0)
            kept[k] = cells;
        return cells;
    }

    __device__ __forceinline__ bpi_cuda_cells<W> again(int k, int64_t o) const
    {
        return KEPT > 0 ? kept[k] : read_cells<W>(row, o, cols);
    }
};

/* Lane 0 reads the class for its group. */
__device__ __forceinline__ int64_t class_of(const bpi_loss_args &args, int64_t b)
{
    const long long mine = threadIdx.x == 0 ? args.classes[b] : 0;
    return __shfl_sync(0xffffffffu, mine, 0, (int)blockDim.x);
}

/* SOFT: the targets are probabilities, else classes. */
template <int KEPT, int W, bool SOFT, typename T>
__device__ __forceinline__ row_result softmax_row(const bpi_loss_args &args, int64_t b, int64_t cols,
                                                  const error_sink<T> &sink)
{
    constexpr float infinity = BPI_MATH_INF;
    const bpi_smoothing smoothing = bpi_smoothing_of((double)args.label_smoothing, args.z.cols);
    const int64_t wanted = SOFT ? -1 : class_of(args, b);
    kept_row<KEPT, W> z = {row_of(args.z, b), cols};
    kept_row<SOFT ? KEPT : 0, W> targets = {SOFT ? row_of(args.targets, b) : nullptr, cols};

    largest most = {-infinity, INT64_MAX}, most_target = {-infinity, INT64_MAX};
    float front = 0.0f, front_target = 0.0f, at_class = 0.0f;
    for_columns<KEPT, W>(cols, [&](int k, int64_t o) {
        const bpi_cuda_cells<W> values = z.first_time(k, o);
        front = o == 0 ? values.v[0] : front;
#pragma unroll
        for (int i = 0; i < W; ++i) {
            take(most, values.v[i], o + i);
            at_class = o + i == wanted ? values.v[i] : at_class;
        }
        if (SOFT) {
            const bpi_cuda_cells<W> wished = targets.first_time(k, o);
            front_target = o == 0 ? wished.v[0] : front_target;
#pragma unroll
            for (int i = 0; i < W; ++i)
                take(most_target, wished.v[i], o + i);
        }
    });
    most = group_largest(most);
    front = front_of_group(front);
    at_class = group_sum(at_class);

    float exponentials = 0.0f, shifted = 0.0f;
    for_columns<KEPT, W>(cols, [&](int k, int64_t o) {
        const bpi_cuda_cells<W> values = z.again(k, o);
#pragma unroll
        for (int i = 0; i < W; ++i) {
            exponentials += bpi_softmax_exp(values.v[i], most.value);
            shifted += values.v[i] - most.value;
        }
    });
    exponentials = group_sum(exponentials);
    shifted = group_sum(shifted);
    const float log_sum = bpi_log(exponentials);

    float target_sum = 1.0f, value = 0.0f;
    row_result result = {0.0, false};
    if (SOFT) {
        float sum = 0.0f;
        for_columns<KEPT, W>(cols, [&](int k, int64_t o) {
            const bpi_cuda_cells<W> values = z.again(k, o), wished = targets.again(k, o);
#pragma unroll
            for (int i = 0; i < W; ++i) {
                const float target = bpi_smoothed_target(wished.v[i], smoothing);
                /* a class that cannot be has no part, even at z = -inf */
                value += target == 0.0f ? 0.0f : bpi_cross_entropy_term(target, values.v[i] - most.value, log_sum);
                sum += target;
            }
        });
        target_sum = group_sum(sum);
        most_target = group_largest(most_target);
        result.correct = first_largest(most, front) == first_largest(most_target, front_of_group(front_target));
        result.value = (double)group_sum(value);
    } else {
        result.correct = first_largest(most, front) == wanted;
        result.value =
            (double)bpi_cross_entropy_of_class(at_class - most.value, shifted / (float)args.z.cols, log_sum, smoothing);
    }
    result.value = threadIdx.x == 0 ? result.value : 0.0;
    if (!sink.delta && !sink.sums)
        return result;
    for_columns<KEPT, W>(cols, [&](int k, int64_t o) {
        bpi_cuda_cells<W> values = z.again(k, o), wished = {};
        if (SOFT)
            wished = targets.again(k, o);
#pragma unroll
        for (int i = 0; i < W; ++i) {
            const float one_hot = o + i == wanted ? 1.0f : 0.0f;
            const float target = bpi_smoothed_target(SOFT ? wished.v[i] : one_hot, smoothing);
            const float p = bpi_softmax_exp(values.v[i], most.value) / exponentials;
            values.v[i] = bpi_cross_entropy_delta(p, target, target_sum);
        }
        put_errors<W>(sink, o, values);
    });
    return result;
}

/* ---- losses that are sums over elements ---- */

template <bp_loss LOSS> __device__ __forceinline__ float element_value(float z, float t, float limit)
{
    if (LOSS == BP_LOSS_BCE_WITH_LOGITS)
        return bpi_bce_with_logits(z, t);
    if (LOSS == BP_LOSS_HUBER)
        return bpi_huber(z, t, limit);
    const float half = bpi_half_squared_error(z, t);
    return LOSS == BP_LOSS_MSE ? 2.0f * half : half;
}

template <bp_loss LOSS> __device__ __forceinline__ float element_delta(float z, float t, float limit)
{
    if (LOSS == BP_LOSS_BCE_WITH_LOGITS)
        return bpi_bce_with_logits_delta(z, t);
    if (LOSS == BP_LOSS_HUBER)
        return bpi_huber_delta(z, t, limit);
    const float half = bpi_half_squared_error_delta(z, t);
    return LOSS == BP_LOSS_MSE ? 2.0f * half : half;
}

template <bp_loss LOSS, int W, typename T>
__device__ __forceinline__ row_result element_row(const bpi_loss_args &args, int64_t b, int64_t cols,
                                                  const error_sink<T> &sink)
{
    constexpr float infinity = BPI_MATH_INF;
    /* Cells of z and of the targets on their way before the first is looked at: the error may take z's place, and no
     * load passes such a write by itself. */
    constexpr int ahead = W == 4 ? 2 : 4;
    const float *z = row_of(args.z, b), *targets = row_of(args.targets, b);
    const int64_t step = (int64_t)blockDim.x * W;
    largest most = {-infinity, INT64_MAX}, most_target = {-infinity, INT64_MAX};
    float front = 0.0f, front_target = 0.0f;
    row_result result = {0.0, false};
    for (int64_t begin = threadIdx.x * W; begin < cols; begin += ahead * step) {
        bpi_cuda_cells<W> value[ahead], target[ahead];
#pragma unroll
        for (int k = 0; k < ahead; ++k)
            if (begin + k * step < cols) {
                value[k] = read_cells<W>(z, begin + k * step, cols);
                target[k] = read_cells<W>(targets, begin + k * step, cols);
            }
#pragma unroll
        for (int k = 0; k < ahead; ++k) {
            const int64_t o = begin + k * step;
            if (o >= cols)
                break;
            front = o == 0 ? value[k].v[0] : front;
            front_target = o == 0 ? target[k].v[0] : front_target;
#pragma unroll
            for (int i = 0; i < W; ++i) {
                take(most, value[k].v[i], o + i);
                take(most_target, target[k].v[i], o + i);
                result.value += (double)element_value<LOSS>(value[k].v[i], target[k].v[i], args.huber_delta);
                value[k].v[i] = element_delta<LOSS>(value[k].v[i], target[k].v[i], args.huber_delta);
            }
            put_errors<W>(sink, o, value[k]);
        }
    }
    front = front_of_group(front);
    front_target = front_of_group(front_target);
    const int64_t at = first_largest(group_largest(most), front);
    const int64_t at_target = first_largest(group_largest(most_target), front_target);
    result.correct = at == at_target;
    if (LOSS == BP_LOSS_BCE_WITH_LOGITS && args.z.cols == 1)
        result.correct = (front > 0.0f) == (front_target > 0.5f);
    return result;
}

/* ---- all of them ---- */

/* The block's column sums, out of its groups', in their order. */
__device__ __forceinline__ void sum_groups(const float *groups, int64_t cols, float *out)
{
    const int thread = (int)(threadIdx.y * blockDim.x + threadIdx.x);
    __syncthreads();
    for (int64_t o = thread; o < cols; o += BPI_CUDA_THREADS) {
        float sum = 0.0f;
        for (unsigned g = 0; g < blockDim.y; ++g)
            sum += groups[g * cols + o];
        out[o] = sum;
    }
}

/* loss: values, errors, right rows and the first stage of d_b.
 * grid   (slices) of bpi_cuda_rows_of, block (lanes, groups): a group of lanes takes a row
 * moves  reads 4BO bytes of z (and 4BO of targets, or 8B of classes), writes sBO, s = 4 or 2 of T; where O > 256 W, a
 *        row of softmax is read again, out of the cache; shared up to 36 KiB; bound by memory for O >= 32
 * order  lanes and groups are added by trees, rows of a group in their order: fixed by (B, O); no atomics
 * edges  rows beyond the end: their lanes take part in the shuffles with nothing; O > 1024: a group's column sums are
 *        in the workspace, not in shared memory
 * A row in registers takes more than the 128 that the compiler leaves a thread for newer cards unless one block is said
 * to do. */
template <bp_loss LOSS, int KEPT, int W, bool SOFT, typename T>
static __global__ void __launch_bounds__(BPI_CUDA_THREADS, 1) loss_rows(loss_launch launch)
{
    extern __shared__ __align__(16) float group_sums[]; /* [groups, O] where they fit */
    __shared__ double values[BPI_CUDA_THREADS];
    __shared__ int64_t counts[BPI_CUDA_THREADS];
    const bpi_loss_args &args = launch.args;
    const int64_t cols = args.z.cols, slice = blockIdx.x;
    const bool shared_sums = cols <= BPI_CUDA_ROW_LIMIT;
    float *sums = nullptr;
    if (launch.partials)
        sums = shared_sums ? group_sums + threadIdx.y * cols
                           : launch.partials + (slice * blockDim.y + threadIdx.y) * launch.sums_ld;
    for_columns<0, W>(sums ? cols : 0, [&](int, int64_t o) { write_cells<W>(sums, o, cols, bpi_cuda_cells<W>{}); });
    double value = 0.0;
    int64_t correct = 0;
    const int64_t begin = slice * launch.cut.slice_rows;
    const int64_t end = begin + launch.cut.slice_rows < args.z.rows ? begin + launch.cut.slice_rows : args.z.rows;
    for (int64_t first = begin; first < end; first += blockDim.y) {
        const int64_t row = first + threadIdx.y;
        const bool active = row < end;
        const int64_t b = active ? row : begin, width = active ? cols : 0;
        const error_sink<T> sink = {args.delta.data ? row_to<T>(args.delta, b) : nullptr, sums, cols,
                                    (float)args.scale};
        row_result result;
        if (LOSS == BP_LOSS_SOFTMAX_CROSS_ENTROPY)
            result = softmax_row<KEPT, W, SOFT>(args, b, width, sink);
        else
            result = element_row<LOSS, W>(args, b, width, sink);
        value += active ? result.value : 0.0;
        correct += active && threadIdx.x == 0 && result.correct;
    }
    if (sums && shared_sums)
        sum_groups(group_sums, cols, launch.partials + slice * launch.sums_ld);
    const int thread = (int)(threadIdx.y * blockDim.x + threadIdx.x);
    value = block_sum(value, values, thread);
    correct = block_sum(correct, counts, thread);
    if (thread == 0) {
        launch.totals[slice].value = value;
        launch.totals[slice].correct = correct;
    }
}

/* loss_finish: the totals of the slices into the step's state.
 * grid   (1), block (256): a thread takes every 256th slice
 * moves  16 bytes a slice; one block, as slices are at most 1024
 * order  each thread from its first slice on, then a tree: fixed by (B, O)
 * edges  fewer slices than threads: the others add 0 */
BPI_CUDA_KERNEL loss_finish(const bpi_cuda_total *totals, int64_t slices, double scale, bpi_step_state *state)
{
    __shared__ double values[BPI_CUDA_THREADS];
    __shared__ int64_t counts[BPI_CUDA_THREADS];
    const int thread = (int)threadIdx.x;
    double value = 0.0;
    int64_t correct = 0;
    for (int64_t slice = thread; slice < slices; slice += BPI_CUDA_THREADS) {
        value += totals[slice].value;
        correct += totals[slice].correct;
    }
    value = block_sum(value, values, thread);
    correct = block_sum(correct, counts, thread);
    if (thread == 0) {
        state->loss_sum += scale * value;
        state->correct += correct;
    }
}

template <typename T, bp_loss LOSS, int KEPT, int W, bool SOFT>
static void launch_rows(cudaStream_t stream, const loss_launch &launch)
{
    const int64_t cols = launch.args.z.cols;
    const bool shared_sums = launch.partials && cols <= BPI_CUDA_ROW_LIMIT;
    const size_t bytes = shared_sums ? (size_t)(launch.cut.groups * cols) * sizeof(float) : 0;
    const dim3 block((unsigned)launch.cut.lanes, (unsigned)launch.cut.groups);
    loss_rows<LOSS, KEPT, W, SOFT, T><<<dim3((unsigned)launch.cut.slices), block, bytes, stream>>>(launch);
}

template <typename T, int W, bool SOFT> static void launch_softmax(cudaStream_t stream, const loss_launch &launch)
{
    const int64_t cols = launch.args.z.cols, once = (int64_t)launch.cut.lanes * W;
    if (cols <= once)
        launch_rows<T, BP_LOSS_SOFTMAX_CROSS_ENTROPY, 1, W, SOFT>(stream, launch);
    else if (cols <= once * BPI_CUDA_ROW_KEPT)
        launch_rows<T, BP_LOSS_SOFTMAX_CROSS_ENTROPY, BPI_CUDA_ROW_KEPT, W, SOFT>(stream, launch);
    else
        launch_rows<T, BP_LOSS_SOFTMAX_CROSS_ENTROPY, 0, W, SOFT>(stream, launch);
}

template <typename T, bp_loss LOSS> static void launch_elements(cudaStream_t stream, const loss_launch &launch)
{
    if (launch.cut.width == 4)
        launch_rows<T, LOSS, 0, 4, true>(stream, launch);
    else
        launch_rows<T, LOSS, 0, 1, true>(stream, launch);
}

static bool in_quads(const bpi_matrix &matrix)
{
    return !matrix.data || (reinterpret_cast<uintptr_t>(matrix.data) % 16 == 0 && matrix.ld % 4 == 0);
}

/* Columns that are left over beyond a multiple of 4 would each be an access of their own. */
static int width_of(const bpi_loss_args &args)
{
    return args.z.cols % 4 == 0 && in_quads(args.z) && in_quads(args.targets) && in_quads(args.delta) ? 4 : 1;
}

template <typename T> static cudaError_t launch_loss(cudaStream_t stream, const loss_launch &launch)
{
    switch (launch.args.loss) {
    case BP_LOSS_SOFTMAX_CROSS_ENTROPY:
        if (launch.cut.width == 4 && launch.args.classes)
            launch_softmax<T, 4, false>(stream, launch);
        else if (launch.cut.width == 4)
            launch_softmax<T, 4, true>(stream, launch);
        else if (launch.args.classes)
            launch_softmax<T, 1, false>(stream, launch);
        else
            launch_softmax<T, 1, true>(stream, launch);
        break;
    case BP_LOSS_BCE_WITH_LOGITS:
        launch_elements<T, BP_LOSS_BCE_WITH_LOGITS>(stream, launch);
        break;
    case BP_LOSS_MSE:
        launch_elements<T, BP_LOSS_MSE>(stream, launch);
        break;
    case BP_LOSS_HALF_MSE:
        launch_elements<T, BP_LOSS_HALF_MSE>(stream, launch);
        break;
    case BP_LOSS_HUBER:
        launch_elements<T, BP_LOSS_HUBER>(stream, launch);
        break;
    case BP_LOSS_COUNT:
        return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}

extern "C" cudaError_t bpi_cuda_run_loss(cudaStream_t stream, bpi_type type, const bpi_loss_args *args, void *workspace)
{
    loss_launch launch;
    launch.args = *args;
    launch.cut = bpi_cuda_rows_of(args->z.rows, args->z.cols, width_of(*args));
    launch.totals = static_cast<bpi_cuda_total *>(workspace);
    launch.partials = nullptr;
    if (args->d_b)
        launch.partials =
            reinterpret_cast<float *>(static_cast<char *>(workspace) + bpi_cuda_totals_bytes(launch.cut.slices));
    launch.sums_ld = bpi_cuda_sums_ld(args->z.cols);
    cudaError_t code =
        type == BPI_TYPE_BF16 ? launch_loss<bpi_cuda_bf16>(stream, launch) : launch_loss<float>(stream, launch);
    if (code != cudaSuccess)
        return code;
    loss_finish<<<1, BPI_CUDA_THREADS, 0, stream>>>(launch.totals, launch.cut.slices, args->scale, args->state);
    code = cudaGetLastError();
    if (code != cudaSuccess || !args->d_b)
        return code;
    return bpi_cuda_run_column_sums_finish(stream, launch.partials, launch.cut.sums, args->z.cols, args->accumulate,
                                           static_cast<float *>(args->d_b));
}
