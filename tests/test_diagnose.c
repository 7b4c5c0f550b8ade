/* Every warning is given by a network that has the illness, names the block, and is not given by one that has not. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backprop/backprop.h"
#include "support/run.h"

enum { ROWS = 256, INPUTS = 20, CLASSES = 5 };

/* What was warned of, by kind. */
typedef struct told {
    int count[BP_WARNING_COUNT];
    bp_warning last[BP_WARNING_COUNT];
    char text[BP_WARNING_COUNT][512];
    int lines, logged; /* of the log; layers that they tell of */
    char last_line[1024];
} told;

static void take(void *user, const bp_observation *seen)
{
    told *t = user;
    for (int64_t i = 0; i < seen->warning_count; i++) {
        const bp_warning *w = bp_observation_warning(seen, i);
        t->count[w->kind]++;
        t->last[w->kind] = *w;
        snprintf(t->text[w->kind], sizeof t->text[w->kind], "%s; %s", w->text, w->remedy);
    }
}

static void on_log(void *user, bp_log_level level, const char *text)
{
    told *t = user;
    long long step, layers = 1;
    if (level != BP_LOG_WARNING)
        return;
    if (sscanf(text, "step %lld: %lld layers: blocks", &step, &layers) != 2)
        layers = 1;
    t->lines++;
    t->logged += (int)layers;
    snprintf(t->last_line, sizeof t->last_line, "%s", text);
}

typedef struct network {
    const char *layers;
    double gain, lr, clip_norm, bias; /* bias: of the first block; 0: as it is */
    int steps;
} network;

static told train(const network *n)
{
    told t = {.logged = 0};
    bp_context_options context_options = {
        .struct_size = sizeof context_options, .backend = "cpu", .threads = 2, .log = on_log, .log_user = &t};
    bp_context *context;
    bp_model *model;
    bp_trainer *trainer;
    cr_assert_eq(bp_context_create(&context_options, &context), BP_STATUS_OK);
    bp_model_options options = {.struct_size = sizeof options,
                                .inputs = INPUTS,
                                .layers = n->layers,
                                .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY,
                                .init_gain = (float)n->gain,
                                .seed = 1};
    BPT_OK(context, bp_model_create(context, &options, &model));
    double biases[512];
    for (int i = 0; i < 512; i++)
        biases[i] = n->bias;
    if (n->bias != 0.0)
        BPT_OK(context, bp_model_set_tensor(model, "0.bias", biases, 32));
    bp_data *data = bpt_classes(context, ROWS, INPUTS, CLASSES, 7);
    bp_trainer_options trainer_options = {
        .struct_size = sizeof trainer_options, .batch = ROWS, .lr = n->lr, .clip_norm = n->clip_norm};
    BPT_OK(context, bp_trainer_create(model, &trainer_options, &trainer));
    bp_observe_options observe = {.struct_size = sizeof observe, .every = 1, .callback = take, .user = &t};
    BPT_OK(context, bp_trainer_observe(trainer, &observe));
    for (int s = 0; s < n->steps; s++)
        BPT_OK(context, bp_trainer_step_data(trainer, data, NULL, 0, ROWS));
    bp_trainer_destroy(trainer);
    bp_data_destroy(data);
    bp_model_destroy(model);
    bp_context_destroy(context);
    int all = 0;
    for (int k = 0; k < BP_WARNING_COUNT; k++)
        all += t.count[k];
    cr_assert_eq(t.logged, all, "the log tells of every warning: %d of %d", t.logged, all);
    return t;
}

#define TWELVE(block) block block block block block block block block block block block block

Test(diagnose, gives_no_warning_of_a_network_that_is_well)
{
    const network well[] = {{"32:relu,32:relu,5", 0, 0.1, 0, 0, 60},
                            {"32:tanh,32:sigmoid,5", 0, 0.1, 0, 0, 60},
                            {TWELVE("32:relu,") "5", 0, 0.01, 0, 0, 60},
                            {"32:relu,32:relu,5", 0, 0.1, 100.0, 0, 60}};
    for (size_t i = 0; i < sizeof well / sizeof well[0]; i++) {
        told t = train(&well[i]);
        for (int k = 0; k < BP_WARNING_COUNT; k++)
            cr_assert_eq(t.count[k], 0, "%s: %s", well[i].layers, t.text[k]);
    }
}

Test(diagnose, names_the_blocks_in_which_gradients_vanish_once)
{
    told t = train(&(network){TWELVE("32:sigmoid,") "5", 0, 0.1, 0, 0, 10});
    const bp_warning *w = &t.last[BP_WARNING_VANISHING];
    cr_assert(t.count[BP_WARNING_VANISHING] >= 1);
    cr_assert(w->block >= 4 && w->block < 13 && w->value < 1e-3 && w->limit == 1e-3, "block %lld, %g",
              (long long)w->block, w->value);
    cr_assert(strstr(t.text[BP_WARNING_VANISHING], "0.weight") && strstr(t.text[BP_WARNING_VANISHING], "relu"));
    cr_assert_eq(t.count[BP_WARNING_EXPLODING] + t.count[BP_WARNING_DEAD] + t.count[BP_WARNING_CLIPPING], 0);
}

Test(diagnose, tells_of_weights_that_explode_and_not_where_clipping_tames_them)
{
    network large = {TWELVE("32:relu,") "5", 3.0, 0.1, 0, 0, 1};
    told t = train(&large);
    cr_assert(t.count[BP_WARNING_EXPLODING] >= 1 && t.last[BP_WARNING_EXPLODING].value > 0.5);
    cr_assert(strstr(t.text[BP_WARNING_EXPLODING], "clip_norm"));
    large.clip_norm = 1.0;
    cr_assert_eq(train(&large).count[BP_WARNING_EXPLODING], 0);
}

/* Warnings of one step and kind are one line of the log, which names all their blocks and tells of the worst. */
Test(diagnose, tells_the_log_in_one_line_of_all_blocks_that_are_ill_alike)
{
    told t = train(&(network){TWELVE("32:relu,") "5", 3.0, 0.1, 0, 0, 1});
    cr_assert_geq(t.count[BP_WARNING_EXPLODING], 12);
    cr_assert_eq(t.lines, 1, "%d lines, the last: %s", t.lines, t.last_line);
    cr_assert(strstr(t.last_line, "step 1: 1") == t.last_line && strstr(t.last_line, " layers: blocks 1 to 1"), "%s",
              t.last_line);
    cr_assert(strstr(t.last_line, "gradients explode: one step moved the weights of block"), "%s", t.last_line);
    cr_assert(strstr(t.last_line, "clip by norm"), "%s", t.last_line);
    told apart = train(&(network){"32:tanh,16:tanh:bn,16:tanh,5", 0, 1e-9, 0, 50.0, 1});
    cr_assert_eq(apart.count[BP_WARNING_SATURATED], 1);
    cr_assert(strstr(apart.last_line, "step 1: saturated units: "), "%s", apart.last_line);
}

Test(diagnose, tells_of_dead_units_and_of_saturated_ones)
{
    told dead = train(&(network){"32:relu,5", 0, 0.1, 0, -100.0, 2});
    cr_assert_eq(dead.count[BP_WARNING_DEAD], 1, "once for the block, in two steps");
    cr_assert(dead.last[BP_WARNING_DEAD].block == 1 && dead.last[BP_WARNING_DEAD].value == 1.0);
    told saturated = train(&(network){"32:tanh,16:relu,5", 0, 0.1, 0, 50.0, 2});
    cr_assert_eq(saturated.count[BP_WARNING_SATURATED], 1);
    cr_assert(saturated.last[BP_WARNING_SATURATED].block == 1 && saturated.last[BP_WARNING_SATURATED].value == 1.0);
    cr_assert(strstr(saturated.text[BP_WARNING_SATURATED], "tanh"));
}

Test(diagnose, tells_of_clipping_that_is_always_active_after_20_steps)
{
    network clipped = {"32:relu,32:relu,5", 0, 0.1, 1e-3, 0, 19};
    cr_assert_eq(train(&clipped).count[BP_WARNING_CLIPPING], 0);
    clipped.steps = 20;
    told t = train(&clipped);
    cr_assert(t.count[BP_WARNING_CLIPPING] == 1 && t.last[BP_WARNING_CLIPPING].block == 0);
}
