/* See update.h. */
#include "support/update.h"

#include <criterion/criterion.h>
#include <string.h>

#define ADAPTIVE .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8

const bpt_optimizer_case bpt_optimizer_cases[BPT_OPTIMIZER_CASES] = {
    {"sgd", {.optimizer = BP_OPTIMIZER_SGD, .lr = 0.1}},
    {"sgd, decay", {.optimizer = BP_OPTIMIZER_SGD, .lr = 0.03, .weight_decay = 0.01}},
    {"momentum", {.optimizer = BP_OPTIMIZER_SGD, .lr = 0.1, .momentum = 0.9}},
    {"momentum, decay, norm",
     {.optimizer = BP_OPTIMIZER_SGD, .lr = 0.1, .momentum = 0.9, .weight_decay = 0.1, .clip_norm = 0.5}},
    {"nesterov", {.optimizer = BP_OPTIMIZER_SGD, .lr = 0.1, .momentum = 0.85, .nesterov = true}},
    {"nesterov, decay, value",
     {.optimizer = BP_OPTIMIZER_SGD,
      .lr = 0.1,
      .momentum = 0.85,
      .nesterov = true,
      .weight_decay = 0.02,
      .clip_value = 0.25}},
    {"adam", {.optimizer = BP_OPTIMIZER_ADAM, .lr = 0.001, ADAPTIVE}},
    {"adam, decay", {.optimizer = BP_OPTIMIZER_ADAM, .lr = 0.01, .weight_decay = 0.1, ADAPTIVE}},
    {"adam, norm and value",
     {.optimizer = BP_OPTIMIZER_ADAM, .lr = 0.01, .clip_norm = 1.5, .clip_value = 0.5, ADAPTIVE}},
    {"adam, large epsilon", {.optimizer = BP_OPTIMIZER_ADAM, .lr = 0.01, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 0.1}},
    {"adamw", {.optimizer = BP_OPTIMIZER_ADAMW, .lr = 0.001, .weight_decay = 0.01, ADAPTIVE}},
    {"adamw, norm", {.optimizer = BP_OPTIMIZER_ADAMW, .lr = 0.02, .weight_decay = 0.1, .clip_norm = 0.5, ADAPTIVE}},
};

int bpt_states_of(const bpi_hyper *hyper)
{
    return hyper->optimizer != BP_OPTIMIZER_SGD ? 2 : hyper->momentum > 0.0 ? 1 : 0;
}

bpt_update_values bpt_update_random(bpi_type type, const bpi_hyper *hyper, int64_t count, uint64_t seed)
{
    bpt_random random = {seed};
    bpt_update_values values = {.count = count, .decayed = count};
    values.parameters = bpt_uniform(&random, type, -1.0, 1.0, count);
    values.gradients = bpt_uniform(&random, type, -1.0, 1.0, count);
    int states = bpt_states_of(hyper);
    values.state1 = states > 0 ? bpt_uniform(&random, type, -1.0, 1.0, count) : NULL;
    values.state2 = states > 1 ? bpt_uniform(&random, type, 0.0, 1.0, count) : NULL;
    return values;
}

void bpt_update_prepare(bpt_device *device, const bpi_hyper *hyper, const double *gradients, int64_t count,
                        bpi_step_state *state)
{
    bpt_matrix array = bpt_parameters(device, 1, count, 0, gradients);
    bpi_step_state *memory = bpt_upload(device, state, sizeof *state);
    bpt_reserve(device, 1, 1, array.view.ld);
    BPT_RUN(device, update_prepare, hyper, array.view.data, array.view.ld, memory);
    bpt_download(device, memory, sizeof *state, state);
    device->ops->release(device->backend, memory, sizeof *state);
    bpt_release(&array);
}

/* The copy that products read is the parameters, rounded; where nothing was updated it stays as it was. */
static void check_weights(const bpt_matrix *weights, const double *parameters, bool nonfinite)
{
    const double *copy = bpt_get(weights);
    for (int64_t k = 0; k < weights->view.cols; ++k) {
        double want = bpt_rounded(weights->type, parameters[k]);
        cr_assert(nonfinite ? isnan(copy[k]) : copy[k] == want || (isnan(copy[k]) && isnan(want)),
                  "%s: weight %lld became %g, of the parameter %g", weights->device->target->name, (long long)k,
                  copy[k], parameters[k]);
    }
}

void bpt_update_step(bpt_device *device, const bpi_hyper *hyper, bpt_update_values *values, bpi_step_state *state)
{
    bpt_update_prepare(device, hyper, values->gradients, values->count, state);
    bpt_update_apply(device, hyper, values, state);
}

void bpt_update_apply(bpt_device *device, const bpi_hyper *hyper, bpt_update_values *values,
                      const bpi_step_state *state)
{
    int64_t whole = values->count + values->behind;
    bpt_matrix parameters = bpt_parameters(device, 1, whole, 1, values->parameters);
    bpt_matrix average = bpt_parameters(device, 1, whole, 1, values->average);
    bpt_matrix running = bpt_parameters(device, 1, values->behind > 0 ? values->behind : 1, 1, values->running);
    bpt_matrix gradients = bpt_parameters(device, 1, values->count, 1, values->gradients);
    bpt_matrix state1 = bpt_parameters(device, 1, values->count, 1, values->state1);
    bpt_matrix state2 = bpt_parameters(device, 1, values->count, 1, values->state2);
    bpi_step_state *memory = bpt_upload(device, state, sizeof *state);
    bpt_matrix weights = bpt_weights(device, 1, values->count, 1, NULL);
    bool copies = device->backend->traits.weight_type != device->backend->traits.parameter_type;
    bpi_update_args args = {.hyper = hyper,
                            .state = memory,
                            .count = values->behind ? values->count : parameters.view.ld,
                            .decayed = values->decayed < values->count ? values->decayed : values->count,
                            .parameters = parameters.view.data,
                            .gradients = gradients.view.data};
    if (values->average)
        args.average = average.view.data;
    if (values->running)
        args.running = running.view.data;
    if (values->average || values->running)
        args.whole = parameters.view.ld;
    if (copies)
        args.weights = weights.view.data;
    args.state1 = values->state1 ? state1.view.data : NULL;
    args.state2 = values->state2 ? state2.view.data : NULL;
    BPT_RUN(device, update, &args);

    bpi_step_state after;
    bpt_download(device, memory, sizeof after, &after);
    cr_assert_eq(memcmp(&after, state, sizeof after), 0, "%s: update changed the step's state", device->target->name);
    values->parameters = bpt_get(&parameters);
    values->average = values->average ? bpt_get(&average) : NULL;
    values->state1 = values->state1 ? bpt_get(&state1) : NULL;
    values->state2 = values->state2 ? bpt_get(&state2) : NULL;
    if (copies)
        check_weights(&weights, values->parameters, state->nonfinite != 0);
    device->ops->release(device->backend, memory, sizeof after);
    bpt_release(&weights);
    bpt_release(&parameters);
    bpt_release(&average);
    bpt_release(&running);
    bpt_release(&gradients);
    bpt_release(&state1);
    bpt_release(&state2);
}
