/* bench_observe.c: a training step that is observed beside one that is not, on the cpu backend.
 *
 *   bench_observe [--threads N] [--seconds S] [--batch B]
 *
 * 784-1024-1024-10 with relu and AdamW. The two kinds of step take turns on the same trainer, round by round; the cost
 * is the median over the rounds of (observed - plain) / plain, of neighbours in time, and its standard error as that of
 * a median. A third kind is the plain step once more: what it shows is what the measurement itself is off by. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/core/machine.h"
#include "benchmarks/subject.h"
#include "host/trainer.h"

enum { PLAIN, OBSERVED, AGAIN, KINDS };

typedef struct kind {
    bpb_step_subject *subject;
    struct bpi_observatory *observatory; /* of the trainer, in these steps */
} kind;

static bool run_steps(void *user, int64_t repeats)
{
    const kind *k = user;
    k->subject->trainer->observatory = k->observatory;
    return bpb_step_run(k->subject, repeats);
}

/* Of `other` over PLAIN; 1.25 standard deviations of a mean are one of a median, and a spread is half of what a
 * normal distribution keeps within 0.67 of them. */
static void print_cost(const char *name, const bpb_rounds *rounds, int other, bool processor)
{
    double over[BPB_MOST_ROUNDS];
    const double(*seconds)[BPB_MOST_ROUNDS] = processor ? rounds->processor : rounds->seconds;
    for (int i = 0; i < rounds->rounds; ++i)
        over[i] = seconds[other][i] / seconds[PLAIN][i];
    bpb_statistics s = bpb_summarize(over, rounds->rounds);
    double error = 1.25 * s.spread * s.median / 0.67 / sqrt((double)rounds->rounds);
    printf("%-16s %+6.2f %% +- %.2f %% (minimum %+.2f %%)\n", name, 100.0 * (s.median - 1.0), 100.0 * error,
           100.0 * (s.minimum - 1.0));
}

static bool measure(bp_context *context, int64_t batch, double seconds)
{
    bpb_setup setup = {.inputs = 784,
                       .batch = batch,
                       .layers = "1024:relu,1024:relu,10",
                       .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY,
                       .optimizer = BP_OPTIMIZER_ADAMW};
    bp_observe_options every_step = {.struct_size = sizeof every_step, .every = 1};
    bpb_step_subject s;
    bpb_rounds rounds;
    bool done = bpb_step_create(context, &setup, &s) && bp_trainer_observe(s.trainer, &every_step) == BP_STATUS_OK;
    if (done) {
        struct bpi_observatory *observatory = s.trainer->observatory;
        kind kinds[KINDS] = {{&s, NULL}, {&s, observatory}, {&s, NULL}};
        bpb_subject subjects[KINDS];
        for (int k = 0; k < KINDS; ++k)
            subjects[k] = (bpb_subject){.run = run_steps, .user = &kinds[k]};
        done = bpb_alternate(subjects, KINDS, seconds, &rounds);
        s.trainer->observatory = observatory; /* so that it is given back */
    }
    if (done) {
        printf("784-1024-1024-10, batch %lld, AdamW: %.2f ms a step, %d rounds of %lld steps\n", (long long)batch,
               bpb_time_of(&rounds, PLAIN).median * 1e3, rounds.rounds, (long long)rounds.repeats[PLAIN]);
        print_cost("observed", &rounds, OBSERVED, false);
        print_cost("plain again", &rounds, AGAIN, false);
        print_cost("observed, cpu", &rounds, OBSERVED, true);
        print_cost("plain, cpu", &rounds, AGAIN, true);
    }
    bpb_step_destroy(&s);
    return done;
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_observe [--threads N] [--seconds S] [--batch B]\n");
    return 2;
}

int main(int count, char **words)
{
    int threads = 2;
    double seconds = 15.0;
    int64_t batch = 4096;
    for (int i = 1; i + 1 < count; i += 2) {
        if (strcmp(words[i], "--threads") == 0)
            threads = atoi(words[i + 1]);
        else if (strcmp(words[i], "--seconds") == 0)
            seconds = atof(words[i + 1]);
        else if (strcmp(words[i], "--batch") == 0)
            batch = atoll(words[i + 1]);
        else
            return usage();
    }
    if (count % 2 == 0 || threads < 1 || !(seconds > 0.0) || batch < 1)
        return usage();
    const char *refusal = bpb_refusal();
    if (refusal) {
        fprintf(stderr, "bench_observe: %s\n", refusal);
        return 1;
    }
    bpb_machine machine;
    bpb_machine_read(&machine);
    bp_context *context;
    bp_context_options options = {.struct_size = sizeof options, .backend = "cpu", .threads = threads};
    bool done = bp_context_create(&options, &context) == BP_STATUS_OK;
    if (done) {
        printf("machine    %s, load average %.2f before the run; %s, commit %s\nengine     %s\n", machine.processor,
               machine.load, machine.compiler, machine.commit, bp_context_engine(context));
        done = measure(context, batch, seconds);
    }
    if (!done)
        fprintf(stderr, "bench_observe: %s\n", bp_last_error(context));
    bp_context_destroy(context);
    return done ? 0 : 1;
}
