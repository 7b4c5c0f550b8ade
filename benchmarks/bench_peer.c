/* bench_peer.c: our side of a comparison with other programs: one network whose data and weights come from files, and
 * whose steps are timed when standard input says so, so that several programs can take turns.
 *
 *   bench_peer INPUTS LAYERS LOSS OPTIMIZER BATCH BACKEND PRECISION THREADS X.npy Y.npy WEIGHTS.safetensors
 *
 * Each line of standard input is answered by one line: `step K`, `products K`, `onednn K`: K runs after K/4 + 1 that
 * warm up (K > 1), in seconds for one; `memory`: bytes of the plan, and by which the process grew at most; `engine`.
 * benchmarks/peers/run is what talks to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/core/machine.h"
#include "benchmarks/subject.h"

/* The index of a name in a list of the library's; -1: there is none. */
static int find(const char *name, const char *(*name_of)(int))
{
    const char *here;
    for (int i = 0; (here = name_of(i)); ++i)
        if (strcmp(here, name) == 0)
            return i;
    fprintf(stderr, "bench_peer: there is no '%s'\n", name);
    return -1;
}

static const char *loss_name(int index)
{
    return bp_loss_name((bp_loss)index);
}

static const char *optimizer_name(int index)
{
    return bp_optimizer_name((bp_optimizer)index);
}

static const char *precision_name(int index)
{
    return bp_precision_name((bp_precision)index);
}

static bool time_runs(const bpb_subject *subject, int64_t count)
{
    if (count < 1 || (count > 1 && !subject->run(subject->user, count / 4 + 1)))
        return false;
    double begin = bpb_now_s();
    if (!subject->run(subject->user, count))
        return false;
    printf("%.9g\n", (bpb_now_s() - begin) / (double)count);
    return true;
}

static bool answer(bpb_step_subject *s, const char *line)
{
    static const struct {
        const char *word;
        bool (*run)(void *user, int64_t repeats);
        bool products;
    } runs[] = {{"step ", bpb_step_run, false},
                {"products ", bpb_step_run_products, true},
                {"onednn ", bpb_step_run_onednn, true}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; ++i)
        if (strncmp(line, runs[i].word, strlen(runs[i].word)) == 0 && (s->setup.products || !runs[i].products)) {
            const bpb_subject subject = {.run = runs[i].run, .user = s};
            return time_runs(&subject, strtoll(line + strlen(runs[i].word), NULL, 10));
        }
    if (strncmp(line, "memory", 6) == 0)
        return printf("%zu %lld\n", s->plan.total_bytes, (long long)s->peak_bytes) > 0;
    if (strncmp(line, "engine", 6) == 0)
        return printf("%s\n", bp_context_engine(s->context)) > 0;
    fprintf(stderr, "bench_peer: '%s' is not understood\n", line);
    return false;
}

static bool serve(bpb_step_subject *s)
{
    char line[256];
    bool answered = printf("ready\n") > 0 && fflush(stdout) == 0;
    while (answered && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        answered = answer(s, line) && fflush(stdout) == 0;
    }
    return answered;
}

int main(int count, char **words)
{
    if (count != 12) {
        fprintf(stderr, "usage: bench_peer INPUTS LAYERS LOSS OPTIMIZER BATCH BACKEND PRECISION THREADS X Y WEIGHTS\n");
        return 2;
    }
    if (bpb_refusal()) {
        fprintf(stderr, "bench_peer: %s: nothing to time; configure with --preset release\n", bpb_refusal());
        return 1;
    }
    int loss = find(words[3], loss_name), optimizer = find(words[4], optimizer_name);
    int precision = find(words[7], precision_name);
    if (loss < 0 || optimizer < 0 || precision < 0)
        return 2;
    bp_context *context;
    bp_context_options options = {.plugin_dir = BP_BINARY_DIR,
                                  .backend = words[6],
                                  .precision = (bp_precision)precision,
                                  .threads = atoi(words[8])};
    bool done = bp_context_create(&options, &context) == BP_STATUS_OK;
    if (!done)
        fprintf(stderr, "bench_peer: %s\n", bp_last_error(context));
    bpb_setup setup = {.inputs = strtoll(words[1], NULL, 10),
                       .batch = strtoll(words[5], NULL, 10),
                       .layers = words[2],
                       .loss = (bp_loss)loss,
                       .optimizer = (bp_optimizer)optimizer,
                       .x = words[9],
                       .y = words[10],
                       .weights = words[11],
                       .products = strcmp(words[6], "cpu") == 0 && precision == BP_PRECISION_F32};
    bpb_step_subject subject;
    if (done) {
        done = bpb_step_create(context, &setup, &subject) && serve(&subject);
        bpb_step_destroy(&subject);
    }
    bp_context_destroy(context);
    return done ? 0 : 1;
}
