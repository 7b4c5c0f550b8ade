/* loss.cu: value and error of every loss in one pass, from z, in the stable form: see ops.h loss.
 *
 * A row belongs to a group of lanes within a warp, a lane to every lanes-th column of it: what a lane reads of z nobody
 * else writes, so that the error may take its place. */
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

/* This lane's columns of a row: with KEPT > 0 at most so many, in a loop that is unrolled. */
template <int KEPT, typename Visit> __device__ __forceinline__ void for_columns(int64_t cols, Visit visit)
{
    if (KEPT > 0) {
#pragma unroll
        for (int k = 0; k < KEPT; ++k) {
            const int64_t o = threadIdx.x + (int64_t)k * blockDim.x;
            if (o < cols)
                visit(k, o);
        }
    } else {
        for (int64_t o = threadIdx.x; o < cols; o += blockDim.x)
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
struct error_sink {
    float *delta; /* the row, or NULL */
    float *sums;  /* this group's column sums, or NULL */
    float scale;
};

__device__ __forceinline__ void put_error(const error_sink &sink, int64_t o, float error)
{
    const float scaled = sink.scale * error;
    if (sink.delta)
        sink.delta[o] = scaled;
    if (sink.sums)
        sink.sums[o] += scaled;
}

struct row_result {
    double value; /* this lane's part */
    bool correct;
};

/* ---- softmax cross-entropy ---- */

template <int KEPT>
__device__ __forceinline__ row_result softmax_row(const bpi_loss_args &args, int64_t b, int64_t cols,
                                                  const error_sink &sink, bool active)
{
    constexpr float infinity = BPI_MATH_INF;
    const bpi_smoothing smoothing = bpi_smoothing_of((double)args.label_smoothing, args.z.cols);
    const float *z = row_of(args.z, b);
    const float *targets = args.classes ? nullptr : row_of(args.targets, b);
    const int64_t wanted = args.classes && active ? args.classes[b] : -1;
    float kept[KEPT > 0 ? KEPT : 1] = {};
    const auto logit = [&](int k, int64_t o) { return KEPT > 0 ? kept[k] : z[o]; };

    largest most = {-infinity, INT64_MAX}, most_target = {-infinity, INT64_MAX};
    float front = 0.0f, front_target = 0.0f, at_class = 0.0f;
    for_columns<KEPT>(cols, [&](int k, int64_t o) {
        const float value = z[o];
        if (KEPT > 0)
            kept[k] = value;
        take(most, value, o);
        front = o == 0 ? value : front;
        at_class = o == wanted ? value : at_class;
        if (targets) {
            const float target = targets[o];
            take(most_target, target, o);
            front_target = o == 0 ? target : front_target;
        }
    });
    most = group_largest(most);
    front = front_of_group(front);
    at_class = group_sum(at_class);

    float exponentials = 0.0f, shifted = 0.0f;
    for_columns<KEPT>(cols, [&](int k, int64_t o) {
        exponentials += bpi_softmax_exp(logit(k, o), most.value);
        shifted += logit(k, o) - most.value;
    });
    exponentials = group_sum(exponentials);
    shifted = group_sum(shifted);
    const float log_sum = bpi_log(exponentials);

    float target_sum = 1.0f, value = 0.0f;
    row_result result = {0.0, false};
    if (targets) { /* the same for all rows of a launch */
        float sum = 0.0f;
        for_columns<KEPT>(cols, [&](int k, int64_t o) {
            const float target = bpi_smoothed_target(targets[o], smoothing);
            /* a class that cannot be has no part, even at z = -inf */
            value += target == 0.0f ? 0.0f : bpi_cross_entropy_term(target, logit(k, o) - most.value, log_sum);
            sum += target;
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
    for_columns<KEPT>(cols, [&](int k, int64_t o) {
        const float one_hot = o == wanted ? 1.0f : 0.0f;
        const float target = bpi_smoothed_target(targets ? targets[o] : one_hot, smoothing);
        const float p = bpi_softmax_exp(logit(k, o), most.value) / exponentials;
        put_error(sink, o, bpi_cross_entropy_delta(p, target, target_sum));
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

template <bp_loss LOSS>
__device__ __forceinline__ row_result element_row(const bpi_loss_args &args, int64_t b, int64_t cols,
                                                  const error_sink &sink)
{
    constexpr float infinity = BPI_MATH_INF;
    const float *z = row_of(args.z, b), *targets = row_of(args.targets, b);
    largest most = {-infinity, INT64_MAX}, most_target = {-infinity, INT64_MAX};
    float front = 0.0f, front_target = 0.0f;
    row_result result = {0.0, false};
    for_columns<0>(cols, [&](int, int64_t o) {
        const float value = z[o], target = targets[o];
        take(most, value, o);
        take(most_target, target, o);
        front = o == 0 ? value : front;
        front_target = o == 0 ? target : front_target;
        result.value += (double)element_value<LOSS>(value, target, args.huber_delta);
        put_error(sink, o, element_delta<LOSS>(value, target, args.huber_delta));
    });
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
 * moves  reads 4BO bytes of z (and 4BO of targets, or 8B of classes), writes 4BO; where O > 256, a row of softmax is
 *        read again, out of the cache; shared up to 35 KiB; bound by memory for O >= 32
 * order  lanes and groups are added by trees, rows of a group in their order: fixed by (B, O); no atomics
 * edges  rows beyond the end: their lanes take part in the shuffles with nothing; O > 1024: a group's column sums are
 *        in the workspace, not in shared memory */
template <bp_loss LOSS, int KEPT> BPI_CUDA_KERNEL loss_rows(loss_launch launch)
{
    extern __shared__ float group_sums[]; /* [groups, O] where they fit */
    __shared__ double values[BPI_CUDA_THREADS];
    __shared__ int64_t counts[BPI_CUDA_THREADS];
    const bpi_loss_args &args = launch.args;
    const int64_t cols = args.z.cols, slice = blockIdx.x;
    const bool shared_sums = cols <= BPI_CUDA_ROW_LIMIT;
    float *sums = nullptr;
    if (launch.partials)
        sums = shared_sums ? group_sums + threadIdx.y * cols
                           : launch.partials + (slice * blockDim.y + threadIdx.y) * launch.sums_ld;
    for (int64_t o = threadIdx.x; sums && o < cols; o += blockDim.x)
        sums[o] = 0.0f;
    double value = 0.0;
    int64_t correct = 0;
    const int64_t begin = slice * launch.cut.slice_rows;
    const int64_t end = begin + launch.cut.slice_rows < args.z.rows ? begin + launch.cut.slice_rows : args.z.rows;
    for (int64_t first = begin; first < end; first += blockDim.y) {
        const int64_t row = first + threadIdx.y;
        const bool active = row < end;
        const int64_t b = active ? row : begin, width = active ? cols : 0;
        const error_sink sink = {args.delta.data ? row_to(args.delta, b) : nullptr, sums, (float)args.scale};
        row_result result;
        if (LOSS == BP_LOSS_SOFTMAX_CROSS_ENTROPY)
            result = softmax_row<KEPT>(args, b, width, sink, active);
        else
            result = element_row<LOSS>(args, b, width, sink);
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

template <bp_loss LOSS, int KEPT> static void launch_rows(cudaStream_t stream, const loss_launch &launch)
{
    const int64_t cols = launch.args.z.cols;
    const bool shared_sums = launch.partials && cols <= BPI_CUDA_ROW_LIMIT;
    const size_t bytes = shared_sums ? (size_t)(launch.cut.groups * cols) * sizeof(float) : 0;
    const dim3 block((unsigned)launch.cut.lanes, (unsigned)launch.cut.groups);
    loss_rows<LOSS, KEPT><<<dim3((unsigned)launch.cut.slices), block, bytes, stream>>>(launch);
}

static void launch_softmax(cudaStream_t stream, const loss_launch &launch)
{
    const int64_t cols = launch.args.z.cols;
    if (cols <= launch.cut.lanes)
        launch_rows<BP_LOSS_SOFTMAX_CROSS_ENTROPY, 1>(stream, launch);
    else if (cols <= (int64_t)launch.cut.lanes * BPI_CUDA_ROW_KEPT)
        launch_rows<BP_LOSS_SOFTMAX_CROSS_ENTROPY, BPI_CUDA_ROW_KEPT>(stream, launch);
    else
        launch_rows<BP_LOSS_SOFTMAX_CROSS_ENTROPY, 0>(stream, launch);
}

extern "C" cudaError_t bpi_cuda_run_loss(cudaStream_t stream, const bpi_loss_args *args, void *workspace)
{
    loss_launch launch;
    launch.args = *args;
    launch.cut = bpi_cuda_rows_of(args->z.rows, args->z.cols);
    launch.totals = static_cast<bpi_cuda_total *>(workspace);
    launch.partials = nullptr;
    if (args->d_b)
        launch.partials =
            reinterpret_cast<float *>(static_cast<char *>(workspace) + bpi_cuda_totals_bytes(launch.cut.slices));
    launch.sums_ld = bpi_cuda_sums_ld(args->z.cols);
    switch (args->loss) {
    case BP_LOSS_SOFTMAX_CROSS_ENTROPY:
        launch_softmax(stream, launch);
        break;
    case BP_LOSS_BCE_WITH_LOGITS:
        launch_rows<BP_LOSS_BCE_WITH_LOGITS, 0>(stream, launch);
        break;
    case BP_LOSS_MSE:
        launch_rows<BP_LOSS_MSE, 0>(stream, launch);
        break;
    case BP_LOSS_HALF_MSE:
        launch_rows<BP_LOSS_HALF_MSE, 0>(stream, launch);
        break;
    case BP_LOSS_HUBER:
        launch_rows<BP_LOSS_HUBER, 0>(stream, launch);
        break;
    case BP_LOSS_COUNT:
        return cudaErrorInvalidValue;
    }
    cudaError_t code = cudaGetLastError();
    if (code != cudaSuccess)
        return code;
    loss_finish<<<1, BPI_CUDA_THREADS, 0, stream>>>(launch.totals, launch.cut.slices, args->scale, args->state);
    code = cudaGetLastError();
    if (code != cudaSuccess || !args->d_b)
        return code;
    return bpi_cuda_run_column_sums_finish(stream, launch.partials, launch.cut.sums, args->z.cols, args->accumulate,
                                           static_cast<float *>(args->d_b));
}
