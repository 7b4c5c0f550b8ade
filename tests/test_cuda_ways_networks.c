/* Whole networks on the ways that the CUDA backend's products can go besides the plain one (ops.h, bpi_way): what a
 * trainer is told of them, gradients on every set of them, and the ways of a plan file. The operations themselves:
 * test_cuda_ways.c. Runs where BP_TEST_CUDA names the plug-in. */
#include <math.h>
#include <string.h>

#include "host/trainer.h"
#include "support/cuemu.h"
#include "support/folder.h"
#include "support/judge.h"
#include "support/matrix.h"
#include "support/run.h"

#include <criterion/criterion.h>

TestSuite(cuda_ways_networks, .fini = bpt_clean);

enum { INPUTS = 13, CLASSES = 5, ROWS = 48, STEPS = 3 };

static bp_status try_ways(bp_context *context, const char *layers, const char *ways)
{
    bp_model_options net = {
        .struct_size = sizeof net, .inputs = INPUTS, .layers = layers, .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY};
    bp_trainer_options options = {.struct_size = sizeof options, .batch = ROWS, .ways = ways};
    bp_model *model;
    bp_trainer *trainer;
    BPT_OK(context, bp_model_create(context, &net, &model));
    bp_status status = bp_trainer_create(model, &options, &trainer);
    bp_trainer_destroy(trainer);
    bp_model_destroy(model);
    return status;
}

Test(cuda_ways_networks, of_a_trainer_that_no_layer_can_go_or_that_are_none_are_a_status_with_words)
{
    bpt_skip_without_cuda("cuda_test_cuda_ways_networks_lazy");
    bp_context *context = bpt_context("cuda", 1), *cpu = bpt_context("cpu", 1);
    cr_expect_eq(try_ways(context, "32:relu,5", "plain"), BP_STATUS_OK);
    cr_expect_eq(try_ways(context, "32:relu,5", "plain,"), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_eq(try_ways(context, "32:relu,5", "forward"), BP_STATUS_INVALID_ARGUMENT);
    cr_expect(strstr(bp_last_error(context), "\"forward\" is none"), "%s", bp_last_error(context));
    cr_expect_eq(try_ways(context, "32:tanh,5", "forward_epilogue,delta_epilogue"), BP_STATUS_UNSUPPORTED);
    cr_expect(strstr(bp_last_error(context), "no layer can go delta_epilogue"), "%s", bp_last_error(context));
    cr_expect_eq(try_ways(context, "32:relu,5", "delta_epilogue"), BP_STATUS_UNSUPPORTED);
    cr_expect(strstr(bp_last_error(context), "keeps no signs"), "%s", bp_last_error(context));
    cr_expect_eq(try_ways(context, "32:relu,5", "weight_split"), BP_STATUS_UNSUPPORTED);
    cr_expect(strstr(bp_last_error(context), "too few"), "%s", bp_last_error(context));
    cr_expect_eq(try_ways(cpu, "32:relu,5", "plain"), BP_STATUS_OK);
    cr_expect_eq(try_ways(cpu, "32:relu,5", "one_stream"), BP_STATUS_UNSUPPORTED);
    cr_expect(strstr(bp_last_error(cpu), "one way alone"), "%s", bp_last_error(cpu));
    bp_context_destroy(context);
    bp_context_destroy(cpu);
}

/* ---------------------------------------------------------------- whole networks */

static const char *words_of(unsigned ways)
{
    static char words[128];
    words[0] = '\0';
    for (int way = 0; way < BPI_WAYS; way++)
        if (bpi_goes(ways, (bpi_way)way)) {
            strcat(words, *words ? "," : "");
            strcat(words, bpi_way_name((bpi_way)way));
        }
    return *words ? words : "plain";
}

/* relu's delta_epilogue wants forward_epilogue; weight_split wants more rows. */
static bool fits(unsigned ways)
{
    if (bpi_goes(ways, BPI_WAY_SPLIT))
        return false;
    return bpi_goes(ways, BPI_WAY_FORWARD) || !bpi_goes(ways, BPI_WAY_DELTA);
}

static void on_tensor(void *user, const bp_verify_tensor *tensor)
{
    cr_expect(tensor->passed, "%s: %s is at %g of its bound", (const char *)user, tensor->name, tensor->worst_error);
}

enum { MOST_ROWS = 1024 };

static void verify(bp_context *context, const char *layers, int rows, unsigned ways)
{
    static float x[MOST_ROWS * INPUTS];
    static int64_t classes[MOST_ROWS];
    bp_model_options net = {.struct_size = sizeof net,
                            .inputs = INPUTS,
                            .layers = layers,
                            .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY,
                            .seed = 3};
    bp_model *model;
    BPT_OK(context, bp_model_create(context, &net, &model));
    for (int k = 0; k < rows * INPUTS; k++)
        x[k] = sinf((float)k);
    for (int b = 0; b < rows; b++)
        classes[b] = b % CLASSES;
    bool passed;
    char words[128];
    strcpy(words, words_of(ways));
    bp_verify_options options = {.struct_size = sizeof options, .tensor = on_tensor, .user = words, .ways = words};
    bpt_ok(context, bp_verify(model, x, classes, NULL, rows, &options, &passed), words);
    cr_expect(passed, "%s %s", layers, words);
    bp_model_destroy(model);
}

Test(cuda_ways_networks, all_together_and_one_by_one_are_within_the_bounds_of_the_reference)
{
    bpt_skip_without_cuda("cuda_test_cuda_ways_networks_lazy");
    bp_context *context = bpt_context("cuda", 1);
    for (unsigned ways = 0; ways < 1u << BPI_WAYS; ways++)
        if (fits(ways)) {
            verify(context, "33:relu,24:gelu_tanh,40:relu,17:relu:nobias,5", ROWS, ways);
            verify(context, "32:relu:bn,24:relu,19:tanh,24:relu:dropout=0.2,20:relu,5:relu", ROWS, ways);
        }
    verify(context, "32:relu,16:tanh,5", MOST_ROWS, 1u << BPI_WAY_SPLIT);
    verify(context, "32:relu,16:relu,5", MOST_ROWS,
           1u << BPI_WAY_SPLIT | 1u << BPI_WAY_FORWARD | 1u << BPI_WAY_DELTA | 1u << BPI_WAY_ONE_LANE);
    bp_context_destroy(context);
}

typedef struct training {
    bp_context *context;
    bp_model *model;
    bp_data *data;
    bp_trainer *trainer;
} training;

static training open_training(const char *ways)
{
    training t = {.context = bpt_context("cuda", 1)};
    bp_model_options net = {.struct_size = sizeof net,
                            .inputs = INPUTS,
                            .layers = "33:relu,24:gelu_tanh,40:relu,17:relu,5",
                            .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY};
    bpt_ok(t.context, bp_model_create(t.context, &net, &t.model), "model");
    t.data = bpt_classes(t.context, ROWS, INPUTS, CLASSES, 7);
    bp_trainer_options options = {.struct_size = sizeof options,
                                  .batch = 20, /* parts of 20, 20 and 8 */
                                  .accumulate = 3,
                                  .optimizer = BP_OPTIMIZER_ADAMW,
                                  .clip_norm = 1.0,
                                  .ways = ways};
    bpt_ok(t.context, bp_trainer_create(t.model, &options, &t.trainer), "trainer");
    return t;
}

/* The parameters after a few steps, of which the last are replayed. */
static double *train(const char *ways, int64_t *count)
{
    training t = open_training(ways);
    for (int s = 0; s < STEPS; s++)
        bpt_ok(t.context, bp_trainer_step_data(t.trainer, t.data, NULL, 0, ROWS), "step");
    double *values = bpt_model_parameters(t.context, t.model, count);
    bp_trainer_destroy(t.trainer);
    bp_data_destroy(t.data);
    bp_model_destroy(t.model);
    bp_context_destroy(t.context);
    return values;
}

Test(cuda_ways_networks, give_the_same_bits_on_every_run)
{
    bpt_skip_without_cuda("cuda_test_cuda_ways_networks_lazy");
    static const char *const ways[] = {"forward_epilogue,delta_epilogue", "forward_epilogue,delta_epilogue,weight_bias",
                                       "weight_bias,one_stream"};
    int64_t count;
    for (int i = 0; i < 3; i++) {
        double *first = train(ways[i], &count), *again = train(ways[i], &count);
        bpt_same_bits(first, again, count, "%s", ways[i]);
        free(first);
        free(again);
    }
}

/* The order of two products that read the same is none of their business. */
Test(cuda_ways_networks, one_stream_gives_the_bits_of_two)
{
    bpt_skip_without_cuda("cuda_test_cuda_ways_networks_lazy");
    int64_t count;
    double *one = train("one_stream", &count), *two = train(NULL, &count);
    bpt_same_bits(one, two, count, "parameters");
    free(one);
    free(two);
}

/* ---------------------------------------------------------------- plans */

/* A plan's file made by this trainer, or read. */
static double *train_by_plan(const char *path, bool timed, int64_t *count)
{
    bp_context *context = bpt_context("cuda", 1);
    context->backend->traits.timed = timed;
    bp_model_options net = {.struct_size = sizeof net, .inputs = INPUTS, .layers = "24:relu,16:relu,5", .seed = 4};
    bp_model *model;
    bp_trainer *trainer;
    bpt_ok(context, bp_model_create(context, &net, &model), "model");
    bp_trainer_options options = {.struct_size = sizeof options, .batch = ROWS, .plan = path};
    bpt_ok(context, bp_trainer_create(model, &options, &trainer), "trainer");
    bp_data *data = bpt_classes(context, ROWS, INPUTS, CLASSES, 7);
    for (int s = 0; s < STEPS; s++)
        bpt_ok(context, bp_trainer_step_data(trainer, data, NULL, 0, ROWS), "step");
    double *values = bpt_model_parameters(context, model, count);
    bp_trainer_destroy(trainer);
    bp_data_destroy(data);
    bp_model_destroy(model);
    bp_context_destroy(context);
    return values;
}

/* Whatever an emulator's clock makes of it: all ways are timed, and the file repeats the choice. */
Test(cuda_ways_networks, of_a_plan_that_was_measured_give_the_same_bits_when_it_is_read)
{
    bpt_skip_without_cuda("cuda_test_cuda_ways_networks_lazy");
    bpt_folder folder = bpt_folder_make();
    const char *path = bpt_folder_file(&folder, "plan.json");
    int64_t count;
    double *made = train_by_plan(path, true, &count), *again = train_by_plan(path, true, &count);
    bpt_same_bits(made, again, count, "parameters");
    free(made);
    free(again);
    bpt_folder_remove(&folder);
}

Test(cuda_ways_networks, of_a_plan_without_a_clock_are_plain)
{
    bpt_skip_without_cuda("cuda_test_cuda_ways_networks_lazy");
    bpt_folder folder = bpt_folder_make();
    bp_context *context = bpt_context("cuda", 1);
    cr_expect_eq(context->backend->traits.timed, !bpt_on_cuemu());
    bp_context_destroy(context);
    const char *path = bpt_folder_file(&folder, "plan.json");
    int64_t count;
    free(train_by_plan(path, false, &count));
    size_t bytes;
    char *text = bpt_file_read(path, &bytes);
    cr_expect(strstr(text, "\"chosen\": \"by rule\"") && !strstr(text, "\"taken\": true"), "%s", text);
    free(text);
    bpt_folder_remove(&folder);
}
