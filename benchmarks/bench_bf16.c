/* bench_bf16.c: a training step on the cpu backend in bf16 beside the same step in f32.
 *
 *   bench_bf16 [--threads N] [--seconds S] [--optimizer sgd|adamw] [WORD]
 *
 * For the wide networks of cases.h (every layer but the last of 1024 units or more), or those whose layers hold WORD:
 * the step in f32, the step in bf16, and one plain square product of each type in oneDNN with its own threads take
 * turns in one run: what bf16 wins, and what it could win at most with these products. BP_CPU_BF16 chooses how the
 * backend multiplies bf16. Before that, what the instructions for both do in one thread, with nothing in their way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/cases.h"
#include "benchmarks/core/machine.h"
#include "benchmarks/settings.h"
#include "benchmarks/subject.h"
#include "kernels/math/bf16.h"

enum { F32, BF16, SQUARE_F32, SQUARE_BF16, KINDS };
enum { SIDE = 2048 };

/* ---------------------------------------------------------------- instructions */

/* Twelve chains of one instruction, so that none waits for itself, on zeros; written out, as a compiler is free to keep
 * sums in memory. */
#if defined(__x86_64__)
#define CHAINS 12
#define TO(instruction, sum) instruction " %%zmm12, %%zmm13, %%zmm" #sum "\n\t"
#define TO_FOUR(instruction, a, b, c, d) TO(instruction, a) TO(instruction, b) TO(instruction, c) TO(instruction, d)
#define TO_ALL(instruction)                                                                                            \
    TO_FOUR(instruction, 0, 1, 2, 3) TO_FOUR(instruction, 4, 5, 6, 7) TO_FOUR(instruction, 8, 9, 10, 11)
#define TOUCHED                                                                                                        \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13"

static void fma_chains(int64_t count)
{
    __asm__ volatile("vpxord %%zmm12, %%zmm12, %%zmm12\n\tvpxord %%zmm13, %%zmm13, %%zmm13" ::: TOUCHED);
    for (int64_t i = 0; i < count; ++i)
        __asm__ volatile(TO_ALL("vfmadd231ps")::: TOUCHED);
}

static void dot_chains(int64_t count)
{
    __asm__ volatile("vpxord %%zmm12, %%zmm12, %%zmm12\n\tvpxord %%zmm13, %%zmm13, %%zmm13" ::: TOUCHED);
    for (int64_t i = 0; i < count; ++i)
        __asm__ volatile(TO_ALL("vdpbf16ps")::: TOUCHED);
}

/* FLOP/s of the best of some runs. */
static double rate(void (*chains)(int64_t count), double flops)
{
    double best = 0.0;
    for (int run = 0; run < 20; ++run) {
        double begin = bpb_now_s();
        chains(200000);
        double now = 200000.0 * CHAINS * flops / (bpb_now_s() - begin);
        best = now > best ? now : best;
    }
    return best;
}

static void print_instructions(void)
{
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bf16"))
        return;
    printf("one thread VFMADD231PS %.1f GFLOP/s, VDPBF16PS %.1f GFLOP/s, of 512 bits each\n",
           rate(fma_chains, 32.0) * 1e-9, rate(dot_chains, 64.0) * 1e-9);
}
#else
static void print_instructions(void) {}
#endif

/* ---------------------------------------------------------------- square products */

typedef struct squares {
    float *a, *b, *c;
    uint16_t *short_a, *short_b;
    bpb_onednn *f32, *bf16;
} squares;

static bool make_squares(int threads, squares *s)
{
    const int64_t strides[2] = {SIDE + 32, 1};
    size_t count = (size_t)SIDE * (SIDE + 32);
    float **wide[] = {&s->a, &s->b, &s->c};
    uint16_t **narrow[] = {&s->short_a, &s->short_b};
    for (int i = 0; i < 3; ++i) {
        *wide[i] = aligned_alloc(64, count * sizeof(float));
        if (!*wide[i])
            return false;
        bpb_fill(*wide[i], (int64_t)count, (uint64_t)i + 1);
    }
    for (int i = 0; i < 2; ++i) {
        *narrow[i] = aligned_alloc(64, count * sizeof(uint16_t));
        if (!*narrow[i])
            return false;
        for (size_t k = 0; k < count; ++k)
            (*narrow[i])[k] = bpi_bf16_from_float((*wide[i])[k]);
    }
    s->f32 = bpb_onednn_create(threads, SIDE, SIDE, SIDE, strides, strides, SIDE + 32, s->a, s->b, s->c);
    s->bf16 =
        bpb_onednn_create_bf16(threads, SIDE, SIDE, SIDE, strides, strides, SIDE + 32, s->short_a, s->short_b, s->c);
    return s->f32 && s->bf16;
}

static void free_squares(squares *s)
{
    bpb_onednn_destroy(s->f32);
    bpb_onednn_destroy(s->bf16);
    free(s->a);
    free(s->b);
    free(s->c);
    free(s->short_a);
    free(s->short_b);
}

static bool run_square(void *user, int64_t repeats)
{
    for (int64_t i = 0; i < repeats; ++i)
        if (bpb_onednn_run(user) != 0)
            return false;
    return true;
}

/* ---------------------------------------------------------------- one network */

static bool is_wide(const char *layers)
{
    for (const char *at = layers, *comma; (comma = strchr(at, ',')); at = comma + 1)
        if (atoi(at) < 1024)
            return false;
    return true;
}

static void print_outcome(const bpb_case *net, const bpb_rounds *rounds)
{
    char name[96];
    double square = 2.0 * SIDE * (double)SIDE * SIDE;
    bpb_statistics steps = bpb_ratio_of(rounds, F32, BF16), products = bpb_ratio_of(rounds, SQUARE_F32, SQUARE_BF16);
    snprintf(name, sizeof name, "%lld-%s", (long long)net->inputs, net->layers);
    printf("%-28s %6lld %10.2f ms %10.2f ms  %5.3f +-%4.1f %%  %7.1f %7.1f  %5.3f +-%4.1f %%  %d\n", name,
           (long long)net->batch, bpb_time_of(rounds, F32).median * 1e3, bpb_time_of(rounds, BF16).median * 1e3,
           steps.median, 100.0 * steps.spread, square / bpb_time_of(rounds, SQUARE_F32).median * 1e-9,
           square / bpb_time_of(rounds, SQUARE_BF16).median * 1e-9, products.median, 100.0 * products.spread,
           rounds->rounds);
    fflush(stdout);
}

static bool bench(bp_context *const contexts[2], squares *square, const bpb_settings *how, const bpb_case *net)
{
    bpb_setup setup = {.inputs = net->inputs,
                       .batch = net->batch,
                       .layers = net->layers,
                       .loss = net->loss,
                       .optimizer = how->optimizer};
    bpb_step_subject steps[2];
    bpb_rounds rounds;
    bool done = true;
    memset(steps, 0, sizeof steps);
    for (int i = 0; i < 2; ++i)
        done = done && bpb_step_create(contexts[i], &setup, &steps[i]);
    const bpb_subject subjects[KINDS] = {[F32] = {.run = bpb_step_run, .user = &steps[0]},
                                         [BF16] = {.run = bpb_step_run, .user = &steps[1]},
                                         [SQUARE_F32] = {.run = run_square, .user = square->f32, .sleeps = true},
                                         [SQUARE_BF16] = {.run = run_square, .user = square->bf16, .sleeps = true}};
    done = done && bpb_alternate(subjects, KINDS, how->seconds, &rounds);
    if (done)
        print_outcome(net, &rounds);
    for (int i = 0; i < 2; ++i)
        if (steps[i].context)
            bpb_step_destroy(&steps[i]);
    return done;
}

/* ---------------------------------------------------------------- the program */

static int usage(void)
{
    fprintf(stderr, "usage: bench_bf16 [--threads N] [--seconds S] [--optimizer sgd|adamw] [WORD]\n"
                    "WORD: the networks whose layers hold it, and not the wide ones\n");
    return 2;
}

static int parse(int count, char **words, bpb_settings *how)
{
    for (int i = 1; i < count; ++i)
        if (!bpb_settings_take(how, count, words, &i))
            return usage();
    return bpb_settings_valid(how) ? 0 : usage();
}

static void print_head(bp_context *const contexts[2], const bpb_settings *how)
{
    bpb_machine m;
    bpb_machine_read(&m);
    bpb_machine_print(&m);
    printf("engines    %s\n           %s\nstep       %s, norm clipping\n", bp_context_engine(contexts[0]),
           bp_context_engine(contexts[1]), bpb_optimizer_words(how->optimizer));
    print_instructions();
    printf("\n%-28s %6s %13s %13s  %-14s  %-15s  %-14s  %s\n", "network", "batch", "step in f32", "in bf16", "f32/bf16",
           "square GFLOP/s", "the same", "rounds");
}

static bool run(bp_context *const contexts[2], const bpb_settings *how)
{
    squares square = {NULL, NULL, NULL, NULL, NULL, NULL, NULL};
    bool done = make_squares(how->threads, &square);
    if (!done)
        fprintf(stderr, "bench_bf16: oneDNN makes no product of bf16 here\n");
    else
        print_head(contexts, how);
    for (size_t n = 0; done && n < bpb_case_count; ++n)
        if (how->only ? strstr(bpb_cases[n].layers, how->only) != NULL : is_wide(bpb_cases[n].layers))
            done = bench(contexts, &square, how, &bpb_cases[n]);
    free_squares(&square);
    return done;
}

int main(int count, char **words)
{
    bpb_settings how = {.threads = 2, .seconds = 10.0, .optimizer = BP_OPTIMIZER_SGD};
    int status = parse(count, words, &how);
    if (status)
        return status;
    if (bpb_refusal()) {
        fprintf(stderr, "bench_bf16: %s: nothing to time; configure with --preset release\n", bpb_refusal());
        return 1;
    }
    bp_context *contexts[2] = {NULL, NULL};
    bool done = true;
    for (int i = 0; done && i < 2; ++i) {
        bp_context_options options = {.struct_size = sizeof options,
                                      .backend = "cpu",
                                      .precision = i == 0 ? BP_PRECISION_F32 : BP_PRECISION_BF16,
                                      .threads = how.threads};
        done = bp_context_create(&options, &contexts[i]) == BP_STATUS_OK;
        if (!done)
            fprintf(stderr, "bench_bf16: %s\n", bp_last_error(contexts[i]));
    }
    done = done && run(contexts, &how);
    for (int i = 0; i < 2; ++i)
        bp_context_destroy(contexts[i]);
    return done ? 0 : 1;
}
