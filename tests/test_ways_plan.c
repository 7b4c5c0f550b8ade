/* The plan of a trainer's products: which way is taken for which times, what its file holds, and which files are
 * refused. The backend is the reference with ways and a clock that the test plays; cuda's own are in test_cuda_ways. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "host/trainer.h"
#include "host/ways_plan.h"
#include "support/folder.h"
#include "support/run.h"

/* What a layer takes in microseconds, and what each way adds to it. */
typedef struct clock_times {
    double forward, backward, epilogue, mask, delta, bias, no_bias_below, one_lane;
    bp_status epilogue_status;
} clock_times;

static clock_times times;
static int64_t calls;

static bool play_way(bpi_backend *backend, const bpi_linear_spec *spec, bpi_way way, bpi_error *why)
{
    (void)backend;
    bool can = way == BPI_WAY_FORWARD ? spec->activation == BP_ACTIVATION_RELU
               : way == BPI_WAY_DELTA ? spec->below_runs && spec->below == BP_ACTIVATION_RELU
                                      : way == BPI_WAY_ONE_LANE || spec->bias;
    if (!can)
        bpi_fail(why, BP_STATUS_UNSUPPORTED, "the play has none");
    return can;
}

static bp_status play_time(bpi_backend *backend, const bpi_linear_spec *spec, bool backward, double *seconds)
{
    calls++;
    double us = backward ? times.backward : times.forward;
    if (!backward && bpi_goes(spec->ways, BPI_WAY_FORWARD)) {
        us += times.epilogue + (spec->keeps_mask ? times.mask : 0.0);
        if (times.epilogue_status != BP_STATUS_OK)
            return bpi_fail(backend->error, times.epilogue_status, "the play loses NaN");
    }
    if (backward) {
        us += bpi_goes(spec->ways, BPI_WAY_DELTA) ? times.delta : 0.0;
        us += bpi_goes(spec->ways, BPI_WAY_BIAS) ? times.bias : 0.0;
        us += bpi_goes(spec->ways, BPI_WAY_ONE_LANE) ? times.one_lane : 0.0;
        us += spec->below_runs && !spec->below_bias ? times.no_bias_below : 0.0;
    }
    *seconds = 1e-6 * us;
    return BP_STATUS_OK;
}

static bpi_ops played;
static bpt_folder folder;
static bp_context *context;
static char path[300];

static void open_play(void)
{
    folder = bpt_folder_make();
    snprintf(path, sizeof path, "%s", bpt_folder_file(&folder, "plan.json"));
    context = bpt_context("reference", 1);
    played = *context->backend->ops;
    played.linear_way = play_way;
    played.linear_time = play_time;
    context->backend->ops = &played;
    context->backend->traits.timed = true;
    times = (clock_times){.forward = 100, .backward = 200};
    calls = 0;
}

static void close_play(void)
{
    bp_context_destroy(context);
    bpt_folder_remove(&folder);
}

TestSuite(ways_plan, .init = open_play, .fini = close_play);

/* The ways of each layer as a text, such as "1 3 0"; the status where no trainer is made. */
static bp_status plan(const char *layers, int64_t batch, const char *ways, char *text)
{
    bp_model_options net = {.struct_size = sizeof net, .inputs = 6, .layers = layers};
    bp_trainer_options options = {.struct_size = sizeof options, .batch = batch, .plan = path, .ways = ways};
    bp_model *model;
    bp_trainer *trainer;
    bpi_plan_set *set;
    BPT_OK(context, bp_model_create(context, &net, &model));
    bp_status status = bp_trainer_create(model, &options, &trainer);
    text[0] = '\0';
    if (status == BP_STATUS_OK) {
        BPT_OK(context, bpi_pass_plans(trainer->pass, batch, &set));
        for (int64_t i = 0; i < model->layer_count; i++)
            sprintf(text + strlen(text), "%s%x", i ? " " : "", set->ways[i]);
    }
    bp_trainer_destroy(trainer);
    bp_model_destroy(model);
    return status;
}

#define NET "8:relu,9:relu,7:tanh,3"
enum {
    FORWARD = 1 << BPI_WAY_FORWARD,
    DELTA = 1 << BPI_WAY_DELTA,
    BIAS = 1 << BPI_WAY_BIAS,
    LANE = 1 << BPI_WAY_ONE_LANE
};

static void expect_ways(unsigned a, unsigned b, unsigned c, unsigned d)
{
    char want[64], got[64];
    snprintf(want, sizeof want, "%x %x %x %x", a, b, c, d);
    bp_status status = plan(NET, 5, NULL, got);
    cr_assert_eq(status, BP_STATUS_OK, "%s", bp_last_error(context));
    cr_expect_str_eq(got, want);
}

/* The trial of a block and a way in the file. */
static json_t *trial(int block, const char *way, json_t **root)
{
    *root = json_load_file(path, 0, NULL);
    json_t *trials = json_object_get(*root, "trials"), *one;
    size_t index;
    json_array_foreach(trials, index, one)
    {
        if (json_integer_value(json_object_get(one, "block")) == block &&
            strcmp(json_string_value(json_object_get(one, "way")), way) == 0)
            return one;
    }
    cr_assert(false, "no trial of %s at block %d", way, block);
    return NULL;
}

Test(ways_plan, takes_what_is_faster_and_nothing_else)
{
    times.epilogue = -10;
    times.mask = 1;
    times.delta = -50;
    times.bias = 5;
    times.no_bias_below = -3;
    times.one_lane = 20;
    expect_ways(FORWARD, FORWARD | DELTA, DELTA, 0);
    json_t *root, *delta = trial(2, "delta_epilogue", &root);
    cr_expect(json_is_true(json_object_get(delta, "taken")));
    /* block 1 forward, with its signs from now on, and block 2 backward */
    double without = json_real_value(json_object_get(delta, "without_us"));
    double with = json_real_value(json_object_get(delta, "with_us"));
    cr_expect(fabs(without - 290.0) < 1e-2 && fabs(with - 241.0) < 1e-2, "%g and %g", without, with);
    json_decref(root);
    json_t *lane = trial(3, "one_stream", &root);
    cr_expect(json_is_false(json_object_get(lane, "taken")));
    cr_expect_str_eq(json_string_value(json_object_get(root, "chosen")), "measured");
    json_decref(root);
    json_t *tanh = trial(3, "forward_epilogue", &root);
    cr_expect_str_eq(json_string_value(json_object_get(tanh, "reason")), "the play has none");
    cr_expect(json_is_null(json_object_get(tanh, "with_us")));
    json_decref(root);
}

Test(ways_plan, brings_the_layer_below_along_where_the_two_together_pay)
{
    times.epilogue = 5;
    times.delta = -50;
    expect_ways(FORWARD, FORWARD | DELTA, DELTA, 0);
    json_t *root, *below = trial(1, "forward_epilogue", &root);
    cr_expect(json_is_true(json_object_get(below, "taken")));
    cr_expect(strstr(json_string_value(json_object_get(below, "reason")), "with the layer above it pays"));
    json_decref(root);
}

Test(ways_plan, weighs_a_bias_gradient_by_what_it_saves_in_the_layer_above)
{
    times.bias = 5;
    times.no_bias_below = -30;
    expect_ways(BIAS, BIAS, BIAS, 0); /* nothing above the last layer gets cheaper */
}

Test(ways_plan, stays_plain_for_less_than_the_gain_that_is_wanted)
{
    times.one_lane = -3; /* of 200: below 2 % */
    expect_ways(0, 0, 0, 0);
    times.one_lane = -5;
    cr_assert_eq(remove(path), 0);
    expect_ways(LANE, LANE, LANE, LANE);
}

Test(ways_plan, by_rule_is_plain_where_the_clock_is_none)
{
    context->backend->traits.timed = false;
    times.delta = times.epilogue = -90;
    expect_ways(0, 0, 0, 0);
    cr_expect_eq(calls, 0);
    json_t *root, *one = trial(2, "delta_epilogue", &root);
    cr_expect(strstr(json_string_value(json_object_get(one, "reason")), "by rule"));
    cr_expect_str_eq(json_string_value(json_object_get(root, "chosen")), "by rule");
    json_decref(root);
}

Test(ways_plan, leaves_a_way_that_does_not_work_with_its_words_and_fails_where_the_device_does)
{
    times.epilogue = -50;
    times.epilogue_status = BP_STATUS_UNSUPPORTED;
    expect_ways(0, 0, 0, 0);
    json_t *root, *one = trial(1, "forward_epilogue", &root);
    cr_expect(strstr(json_string_value(json_object_get(one, "reason")), "loses NaN"));
    json_decref(root);
    char text[64];
    cr_assert_eq(remove(path), 0);
    times.epilogue_status = BP_STATUS_DEVICE;
    cr_expect_eq(plan(NET, 5, NULL, text), BP_STATUS_DEVICE);
    cr_expect_eq(bpt_folder_count(&folder), 0, "no file is left of a measurement that failed");
}

Test(ways_plan, read_from_its_file_gives_the_same_ways_without_timing)
{
    times.epilogue = -10;
    times.delta = -50;
    expect_ways(FORWARD, FORWARD | DELTA, DELTA, 0);
    cr_assert_gt(calls, 0);
    calls = 0;
    times = (clock_times){.forward = 1, .backward = 1, .epilogue = 9, .delta = 9, .one_lane = -0.9};
    expect_ways(FORWARD, FORWARD | DELTA, DELTA, 0);
    cr_expect_eq(calls, 0);
}

static void expect_refusal(const char *layers, int64_t batch, const char *ways, bp_status status, const char *words)
{
    char text[64];
    cr_expect_eq(plan(layers, batch, ways, text), status, "%s", bp_last_error(context));
    cr_expect(strstr(bp_last_error(context), words), "\"%s\" does not say \"%s\"", bp_last_error(context), words);
}

Test(ways_plan, of_something_else_is_refused_and_says_what_differs)
{
    times.epilogue = -50;
    expect_ways(FORWARD, FORWARD, 0, 0);
    expect_refusal("8:relu,9:relu,6:tanh,3", 5, NULL, BP_STATUS_INVALID_ARGUMENT, "layers");
    expect_refusal(NET, 6, NULL, BP_STATUS_INVALID_ARGUMENT, "where rows is 5, and here it is 6");
    expect_refusal(NET, 5, "plain", BP_STATUS_INVALID_ARGUMENT, "both given");
    strcpy(context->backend->traits.engine, "another card");
    expect_refusal(NET, 5, NULL, BP_STATUS_INVALID_ARGUMENT, "another card");
    played.linear_time = NULL;
    expect_refusal(NET, 5, NULL, BP_STATUS_UNSUPPORTED, "one way alone");
}

/* The file with `from` changed into `to`. */
static void change(const char *from, const char *to)
{
    size_t count;
    char *text = bpt_file_read(path, &count), *at = strstr(text, from);
    cr_assert_not_null(at, "the plan has no %s", from);
    char *changed = calloc(1, count + strlen(to) + 1);
    sprintf(changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    bpt_file_write(path, changed, strlen(changed));
    free(changed);
    free(text);
}

Test(ways_plan, that_is_damaged_is_refused)
{
    times.epilogue = -50;
    expect_ways(FORWARD, FORWARD, 0, 0);
    change("forward_epilogue", "backward_epilogue");
    expect_refusal(NET, 5, NULL, BP_STATUS_INVALID_ARGUMENT, "backward_epilogue");
    change("\"backward_epilogue\"", "7");
    expect_refusal(NET, 5, NULL, BP_STATUS_BAD_DATA, "no text");
    change("\"ways\"", "\"way\"");
    expect_refusal(NET, 5, NULL, BP_STATUS_BAD_DATA, "has no ways");
    change("\"blocks\"", "\"blockz\"");
    expect_refusal(NET, 5, NULL, BP_STATUS_BAD_DATA, "blocks");
    change("\"backprop_plan\"", "\"backprop_plans\"");
    expect_refusal(NET, 5, NULL, BP_STATUS_INVALID_ARGUMENT, "backprop_plan is not known");
    bpt_file_write(path, "[]", 2);
    expect_refusal(NET, 5, NULL, BP_STATUS_BAD_DATA, "no JSON object");
}

Test(ways_plan, that_names_a_way_that_cannot_be_gone_is_refused)
{
    times.epilogue = -50;
    expect_ways(FORWARD, FORWARD, 0, 0);
    change("\"forward_epilogue\"", "\"delta_epilogue\""); /* block 1 has none below */
    expect_refusal(NET, 5, NULL, BP_STATUS_UNSUPPORTED, "block 1 can't go");
}
