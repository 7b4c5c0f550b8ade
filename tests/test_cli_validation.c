/* backprop train with samples held back: what it keeps and says, and that a run that was stopped ends in the same. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/program.h"
#include "support/samples.h"
#include "support/sandbox.h"

enum { ROWS = 120, INPUTS = 5, CLASSES = 3 };

static void enter(void)
{
    bpt_sandbox_enter();
    bpt_samples("", ROWS, INPUTS, CLASSES);
    bpt_samples("test_", 50, INPUTS, CLASSES);
}

TestSuite(cli_validation, .init = enter, .fini = bpt_sandbox_leave);

/* It soon learns its few samples by heart. */
#define TRAIN                                                                                                          \
    "train --x x.npy --y y.npy --test-x test_x.npy --test-y test_y.npy --layers 60:relu,3 --optimizer adam "           \
    "--lr 0.05 --batch 8 --backend cpu --validation 0.3 --seed 4"

static json_t *json_of(char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    cr_assert(value, "%s in: %s", error.text, text);
    free(text);
    return value;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    cr_assert(json_is_number(value), "%s is not a number", key);
    return json_number_value(value);
}

/* The validation losses of metrics.jsonl by epoch from 1; how many. */
static int read_losses(const char *path, double *losses, int most)
{
    char *text = bpt_text_read(path);
    int count = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *value = json_loads(line, 0, NULL);
        const json_t *loss = json_object_get(value, "validation_loss");
        if (loss) {
            cr_assert(++count < most && number(value, "epoch") == count && json_object_get(value, "best"));
            cr_assert(json_is_number(json_object_get(value, "validation_accuracy")));
            losses[count] = json_number_value(loss);
        }
        json_decref(value);
    }
    free(text);
    return count;
}

Test(cli_validation, stops_early_and_keeps_the_best_model)
{
    json_t *result = json_of(bpt_succeed(TRAIN " --patience 4 --epochs 60 --out run --json"));
    double losses[64];
    int epochs = read_losses("run/metrics.jsonl", losses, 64), lowest = 1;
    for (int e = 2; e <= epochs; e++)
        lowest = losses[e] < losses[lowest] ? e : lowest;
    cr_assert(lowest > 1 && epochs < 60, "best %d of %d epochs", lowest, epochs);
    cr_expect_eq(epochs, lowest + 4);
    cr_expect(number(result, "epochs") == epochs && number(result, "best_epoch") == lowest);
    cr_expect(number(result, "validation_loss") == losses[lowest]);
    /* model.safetensors is the best epoch's: training up to there gives the same file */
    free(bpt_succeed(TRAIN " --epochs %d --out short", lowest));
    bpt_file_same("run/model.safetensors", "short/model.safetensors");
    json_t *judged =
        json_of(bpt_succeed("eval --x test_x.npy --y test_y.npy --json --backend cpu --model run/model.safetensors"));
    cr_expect(number(judged, "accuracy") == number(result, "test_accuracy"));
    cr_expect(fabs(number(judged, "loss") - number(result, "test_loss")) <= 1e-8 * number(judged, "loss"));
    json_decref(judged);
    json_decref(result);
}

Test(cli_validation, says_what_was_held_back_which_epoch_was_kept_and_why_it_stopped)
{
    char *said = bpt_succeed(TRAIN " --patience 2 --epochs 60 --out run");
    const char *const words[] = {"84 samples",
                                 "validation: 36",
                                 "validation loss",
                                 ", the best",
                                 "this is what model.safetensors holds",
                                 "2 without a lower validation loss"};
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        cr_expect_not_null(strstr(said, words[k]), "\"%s\" in:\n%s", words[k], said);
    free(said);
    said = bpt_succeed("train --out run --resume");
    cr_expect_not_null(strstr(said, "raise --patience to go on"), "%s", said);
    free(said);
    free(bpt_succeed("train --out run --resume --patience 3"));
    double losses[64];
    int before = read_losses("run/metrics.jsonl", losses, 64);
    cr_expect_gt(before, 3);
}

Test(cli_validation, stopped_after_every_epoch_it_ends_in_the_same_bits)
{
    free(bpt_succeed(TRAIN " --ema 0.8 --patience 4 --epochs 40 --out whole"));
    /* raised one by one, --epochs stops a run wherever it can */
    free(bpt_succeed(TRAIN " --ema 0.8 --patience 4 --epochs 1 --out parts"));
    for (int epochs = 2; epochs <= 12; epochs++)
        free(bpt_succeed("train --out parts --resume --epochs %d", epochs));
    free(bpt_succeed("train --out parts --resume --epochs 40"));
    bpt_file_same("parts/model.safetensors", "whole/model.safetensors");
    bpt_file_same("parts/checkpoint.safetensors", "whole/checkpoint.safetensors");
}

Test(cli_validation, a_batch_that_does_not_fit_is_walked_in_parts_and_says_so)
{
    /* on the reference, which keeps the activations of the whole batch */
#define WHOLE "train --x x.npy --y y.npy --layers 60:relu,3 --batch 120 --epochs 3 --backend reference --out "
    char *whole = bpt_succeed(WHOLE "whole");
    cr_expect_null(strstr(whole, "does not fit"), "%s", whole);
    char *parts = bpt_succeed(WHOLE "parts --memory 100000");
    cr_expect_not_null(strstr(parts, "a batch of 120 does not fit"), "%s", parts);
    cr_expect_not_null(strstr(parts, "samples at a time"), "%s", parts);
    json_t *judged[2];
    for (int k = 0; k < 2; k++)
        judged[k] = json_of(bpt_succeed(
            "eval --x x.npy --y y.npy --json --backend reference --model %s/model.safetensors", k ? "parts" : "whole"));
    /* the same means, added up in another order, three steps long */
    cr_expect(fabs(number(judged[0], "loss") - number(judged[1], "loss")) <= 1e-12, "%.17g and %.17g",
              number(judged[0], "loss"), number(judged[1], "loss"));
    json_decref(judged[0]);
    json_decref(judged[1]);
    free(whole);
    free(parts);
}
