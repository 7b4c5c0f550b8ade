/* samples.c: see samples.h. */
#include "samples.h"

#include <stdlib.h>

#include "message.h"

/* SplitMix64, for samples that are the same on every machine: https://prng.di.unimi.it/splitmix64.c */
static uint64_t next_bits(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static float uniform(uint64_t *state, float least, float most)
{
    return least + (most - least) * (float)(next_bits(state) >> 40) * 0x1p-24f;
}

int samples_draw(const bp_model *model, int64_t rows, int64_t inputs, uint64_t seed, random_batch *batch)
{
    bp_loss loss = bp_model_loss(model);
    int64_t outputs = bp_model_outputs(model);
    uint64_t state = seed;
    batch->x = calloc((size_t)rows, (size_t)inputs * sizeof *batch->x);
    if (loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY)
        batch->classes = calloc((size_t)rows, sizeof *batch->classes);
    else
        batch->targets = calloc((size_t)rows, (size_t)outputs * sizeof *batch->targets);
    if (!batch->x || (!batch->classes && !batch->targets))
        return fail(STATUS_FAILED, "out of memory for %lld samples", (long long)rows);
    for (int64_t i = 0; i < rows * inputs; i++)
        batch->x[i] = uniform(&state, -2, 2);
    for (int64_t i = 0; batch->classes && i < rows; i++)
        batch->classes[i] = (int64_t)(next_bits(&state) % (uint64_t)outputs);
    float least = loss == BP_LOSS_BCE_WITH_LOGITS ? 0 : -2, most = loss == BP_LOSS_BCE_WITH_LOGITS ? 1 : 2;
    for (int64_t i = 0; batch->targets && i < rows * outputs; i++)
        batch->targets[i] = uniform(&state, least, most);
    return STATUS_OK;
}

void samples_free(random_batch *batch)
{
    free(batch->classes);
    free(batch->targets);
    free(batch->x);
    *batch = (random_batch){NULL, NULL, NULL};
}
