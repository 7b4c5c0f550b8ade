/* backprop report: the table, the bars and the JSON of runs whose metrics are known, and every way that a run's folder
 * can be wrong. test_cli_report_plot.c: the pictures. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/metrics.h"
#include "support/program.h"
#include "support/samples.h"
#include "support/sandbox.h"

static void enter(void)
{
    bpt_sandbox_enter();
    setenv("LC_ALL", "C", 1); /* bars of '#' */
    setenv("COLUMNS", "80", 1);
    bpt_metrics_run("run", BPT_METRICS_PLAIN);
}

TestSuite(cli_report, .init = enter, .fini = bpt_sandbox_leave);

/* Fails the test unless `text` holds the line, whatever blanks are at its end. */
static void expect_line(const char *text, const char *line)
{
    size_t length = strlen(line);
    for (const char *at = text; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, line, length) == 0 && at[length + strspn(at + length, " ")] == '\n')
            return;
    cr_assert(false, "no line \"%s\" in:\n%s", line, text);
}

Test(cli_report, prints_a_line_for_each_epoch)
{
    char *text = bpt_succeed("report run");
    expect_line(text, "network    3 x 4:relu, 3, loss softmax_cross_entropy");
    expect_line(text, "optimiser  sgd, lr 0.1 cosine, batch 16 x 2");
    expect_line(text, "training   2 of 5 epochs, 40 steps, 3.50 s");
    expect_line(text, "loss       0.5000 at step 40");
    expect_line(text, "test       accuracy 0.7000, best 0.7500 after epoch 1; loss 0.8500");
    expect_line(text, "epoch  train loss  test loss  accuracy         lr  samples/s    time  grad norm");
    expect_line(text, "    1      1.5000     0.9000    0.7500       0.09        200  2.00 s     3.0000");
    expect_line(text, "    2      0.6000     0.8500    0.7000       0.05        300  1.50 s     1.5000");
    cr_assert(!strstr(text, "gradient of each layer") && !strstr(text, "warning"), "told of what was not observed");
    free(text);
}

/* The curve falls, so that no column is higher than the one before it. */
Test(cli_report, draws_the_loss_as_bars)
{
    char *text = bpt_succeed("report run");
    const char *chart = strstr(text, "\nloss, steps 10 to 40\n");
    cr_assert(chart, "no chart in:\n%s", text);
    expect_line(chart, "2.0000 ##################");
    cr_assert(strstr(chart, "\n0.5000 ####"), "the least value has no bar in:\n%s", text);
    free(text);
}

static int bar_of(const char *text, const char *start)
{
    const char *line = strstr(text, start);
    cr_assert(line, "no line that begins with \"%s\" in:\n%s", start, text);
    return (int)strspn(line + strlen(start) + strspn(line + strlen(start), " "), "#");
}

/* Norms of 1e-9, 1e-6, 1e-3 and 1: equal distances on a log axis. */
Test(cli_report, draws_the_gradient_of_each_layer_as_bars_on_a_log_axis)
{
    bpt_metrics_run("observed", BPT_METRICS_OBSERVED);
    char *text = bpt_succeed("report observed");
    expect_line(text, "gradient of each layer's weights at step 40, bars on a log axis");
    int bars[4] = {bar_of(text, "\n   1  4 relu"), bar_of(text, "\n   2  4 relu"), bar_of(text, "\n   3  4 relu"),
                   bar_of(text, "\n   4  3 identity")};
    cr_assert(bars[0] == 1 && bars[3] == 19, "bars of %d to %d", bars[0], bars[3]);
    for (int i = 0; i < 3; i++)
        cr_assert(abs(bars[i + 1] - bars[i] - 6) <= 1, "the bars %d and %d are %d and %d", i, i + 1, bars[i],
                  bars[i + 1]);
    cr_assert(strstr(text, " 1.00e-09  2.00e-12   25.0 %          -\n"), "no figures of layer 1 in:\n%s", text);
    free(text);
}

Test(cli_report, repeats_the_words_of_warnings)
{
    bpt_metrics_run("observed", BPT_METRICS_OBSERVED);
    char *text = bpt_succeed("report observed");
    expect_line(text, "warning    step 20: the gradient vanishes below block 3; use relu");
    free(text);
    bpt_metrics_run("nan", BPT_METRICS_NAN);
    text = bpt_succeed("report nan");
    expect_line(text, "not finite step 30: z of block 2 is nan");
    expect_line(text, "           not finite in 2 of 4 logged steps, first after step 20");
    expect_line(text, "    2         nan        nan    0.1000       0.05        300  1.50 s          -");
    free(text);
}

static json_t *report_json(const char *run)
{
    char *text = bpt_succeed("report %s --json", run);
    json_t *root = json_loads(text, 0, NULL);
    cr_assert(root, "not JSON: %s", text);
    free(text);
    return root;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    cr_assert(json_is_number(value), "no number '%s'", key);
    return json_number_value(value);
}

/* Of warnings of one kind the first, with how many there were. */
Test(cli_report, tells_warnings_of_one_kind_once)
{
    static const char dead[] =
        "{\"step\":%d,\"epoch\":1,\"warning\":{\"kind\":\"dead\",\"block\":%d,\"text\":\"block %d is "
        "dead\",\"remedy\":\"none\"}}\n";
    bpt_metrics_run("observed", BPT_METRICS_OBSERVED);
    for (int block = 1; block <= 3; block++) {
        char line[256];
        snprintf(line, sizeof line, dead, 20 + block, block, block);
        bpt_metrics_add("observed", line);
    }
    char *text = bpt_succeed("report observed");
    expect_line(text, "warning    step 20: the gradient vanishes below block 3; use relu");
    expect_line(text, "warning    step 21: block 1 is dead; none (and 2 more of this kind; --json");
    cr_assert(!strstr(text, "block 2 is dead"), "%s", text);
    free(text);
}

Test(cli_report, json_holds_all_that_the_text_tells)
{
    bpt_metrics_run("observed", BPT_METRICS_OBSERVED);
    json_t *root = report_json("observed");
    const json_t *rows = json_object_get(root, "by_epoch"), *gradients = json_object_get(root, "gradients");
    cr_assert(json_array_size(rows) == 2);
    cr_assert(number(json_array_get(rows, 1), "loss") == 0.6 && number(json_array_get(rows, 0), "seconds") == 2.0);
    cr_assert(number(json_object_get(root, "best"), "epoch") == 1 && number(root, "steps") == 40);
    cr_assert(number(gradients, "step") == 40 && number(gradients, "observed_steps") == 2);
    const json_t *first = json_array_get(json_object_get(gradients, "layers"), 0);
    cr_assert(json_array_size(json_object_get(gradients, "layers")) == 4);
    cr_assert(number(first, "grad_norm") == 1e-9 && number(first, "update_ratio") == 2e-12);
    cr_assert(number(first, "dead") == 0.25 && json_is_null(json_object_get(first, "saturated")));
    cr_assert(json_array_size(json_object_get(root, "warnings")) == 1);
    json_decref(root);
}

Test(cli_report, json_has_null_for_what_is_not_finite_or_not_there)
{
    bpt_metrics_run("nan", BPT_METRICS_NAN);
    json_t *root = report_json("nan");
    const json_t *last = json_object_get(root, "last");
    cr_assert(json_is_null(json_object_get(last, "test_loss")) && json_is_null(json_object_get(last, "loss")));
    cr_assert(number(root, "nonfinite_steps") == 2 && json_is_null(json_object_get(root, "gradients")));
    cr_assert(json_is_object(json_object_get(root, "nonfinite_value")));
    json_decref(root);
}

#define TRAIN "train --x x.npy --y y.npy --test-x x.npy --test-y y.npy --layers 8:relu,3 --batch 8 --log-every 3"

/* With validation the best epoch is the one that train kept, whatever the test set says. */
Test(cli_report, tells_what_the_validation_chose)
{
    bpt_metrics_add("run", "{\"step\":60,\"epoch\":3,\"test_loss\":0.8,\"test_accuracy\":0.72,\"validation_loss\":0.77,"
                           "\"validation_accuracy\":0.71,\"best\":true,\"epoch_seconds\":1,\"seconds\":4.5}\n"
                           "{\"step\":80,\"epoch\":4,\"test_loss\":0.7,\"test_accuracy\":0.74,\"validation_loss\":0.79,"
                           "\"validation_accuracy\":0.7,\"best\":false,\"epoch_seconds\":1,\"seconds\":5.5}\n");
    char *text = bpt_succeed("report run");
    expect_line(text, "validation loss 0.7700 after epoch 3, whose model was kept");
    expect_line(text, "test       accuracy 0.7200, loss 0.8000");
    expect_line(text, "epoch  train loss  test loss  accuracy  val loss  val acc         lr  samples/s");
    cr_assert(strstr(text, "\n    4           -     0.7000    0.7400    0.7900   0.7000"), "%s", text);
    free(text);
    json_t *root = report_json("run");
    cr_assert(number(json_object_get(root, "best"), "epoch") == 3);
    cr_assert(number(json_object_get(root, "best"), "validation_loss") == 0.77);
    json_decref(root);
}

/* A run that was resumed is told of as a whole, with what train said of it. */
Test(cli_report, tells_of_a_resumed_run_what_train_told)
{
    bpt_samples("", 40, 3, 3);
    free(bpt_succeed(TRAIN " --epochs 2 --out real --backend cpu"));
    char *said = bpt_succeed("train --out real --resume --epochs 3 --json");
    json_t *trained = json_loads(said, 0, NULL), *root = report_json("real");
    const json_t *rows = json_object_get(root, "by_epoch"), *last = json_array_get(rows, 2);
    cr_assert(json_array_size(rows) == 3, "%zu epochs", json_array_size(rows));
    cr_assert(number(last, "test_accuracy") == number(trained, "test_accuracy"));
    cr_assert(number(last, "test_loss") == number(trained, "test_loss"));
    for (size_t i = 0; i < 3; i++)
        cr_assert(number(json_array_get(rows, i), "seconds") > 0 &&
                  number(json_array_get(rows, i), "samples_per_second") > 0);
    json_decref(root);
    json_decref(trained);
    free(said);
}

Test(cli_report, passes_over_a_last_line_that_is_torn_and_lines_that_it_does_not_know)
{
    bpt_metrics_add("run", "{\"step\":41,\"epoch\":3,\"of_the_future\":{\"loss\":[]}}\n{\"step\":50,\"epo");
    char *text = bpt_succeed("report run");
    expect_line(text, "training   2 of 5 epochs, 40 steps, 3.50 s");
    free(text);
}

typedef struct bad_run {
    int status;
    const char *words;   /* separated by |: each must be in the message */
    const char *line;    /* of the command */
    const char *metrics; /* of the run "bad"; NULL: it has none */
    const char *config;
} bad_run;

#define STEP "{\"step\":1,\"epoch\":1,\"loss\":1.0,\"lr\":0.1,\"grad_norm\":1.0,\"samples_per_second\":9}\n"
#define OBSERVED(layers, tensors)                                                                                      \
    STEP "{\"step\":1,\"epoch\":1,\"observation\":{\"layers\":" layers ",\"tensors\":" tensors "}}\n" STEP
#define LAYER "{\"block\":1,\"activation\":\"relu\",\"units\":4}"

static const bad_run cases[] = {
    {2, "RUN is needed", "report", STEP, "{}"},
    {2, "'other' is not expected here", "report bad other", STEP, "{}"},
    {2, "bad.gif|.png or .svg", "report bad --plot bad.gif", STEP, "{}"},
    {2, ".png|must end in", "report bad --plot .png", STEP, "{}"},
    {1, "none/metrics.jsonl|No such file|backprop train --out", "report none", STEP, "{}"},
    {1, "bad/metrics.jsonl|No such file", "report bad", NULL, "{}"},
    {1, "Not a directory", "report bad/metrics.jsonl", STEP, "{}"},
    {1, "bad/config.json|No such file", "report bad", STEP, NULL},
    {1, "bad/config.json|not JSON|line 1", "report bad", STEP, "{"},
    {1, "bad/config.json|object", "report bad", STEP, "[]"},
    {1, "bad/metrics.jsonl|no step yet", "report bad", "", "{}"},
    {1, "bad/metrics.jsonl|no step yet", "report bad", "{\"step\":1,\"epo", "{}"},
    {1, "bad/metrics.jsonl|line 2|not a JSON object", "report bad", STEP "{\"step\":2,\n" STEP, "{}"},
    {1, "bad/metrics.jsonl|line 1|not a JSON object", "report bad", "[1]\n" STEP, "{}"},
    {1, "line 2|'lr'|number or null", "report bad", STEP "{\"step\":2,\"epoch\":1,\"loss\":1,\"lr\":\"x\"}\n", "{}"},
    {1, "line 1|'step'|whole number", "report bad", "{\"step\":-2,\"epoch\":1,\"loss\":1}\n", "{}"},
    {1, "line 1|'step'|whole number", "report bad", "{\"step\":9223372036854775807,\"epoch\":1,\"loss\":1}\n", "{}"},
    {1, "line 2|'epoch'|whole number", "report bad", STEP "{\"step\":2,\"seconds\":1}\n", "{}"},
    {1, "line 2|'layers' and 'tensors'", "report bad", OBSERVED("[]", "{}"), "{}"},
    {1, "line 2|'units'", "report bad", OBSERVED("[{}]", "{}"), "{}"},
    {1, "line 2|'block' is none", "report bad", OBSERVED("[" LAYER "]", "{\"w\":{\"block\":2}}"), "{}"},
    {1, "line 5|another network", "report bad", OBSERVED("[" LAYER "]", "{}") OBSERVED("[" LAYER "," LAYER "]", "{}"),
     "{}"},
    {1, "line 2|'warning' must be an object", "report bad", STEP "{\"step\":1,\"epoch\":1,\"warning\":3}\n", "{}"},
};

static void write_or_remove(const char *path, const char *text)
{
    remove(path);
    if (text)
        bpt_text_write(path, text);
}

Test(cli_report, says_in_one_line_what_is_wrong_with_a_run_and_touches_nothing)
{
    cr_assert(mkdir("bad", 0777) == 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bad_run *c = &cases[i];
        write_or_remove("bad/metrics.jsonl", c->metrics);
        write_or_remove("bad/config.json", c->config);
        char *before = bpt_sandbox_listing(), words[128];
        bpt_run run = bpt_program("%s", c->line);
        snprintf(words, sizeof words, "%s", c->words);
        for (char *word = strtok(words, "|"); word; word = strtok(NULL, "|"))
            bpt_expect(&run, c->status, word, c->words);
        char *after = bpt_sandbox_listing();
        cr_assert_str_eq(after, before, "%s changed files", c->words);
        bpt_run_free(&run);
        free(after);
        free(before);
    }
}

/* A table of many epochs is thinned to twenty lines, the best among them. */
Test(cli_report, lets_nothing_of_a_runs_files_move_the_cursor)
{
    bpt_metrics_run("foreign", BPT_METRICS_PLAIN);
    bpt_text_write("foreign/config.json", "{\"layers\": \"4:\\u001b[31mrelu,3\", \"loss\": \"mse\\u009b2J\\n!\"}");
    char *text = bpt_succeed("report foreign");
    cr_assert(strstr(text, "4: [31mrelu, 3, loss mse 2J !\n"), "%s", text);
    cr_assert(!strchr(text, 0x1b) && !strstr(text, "\xc2\x9b"));
    free(text);
    text = bpt_succeed("report foreign --json");
    cr_assert(strstr(text, "4:\\u001B[31mrelu,3"), "JSON holds what the file holds");
    free(text);
}

Test(cli_report, thins_a_long_table_and_keeps_the_best_epoch)
{
    for (int epoch = 3; epoch <= 100; epoch++) {
        char line[256];
        snprintf(
            line, sizeof line,
            "{\"step\":%d,\"epoch\":%d,\"test_loss\":1.0,\"test_accuracy\":%s,\"epoch_seconds\":1,\"seconds\":9}\n",
            20 * epoch, epoch, epoch == 47 ? "0.9999" : "0.5");
        bpt_metrics_add("run", line);
    }
    char *text = bpt_succeed("report run");
    cr_assert(strstr(text, "\n   47 ") && strstr(text, "\n    1 ") && strstr(text, "\n  100 "), "%s", text);
    expect_line(text, "20 of 100 epochs; --json prints all of them");
    free(text);
}
