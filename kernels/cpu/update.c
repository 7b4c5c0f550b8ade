/* update.c: the gradient norm and what follows from it, and the optimiser's step, in chunks of the one array. */
#include "kernels/cpu/cpu.h"

#include "kernels/math/schedule.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static int64_t chunk_count(int64_t count, int64_t chunk)
{
    int64_t rest = count - chunk * BPI_CPU_CHUNK;
    return rest < BPI_CPU_CHUNK ? rest : BPI_CPU_CHUNK;
}

typedef struct norm {
    const bpi_cpu_loops *loops;
    const float *gradients;
    int64_t count;
    float clip_value;
    bpi_cpu_square_sum *sums; /* [chunks] */
    const bpi_observe_args *observe;
} norm;

static void norm_chunk(void *context, int64_t chunk, int thread)
{
    (void)thread;
    const norm *work = context;
    work->sums[chunk] = work->loops->square_sum(chunk_count(work->count, chunk),
                                                work->gradients + chunk * BPI_CPU_CHUNK, work->clip_value);
    if (work->observe)
        bpi_cpu_observe_gradient_chunk(work->loops, work->observe, work->gradients, chunk,
                                       chunk_count(work->count, chunk));
}

bp_status bpi_cpu_prepare(bpi_cpu *cpu, const bpi_hyper *hyper, const float *gradients, int64_t count,
                          bpi_step_state *state, const bpi_observe_args *observe)
{
    assert(hyper && gradients && state);
    norm work = {cpu->loops,     gradients, count, hyper->clip_value > 0.0 ? (float)hyper->clip_value : BPI_MATH_INF,
                 cpu->workspace, observe};
    bpi_cpu_run_chunks(cpu, gradients, count, 0, work.sums + bpi_cpu_chunks(count), norm_chunk, &work);
    if (hyper->on_nonfinite == BPI_NONFINITE_HOLD && state->nonfinite) {
        state->held += 1;
        return BP_STATUS_OK;
    }
    double sum = 0.0;
    bool nonfinite = false;
    for (int64_t c = 0; c < bpi_cpu_chunks(count); ++c) {
        sum += work.sums[c].value;
        nonfinite = nonfinite || work.sums[c].nonfinite;
    }
    nonfinite = nonfinite && hyper->on_nonfinite != BPI_NONFINITE_APPLY;
    bool adaptive = hyper->optimizer != BP_OPTIMIZER_SGD;
    int64_t next = state->step + 1;
    state->grad_norm = sqrt(sum);
    state->nonfinite = nonfinite;
    state->clip_factor = hyper->clip_norm > 0.0 ? bpi_clip_factor(state->grad_norm, hyper->clip_norm) : 1.0;
    state->lr = bpi_learning_rate(hyper, state->step);
    state->bias_correction1 = adaptive ? bpi_bias_correction(hyper->beta1, next) : 1.0;
    state->bias_correction2 = adaptive ? bpi_bias_correction(hyper->beta2, next) : 1.0;
    if (!nonfinite) {
        state->step = next;
        state->batches += state->passes;
    }
    return BP_STATUS_OK;
}

bp_status bpi_cpu_update_prepare(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients, int64_t count,
                                 bpi_step_state *state)
{
    return bpi_cpu_prepare(bpi_cpu_of(backend), hyper, gradients, count, state, NULL);
}

static bpi_update_scalars scalars_of(const bpi_hyper *hyper, const bpi_step_state *state, double weight_decay)
{
    bpi_update_settings settings = {.lr = state->lr,
                                    .momentum = hyper->momentum,
                                    .beta1 = hyper->beta1,
                                    .beta2 = hyper->beta2,
                                    .epsilon = hyper->epsilon,
                                    .bias_correction1 = state->bias_correction1,
                                    .bias_correction2 = state->bias_correction2,
                                    .weight_decay = weight_decay,
                                    .clip_value = hyper->clip_value,
                                    .clip_factor = state->clip_factor,
                                    .average_weight = bpi_average_weight(hyper->average_decay, state->step)};
    return bpi_update_scalars_of(&settings);
}

typedef struct move {
    const bpi_cpu_loops *loops;
    bpi_cpu_move decayed, plain; /* the same but for the decay */
    int64_t decayed_count, count;
    int64_t whole; /* elements to walk: count where there are neither averages nor running values */
    const float *running;
    float *average;
    uint16_t *weights; /* NULL: no bf16 copy is wanted */
    bool still;        /* nothing moves: the gradients are not finite */
    const bpi_observe_args *observe;
} move;

static void move_chunk(const move *work, int64_t chunk, int64_t first, int64_t end)
{
    int64_t border = work->decayed_count < first ? first : work->decayed_count < end ? work->decayed_count : end;
    if (first < border)
        work->loops->update(&work->decayed, first, border - first);
    if (border < end)
        work->loops->update(&work->plain, border, end - border);
    int64_t behind = first > work->count ? first : work->count, last = first + chunk_count(work->whole, chunk);
    if (work->running && behind < last)
        memcpy(work->plain.parameters + behind, work->running + (behind - work->count),
               (size_t)(last - behind) * sizeof *work->running);
    /* while the chunk is in the cache */
    if (work->average)
        work->loops->average(&work->plain.scalars, last - first, work->plain.parameters + first, work->average + first);
    if (work->weights && first < end)
        work->loops->shorten(end - first, work->plain.parameters + first, work->weights + first);
}

static void update_chunk(void *context, int64_t chunk, int thread)
{
    const move *work = context;
    int64_t first = chunk * BPI_CPU_CHUNK, end = first + BPI_CPU_CHUNK;
    end = end < work->count ? end : work->count; /* before `first` where only running values are left */
    const float *parameters = work->plain.parameters;
    float *before = NULL;
    if (work->observe && first < end) {
        before = bpi_cpu_observe_old_chunk(work->observe, work->count, thread);
        memcpy(before, parameters + first, (size_t)(end - first) * sizeof *before);
    }
    if (!work->still)
        move_chunk(work, chunk, first, end);
    if (before)
        bpi_cpu_observe_move_chunk(work->loops, work->observe, before, parameters, chunk, end - first);
}

bp_status bpi_cpu_move_parameters(bpi_cpu *cpu, const bpi_update_args *args, const bpi_observe_args *observe)
{
    if (args->state->nonfinite && !observe)
        return BP_STATUS_OK;
    move work = {.loops = cpu->loops,
                 .decayed = {.optimizer = args->hyper->optimizer,
                             .momentum = args->state1 != NULL,
                             .nesterov = args->hyper->nesterov,
                             .scalars = scalars_of(args->hyper, args->state, args->hyper->weight_decay),
                             .parameters = args->parameters,
                             .gradients = args->gradients,
                             .state1 = args->state1,
                             .state2 = args->state2},
                 .decayed_count = args->decayed,
                 .count = args->count,
                 .whole = args->average || args->running ? args->whole : args->count,
                 .running = args->running,
                 .average = args->average,
                 .weights = args->weights,
                 .still = args->state->nonfinite,
                 .observe = observe};
    work.plain = work.decayed;
    work.plain.scalars = scalars_of(args->hyper, args->state, 0.0);
    bpi_cpu_run_chunks(cpu, args->gradients, args->count, work.whole, cpu->workspace, update_chunk, &work);
    return BP_STATUS_OK;
}

bp_status bpi_cpu_update(bpi_backend *backend, const bpi_update_args *args)
{
    return bpi_cpu_move_parameters(bpi_cpu_of(backend), args, NULL);
}
