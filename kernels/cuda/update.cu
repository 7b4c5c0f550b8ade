/* update.cu: the norm of all gradients and what follows from it, and the optimisers, over the one array of parameters.
 * Everything that changes from step to step is in bpi_step_state in device memory: the host reads nothing back. */
#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/pass.cuh"
#include "kernels/math/optimizer.h"
#include "kernels/math/schedule.h"

/* square_sums: partial sums of the squares of the gradients, clamped to +-clip_value.
 * grid   (bpi_cuda_blocks_of count), block (256): a warp reads 512 neighbouring bytes, four times before it adds
 * moves  reads 4 count bytes, writes 16 a block; shared 4 KiB; bound by memory, on cards with few f64 units by those
 * order  squares in f64, where no finite f32 overflows; threads by a tree: fixed by count
 * edges  count not a multiple of 4: the last thread takes single elements */
template <int W>
BPI_CUDA_KERNEL square_sums(const float *gradients, int64_t count, float clip_value, bpi_cuda_square_sum *partials)
{
    __shared__ double sums[BPI_CUDA_THREADS];
    __shared__ int64_t flags[BPI_CUDA_THREADS];
    const int64_t step = (int64_t)gridDim.x * BPI_CUDA_THREADS * W;
    double sum = 0.0;
    float probe = 0.0f; /* g * 0 is NaN for what is not finite, also where the limit hides it */
    for (int64_t first = ((int64_t)blockIdx.x * BPI_CUDA_THREADS + threadIdx.x) * W; first < count;
         first += BPI_CUDA_ROWS_IN_FLIGHT * step) {
        bpi_cuda_cells<W> g[BPI_CUDA_ROWS_IN_FLIGHT];
#pragma unroll
        for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k)
            if (first + k * step < count)
                g[k] = read_cells<W>(gradients, first + k * step, count);
#pragma unroll
        for (int k = 0; k < BPI_CUDA_ROWS_IN_FLIGHT; ++k)
            if (first + k * step < count)
#pragma unroll
                for (int i = 0; i < W; ++i) {
                    const double clipped = (double)bpi_clip_by_value(g[k].v[i], clip_value);
                    probe += g[k].v[i] * 0.0f;
                    sum += clipped * clipped;
                }
    }
    const int thread = (int)threadIdx.x;
    sum = block_sum(sum, sums, thread);
    const int64_t nonfinite = block_sum<int64_t>(!(probe == 0.0f), flags, thread);
    if (thread == 0) {
        partials[blockIdx.x].value = sum;
        partials[blockIdx.x].nonfinite = nonfinite;
    }
}

__device__ static void prepare(const bpi_hyper &hyper, double sum, bool nonfinite, bpi_step_state *state)
{
    if (hyper.on_nonfinite == BPI_NONFINITE_HOLD && state->nonfinite) {
        state->held += 1;
        return;
    }
    nonfinite = nonfinite && hyper.on_nonfinite != BPI_NONFINITE_APPLY;
    const bool adaptive = hyper.optimizer != BP_OPTIMIZER_SGD;
    const int64_t next = state->step + 1;
    const double norm = sqrt(sum);
    state->grad_norm = norm;
    state->nonfinite = nonfinite;
    state->clip_factor = hyper.clip_norm > 0.0 ? bpi_clip_factor(norm, hyper.clip_norm) : 1.0;
    state->lr = bpi_learning_rate(&hyper, state->step);
    state->bias_correction1 = adaptive ? bpi_bias_correction(hyper.beta1, next) : 1.0;
    state->bias_correction2 = adaptive ? bpi_bias_correction(hyper.beta2, next) : 1.0;
    if (!nonfinite) {
        state->step = next;
        state->batches += state->passes;
    }
}

/* norm_finish: the norm, clip factor, learning rate, bias corrections and step counter, into the step's state.
 * grid   (1), block (256): a thread takes every 256th partial sum
 * moves  16 bytes a partial sum; one block, as they are at most 1024
 * order  each thread from its first on, then a tree: fixed by count
 * edges  fewer partial sums than threads: the others add 0 */
BPI_CUDA_KERNEL norm_finish(bpi_hyper hyper, const bpi_cuda_square_sum *partials, int64_t count, bpi_step_state *state)
{
    __shared__ double sums[BPI_CUDA_THREADS];
    __shared__ int64_t flags[BPI_CUDA_THREADS];
    const int thread = (int)threadIdx.x;
    double sum = 0.0;
    int64_t nonfinite = 0;
    for (int64_t k = thread; k < count; k += BPI_CUDA_THREADS) {
        sum += partials[k].value;
        nonfinite += partials[k].nonfinite;
    }
    sum = block_sum(sum, sums, thread);
    nonfinite = block_sum(nonfinite, flags, thread);
    if (thread == 0)
        prepare(hyper, sum, nonfinite != 0, state);
}

static bool in_quads(const void *array)
{
    return reinterpret_cast<uintptr_t>(array) % 16 == 0; /* of NULL too */
}

extern "C" cudaError_t bpi_cuda_run_norm_finish(cudaStream_t stream, const bpi_hyper *hyper, int64_t count,
                                                const void *workspace, bpi_step_state *state)
{
    const bpi_cuda_square_sum *partials = static_cast<const bpi_cuda_square_sum *>(workspace);
    norm_finish<<<1, BPI_CUDA_THREADS, 0, stream>>>(*hyper, partials, bpi_cuda_blocks_of(count), state);
    return cudaGetLastError();
}

extern "C" cudaError_t bpi_cuda_run_norm(cudaStream_t stream, const bpi_hyper *hyper, const float *gradients,
                                         int64_t count, void *workspace, bpi_step_state *state)
{
    bpi_cuda_square_sum *partials = static_cast<bpi_cuda_square_sum *>(workspace);
    const int64_t blocks = bpi_cuda_blocks_of(count);
    const float clip_value = hyper->clip_value > 0.0 ? (float)hyper->clip_value : BPI_MATH_INF;
    const dim3 grid((unsigned)blocks), block(BPI_CUDA_THREADS);
    if (in_quads(gradients))
        square_sums<4><<<grid, block, 0, stream>>>(gradients, count, clip_value, partials);
    else
        square_sums<1><<<grid, block, 0, stream>>>(gradients, count, clip_value, partials);
    const cudaError_t code = cudaGetLastError();
    return code == cudaSuccess ? bpi_cuda_run_norm_finish(stream, hyper, count, workspace, state) : code;
}

/* ---- the beginning of a step with batch norm ---- */

/* step_begin: the copy of the running values that the step moves; and the state's sums at 0.
 * grid   (bpi_cuda_blocks_of count), block (256): a warp reads and writes 512 neighbouring bytes
 * moves  8 bytes a running value, writes 24 of the state
 * order  element by element
 * edges  count is a multiple of 4 */
BPI_CUDA_KERNEL step_begin(bpi_step_state *state, bpi_running running)
{
    const int64_t first = 4 * ((int64_t)blockIdx.x * BPI_CUDA_THREADS + threadIdx.x);
    if (first == 0) {
        state->loss_sum = 0.0;
        state->correct = 0;
        state->passes = running.passes;
    }
    for (int64_t k = first; k < running.count; k += 4 * (int64_t)gridDim.x * BPI_CUDA_THREADS)
        write_cells<4>(static_cast<float *>(running.moved), k, running.count,
                       read_cells<4>(static_cast<const float *>(running.kept), k, running.count));
}

extern "C" cudaError_t bpi_cuda_run_step_begin(cudaStream_t stream, bpi_step_state *state, const bpi_running *running)
{
    step_begin<<<(unsigned)bpi_cuda_blocks_of(running->count), BPI_CUDA_THREADS, 0, stream>>>(state, *running);
    return cudaGetLastError();
}

/* ---- the optimisers ---- */

enum rule { RULE_SGD, RULE_MOMENTUM, RULE_NESTEROV, RULE_ADAM, RULE_ADAMW };

template <rule RULE>
__device__ __forceinline__ bpi_updated apply(float p, float g, float state1, float state2,
                                             const bpi_update_scalars &scalars)
{
    if (RULE == RULE_MOMENTUM)
        return bpi_sgd_momentum(p, g, state1, &scalars);
    if (RULE == RULE_NESTEROV)
        return bpi_sgd_nesterov(p, g, state1, &scalars);
    if (RULE == RULE_ADAM)
        return bpi_adam(p, g, state1, state2, &scalars);
    if (RULE == RULE_ADAMW)
        return bpi_adamw(p, g, state1, state2, &scalars);
    bpi_updated plain;
    plain.parameter = bpi_sgd(p, g, &scalars);
    plain.state1 = plain.state2 = 0.0f;
    return plain;
}

__device__ static bpi_update_scalars scalars_of(const bpi_hyper &hyper, const bpi_step_state &state)
{
    bpi_update_settings settings;
    settings.lr = state.lr;
    settings.momentum = hyper.momentum;
    settings.beta1 = hyper.beta1;
    settings.beta2 = hyper.beta2;
    settings.epsilon = hyper.epsilon;
    settings.bias_correction1 = state.bias_correction1;
    settings.bias_correction2 = state.bias_correction2;
    settings.weight_decay = hyper.weight_decay;
    settings.clip_value = hyper.clip_value;
    settings.clip_factor = state.clip_factor;
    settings.average_weight = bpi_average_weight(hyper.average_decay, state.step);
    return bpi_update_scalars_of(&settings);
}

struct move {
    const bpi_step_state *state;
    int64_t count, decayed;
    float *parameters;
    const float *gradients;
    float *state1, *state2;
    const float *running;   /* what becomes of the elements behind count; NULL: nothing */
    float *average;         /* NULL: none */
    int64_t span;           /* elements to walk: count where there are neither averages nor running values */
    bpi_cuda_bf16 *weights; /* NULL: not wanted */
};

template <int W>
__device__ __forceinline__ void average_cells(const move &work, int64_t k, const bpi_cuda_cells<W> &values,
                                              const bpi_update_scalars &scalars)
{
    bpi_cuda_cells<W> average = read_cells<W>(work.average, k, work.span);
#pragma unroll
    for (int i = 0; i < W; ++i)
        average.v[i] = bpi_averaged(average.v[i], values.v[i], &scalars);
    write_cells<W>(work.average, k, work.span, average);
}

/* Behind the parameters: running values, which are taken over and averaged. */
template <int W>
__device__ __forceinline__ void move_running(const move &work, int64_t k, const bpi_update_scalars &scalars)
{
    bpi_cuda_cells<W> values;
    if (work.running) {
        values = read_cells<W>(work.running, k - work.count, work.span - work.count);
        write_cells<W>(work.parameters, k, work.span, values);
    } else
        values = read_cells<W>(work.parameters, k, work.span);
    if (work.average)
        average_cells<W>(work, k, values, scalars);
}

/* update: clamp, clip, decay and move all parameters and their state: see ops.h.
 * grid   (bpi_cuda_blocks_of span), block (256): a warp reads 512 neighbouring bytes of each array
 * moves  adam, adamw 28 bytes a parameter, momentum 20, sgd 12, 8 more for an average, 2 for weights in bf16; 8 a
 *        running value; bound by memory; four arrays are four loads in flight
 * order  element by element; the step's scalars are read and worked out once a block, in double
 * edges  count not a multiple of 4: the last thread takes single elements; decayed is one: no four are split by it;
 *        nonfinite gradients: nothing else is read
 * One block is said to do: otherwise the compiler leaves a thread too few registers for newer cards, and spills. */
template <rule RULE, int W>
static __global__ void __launch_bounds__(BPI_CUDA_THREADS, 1) update(bpi_hyper hyper, move work)
{
    __shared__ bpi_update_scalars shared_scalars;
    __shared__ bool nonfinite;
    constexpr bool first_state = RULE != RULE_SGD, second_state = RULE == RULE_ADAM || RULE == RULE_ADAMW;
    if (threadIdx.x == 0) {
        nonfinite = work.state->nonfinite != 0;
        shared_scalars = scalars_of(hyper, *work.state);
    }
    __syncthreads();
    if (nonfinite)
        return;
    bpi_update_scalars scalars = shared_scalars;
    const float weight_decay = scalars.weight_decay, lr_weight_decay = scalars.lr_weight_decay;
    const int64_t step = (int64_t)gridDim.x * BPI_CUDA_THREADS * W;
    for (int64_t k = ((int64_t)blockIdx.x * BPI_CUDA_THREADS + threadIdx.x) * W; k < work.span; k += step) {
        if (k >= work.count) {
            move_running<W>(work, k, scalars);
            continue;
        }
        scalars.weight_decay = k < work.decayed ? weight_decay : 0.0f;
        scalars.lr_weight_decay = k < work.decayed ? lr_weight_decay : 0.0f;
        bpi_cuda_cells<W> p = read_cells<W>(work.parameters, k, work.count);
        const bpi_cuda_cells<W> g = read_cells<W>(work.gradients, k, work.count);
        bpi_cuda_cells<W> s1 = {}, s2 = {};
        if (first_state)
            s1 = read_cells<W>(work.state1, k, work.count);
        if (second_state)
            s2 = read_cells<W>(work.state2, k, work.count);
#pragma unroll
        for (int i = 0; i < W; ++i) {
            const bpi_updated next = apply<RULE>(p.v[i], bpi_clipped(g.v[i], &scalars), s1.v[i], s2.v[i], scalars);
            p.v[i] = next.parameter;
            s1.v[i] = next.state1;
            s2.v[i] = next.state2;
        }
        write_cells<W>(work.parameters, k, work.count, p);
        if (work.weights)
            write_cells<W>(work.weights, k, work.count, p);
        if (first_state)
            write_cells<W>(work.state1, k, work.count, s1);
        if (second_state)
            write_cells<W>(work.state2, k, work.count, s2);
        if (work.average)
            average_cells<W>(work, k, p, scalars);
    }
}

template <rule RULE> static void launch(cudaStream_t stream, const bpi_hyper &hyper, const move &work)
{
    const dim3 grid((unsigned)bpi_cuda_blocks_of(work.span)), block(BPI_CUDA_THREADS);
    if (in_quads(work.parameters) && in_quads(work.gradients) && in_quads(work.state1) && in_quads(work.state2) &&
        in_quads(work.running) && in_quads(work.average) && in_quads(work.weights))
        update<RULE, 4><<<grid, block, 0, stream>>>(hyper, work);
    else
        update<RULE, 1><<<grid, block, 0, stream>>>(hyper, work);
}

extern "C" cudaError_t bpi_cuda_run_update(cudaStream_t stream, const bpi_update_args *args)
{
    const bpi_hyper &hyper = *args->hyper;
    const move work = {args->state,
                       args->count,
                       args->decayed,
                       static_cast<float *>(args->parameters),
                       static_cast<const float *>(args->gradients),
                       static_cast<float *>(args->state1),
                       static_cast<float *>(args->state2),
                       static_cast<const float *>(args->running),
                       static_cast<float *>(args->average),
                       args->average || args->running ? args->whole : args->count,
                       static_cast<bpi_cuda_bf16 *>(args->weights)};
    switch (hyper.optimizer) {
    case BP_OPTIMIZER_SGD:
        if (!work.state1)
            launch<RULE_SGD>(stream, hyper, work);
        else if (!hyper.nesterov)
            launch<RULE_MOMENTUM>(stream, hyper, work);
        else
            launch<RULE_NESTEROV>(stream, hyper, work);
        break;
    case BP_OPTIMIZER_ADAM:
        launch<RULE_ADAM>(stream, hyper, work);
        break;
    case BP_OPTIMIZER_ADAMW:
        launch<RULE_ADAMW>(stream, hyper, work);
        break;
    case BP_OPTIMIZER_COUNT:
        return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}
