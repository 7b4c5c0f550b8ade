/* bench_fann.c: the FANN library beside us, for scale: one epoch of batch training of a network of the same widths.
 *
 *   bench_fann INPUTS LAYERS BATCH
 *
 * Not the same task: FANN has one thread, its own squared error, tanh-like activations, a double-rounded quadratic loop
 * over single samples, and no clipping. Speaks as bench_peer does: `step K` gives seconds of one epoch over BATCH
 * samples. */
#include <floatfann.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/core/harness.h"

enum { MOST_LAYERS = 32 };

typedef struct network {
    struct fann *net;
    struct fann_train_data *data;
} network;

static unsigned parse_widths(const char *inputs, const char *layers, unsigned widths[MOST_LAYERS])
{
    unsigned count = 0;
    widths[count++] = (unsigned)strtoul(inputs, NULL, 10);
    for (const char *at = layers; at && count < MOST_LAYERS; at = strchr(at, ',')) {
        at += *at == ',';
        widths[count++] = (unsigned)strtoul(at, NULL, 10);
    }
    return count;
}

static bool make(network *n, const char *inputs, const char *layers, unsigned batch)
{
    unsigned widths[MOST_LAYERS], count = parse_widths(inputs, layers, widths);
    unsigned outputs = widths[count - 1];
    n->net = fann_create_standard_array(count, widths);
    n->data = fann_create_train(batch, widths[0], outputs);
    if (!n->net || !n->data)
        return false;
    fann_set_activation_function_hidden(n->net, FANN_SIGMOID_SYMMETRIC_STEPWISE);
    fann_set_activation_function_output(n->net, FANN_LINEAR);
    fann_set_training_algorithm(n->net, FANN_TRAIN_BATCH);
    fann_set_learning_rate(n->net, 1e-3f);
    for (unsigned b = 0; b < batch; ++b) {
        bpb_fill(n->data->input[b], widths[0], b);
        bpb_fill(n->data->output[b], outputs, batch + b);
    }
    return true;
}

static bool run(const network *n, long count)
{
    double begin = bpb_now_s();
    for (long k = 0; k < count; ++k)
        if (!(fann_train_epoch(n->net, n->data) > 0.0f))
            return false; /* NaN, or an error of nothing */
    printf("%.9g\n", (bpb_now_s() - begin) / (double)count);
    return fflush(stdout) == 0;
}

int main(int count, char **words)
{
    if (count != 4) {
        fprintf(stderr, "usage: bench_fann INPUTS LAYERS BATCH\n");
        return 2;
    }
    network n = {NULL, NULL};
    bool done = make(&n, words[1], words[2], (unsigned)strtoul(words[3], NULL, 10));
    char line[64];
    if (done)
        printf("ready\n");
    fflush(stdout);
    while (done && fgets(line, sizeof line, stdin))
        done = strncmp(line, "step ", 5) == 0 && run(&n, strtol(line + 5, NULL, 10));
    if (!done)
        fprintf(stderr, "bench_fann: it failed\n");
    if (n.data)
        fann_destroy_train(n.data);
    if (n.net)
        fann_destroy(n.net);
    return done ? 0 : 1;
}
