/* Training runs of the reference against PyTorch's in double, step by step and tensor by tensor: which parameters an
 * optimiser's weight decay shrinks, and moving averages of all tensors, tests/golden/training.json. */
#include "support/golden.h"
#include "support/judge.h"
#include "support/matrix.h"
#include "support/run.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(training_golden, .fini = bpt_clean);

typedef struct shape {
    int64_t inputs, batch, steps;
    const char *layers;
} shape;

static bp_optimizer optimizer_of(const json_t *settings)
{
    const char *word = json_string_value(json_object_get(settings, "optimizer"));
    for (int k = 0; k < BP_OPTIMIZER_COUNT; ++k)
        if (strcmp(word, bp_optimizer_name((bp_optimizer)k)) == 0)
            return (bp_optimizer)k;
    cr_assert_fail("no such optimiser: %s", word);
    return BP_OPTIMIZER_COUNT;
}

static bp_trainer_options options_of(const json_t *settings, int64_t batch)
{
    return (bp_trainer_options){.struct_size = sizeof(bp_trainer_options),
                                .batch = batch,
                                .optimizer = optimizer_of(settings),
                                .lr = bpt_golden_number(settings, "lr", 0.0),
                                .momentum = bpt_golden_number(settings, "momentum", 0.0),
                                .nesterov = bpt_golden_number(settings, "nesterov", 0.0) > 0.0,
                                .weight_decay = bpt_golden_number(settings, "weight_decay", 0.0),
                                .clip_norm = bpt_golden_number(settings, "clip_norm", 0.0),
                                .decay_all = bpt_golden_number(settings, "decay_all", 0.0) > 0.0,
                                .ema_decay = bpt_golden_number(settings, "ema_decay", 0.0)};
}

static void start(bp_context *context, bp_model *model, const json_t *values)
{
    cr_assert_eq((int64_t)json_object_size(values), bp_model_tensor_count(model), "the same tensors");
    const char *name;
    json_t *tensor;
    json_object_foreach((json_t *)values, name, tensor)
    {
        int64_t count = (int64_t)json_array_size(tensor);
        BPT_OK(context, bp_model_set_tensor(model, name, bpt_golden_doubles(tensor, count), count));
    }
}

static void compare_step(bp_context *context, const bp_model *model, const json_t *golden, const char *run,
                         int64_t step)
{
    cr_assert_gt((int64_t)json_object_size(golden), bp_model_tensor_count(model), "running statistics too");
    const char *name;
    json_t *tensor;
    json_object_foreach((json_t *)golden, name, tensor)
    {
        int64_t count = (int64_t)json_array_size(tensor);
        double *want = bpt_golden_doubles(tensor, count);
        double *got = bpt_doubles(count), *bound = bpt_doubles(count), largest = 0.0;
        BPT_OK(context, bp_model_get_tensor(model, name, got, count));
        for (int64_t k = 0; k < count; ++k)
            largest = fmax(largest, fabs(want[k]));
        /* as for the other golden files; what was found is below 1e-14 */
        for (int64_t k = 0; k < count; ++k)
            bound[k] = 1e-12 * largest;
        bpt_compare(got, want, bound, count, "%s, %s after step %lld", run, name, (long long)step + 1);
    }
}

static void follow(bp_context *context, const shape *is, const json_t *golden)
{
    const char *name = json_string_value(json_object_get(golden, "name"));
    bp_model_options network = {.struct_size = sizeof network, .inputs = is->inputs, .layers = is->layers};
    bp_trainer_options options = options_of(json_object_get(golden, "settings"), is->batch);
    bp_model *model;
    bp_trainer *trainer;
    BPT_OK(context, bp_model_create(context, &network, &model));
    BPT_OK(context, bp_trainer_create(model, &options, &trainer));
    start(context, model, json_object_get(golden, "start"));
    double *x = bpt_golden_doubles(json_object_get(golden, "x"), is->steps * is->batch * is->inputs);
    double *labels = bpt_golden_doubles(json_object_get(golden, "classes"), is->steps * is->batch);
    for (int64_t s = 0; s < is->steps; ++s) {
        float inputs[256];
        int64_t classes[64];
        cr_assert(is->batch <= 64 && is->batch * is->inputs <= 256);
        for (int64_t k = 0; k < is->batch * is->inputs; ++k)
            inputs[k] = (float)x[s * is->batch * is->inputs + k];
        for (int64_t k = 0; k < is->batch; ++k)
            classes[k] = (int64_t)labels[s * is->batch + k];
        BPT_OK(context, bp_trainer_step(trainer, inputs, classes, NULL, is->batch));
        compare_step(context, model, json_array_get(json_object_get(golden, "after"), (size_t)s), name, s);
    }
    bp_trainer_destroy(trainer);
    bp_model_destroy(model);
}

Test(training_golden, every_step_is_that_of_pytorch)
{
    json_t *root = bpt_golden_load("training.json");
    const json_t *cases = json_object_get(root, "cases");
    cr_assert_geq(json_array_size(cases), 10);
    shape is = {.inputs = (int64_t)bpt_golden_number(root, "inputs", 0.0),
                .batch = (int64_t)bpt_golden_number(root, "batch", 0.0),
                .steps = (int64_t)bpt_golden_number(root, "steps", 0.0),
                .layers = json_string_value(json_object_get(root, "layers"))};
    bp_context *context = bpt_context("reference", 1);
    for (size_t k = 0; k < json_array_size(cases); ++k)
        follow(context, &is, json_array_get(cases, k));
    bp_context_destroy(context);
    json_decref(root);
}
