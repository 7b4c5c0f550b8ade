/* backprop train, eval and predict on small data: what they write, and that one can be used for the next. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/program.h"
#include "support/samples.h"
#include "support/sandbox.h"

enum { ROWS = 300, INPUTS = 4, CLASSES = 3 };

static void enter(void)
{
    bpt_sandbox_enter();
    bpt_samples("", ROWS, INPUTS, CLASSES);
    bpt_samples("test_", 100, INPUTS, CLASSES);
    bpt_samples_csv("t.csv", ROWS, INPUTS, CLASSES);
    bpt_samples_idx("images.gz", "labels.gz", ROWS, CLASSES);
}

TestSuite(cli_train, .init = enter, .fini = bpt_sandbox_leave);

#define NET " --layers 16:relu,3 --lr 0.2 --momentum 0.9 --batch 32 --backend cpu"
#define TRAIN "train --x x.npy --y y.npy --test-x test_x.npy --test-y test_y.npy" NET
#define MODEL " --backend cpu --model %s/model.safetensors"

/* Standard output that is one JSON value and nothing else. */
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

Test(cli_train, learns_and_eval_says_the_same)
{
    json_t *trained = json_of(bpt_succeed(TRAIN " --epochs 30 --out run --json"));
    json_t *judged = json_of(bpt_succeed("eval --x test_x.npy --y test_y.npy --json" MODEL, "run"));
    double accuracy = number(trained, "test_accuracy"), loss = number(trained, "test_loss");
    cr_assert(accuracy >= 0.9, "accuracy %g: chance would be 0.33", accuracy); /* three slices of the first input */
    cr_assert(number(judged, "accuracy") == accuracy);
    cr_assert(fabs(number(judged, "loss") - loss) <= 1e-8 * loss, "train wrote 9 digits of what eval says");
    cr_assert(number(judged, "rows") == 100);
    json_decref(judged);
    json_decref(trained);
}

/* Reads the rows of an NPY file that the program wrote: f32, 128 bytes of header or a multiple of 64. */
static float *read_npy(const char *path, const char *shape, size_t count)
{
    size_t size;
    char *bytes = bpt_file_read(path, &size);
    cr_assert(size > count * sizeof(float) && memcmp(bytes, "\x93NUMPY", 6) == 0, "%s is no NPY file", path);
    char header[256] = "";
    memcpy(header, bytes + 10, size - count * sizeof(float) - 10 < 255 ? size - count * sizeof(float) - 10 : 255);
    cr_assert(strstr(header, "'<f4'") && strstr(header, "False") && strstr(header, shape), "%s: %s", path, header);
    float *values = calloc(count, sizeof *values);
    cr_assert(values);
    memcpy(values, bytes + size - count * sizeof *values, count * sizeof *values);
    free(bytes);
    return values;
}

Test(cli_train, predictions_agree_with_the_accuracy_and_probabilities_with_the_logits)
{
    free(bpt_succeed(TRAIN " --epochs 10 --out run"));
    free(bpt_succeed("predict --x test_x.npy --out logits.npy" MODEL, "run"));
    free(bpt_succeed("predict --x test_x.npy --out shares.npy --probabilities" MODEL, "run"));
    json_t *judged = json_of(bpt_succeed("eval --x test_x.npy --y test_y.npy --json" MODEL, "run"));
    float *z = read_npy("logits.npy", "(100, 3)", 300), *p = read_npy("shares.npy", "(100, 3)", 300);
    char *labels = bpt_text_read("test_y.npy");
    int right = 0;
    for (int r = 0; r < 100; r++) {
        const float *row = z + 3 * r;
        double e[3] = {exp((double)row[0]), exp((double)row[1]), exp((double)row[2])};
        int64_t best = row[0] >= row[1] && row[0] >= row[2] ? 0 : row[1] >= row[2] ? 1 : 2, label;
        memcpy(&label, labels + 128 + 8 * r, sizeof label);
        right += best == label;
        for (int c = 0; c < 3; c++) {
            double want = e[c] / (e[0] + e[1] + e[2]);
            /* the same in double but for a few roundings of 2^-53; then rounded to f32 */
            cr_assert(fabs((double)p[3 * r + c] - want) <= 0x1p-23 * want);
        }
    }
    cr_assert(right > 40 && number(judged, "accuracy") == right / 100.0, "%d right", right);
    json_decref(judged);
    free(labels);
    free(z);
    free(p);
}

Test(cli_train, the_run_folder_holds_what_design_says)
{
    free(bpt_succeed(TRAIN " --epochs 3 --log-every 4 --out some/where/run"));
    char *config = bpt_text_read("some/where/run/config.json");
    json_t *options = json_of(config);
    cr_assert(number(options, "epochs") == 3 && number(options, "momentum") == 0.9 && number(options, "beta1") == 0.9);
    cr_assert(!json_object_get(options, "out") && !json_object_get(options, "resume"));
    json_decref(options);
    char *metrics = bpt_text_read("some/where/run/metrics.jsonl");
    int steps = 0, epochs = 0;
    for (char *line = strtok(metrics, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *value = json_loads(line, 0, NULL);
        bool is_epoch = json_object_get(value, "test_loss") != NULL;
        static const char *const step_keys[] = {"step", "epoch", "loss", "lr", "grad_norm", "samples_per_second"};
        static const char *const epoch_keys[] = {"step", "epoch", "test_loss", "test_accuracy"};
        for (size_t i = 0; !is_epoch && i < 6; i++)
            number(value, step_keys[i]);
        for (size_t i = 0; is_epoch && i < 4; i++)
            number(value, epoch_keys[i]);
        cr_assert(is_epoch || number(value, "lr") == 0.2);
        cr_assert(number(value, "epoch") == epochs + 1);
        steps += !is_epoch;
        epochs += is_epoch;
        json_decref(value);
    }
    free(metrics);
    cr_assert(epochs == 3);
    cr_assert(steps == 9, "%d lines of steps", steps); /* of 10 steps an epoch: 4, 8 and the last */
    cr_assert(bpt_file_exists("some/where/run/checkpoint.safetensors"));
}

Test(cli_train, same_bytes_on_every_run_and_for_one_and_two_threads)
{
    free(bpt_succeed(TRAIN " --epochs 3 --threads 1 --out one"));
    free(bpt_succeed(TRAIN " --epochs 3 --threads 2 --out two"));
    free(bpt_succeed(TRAIN " --epochs 3 --threads 2 --out again"));
    free(bpt_succeed(TRAIN " --epochs 3 --seed 1 --out seed"));
    bpt_file_same("one/model.safetensors", "two/model.safetensors");
    bpt_file_same("two/model.safetensors", "again/model.safetensors");
    char *one = bpt_text_read("one/model.safetensors");
    size_t size;
    char *seed = bpt_file_read("seed/model.safetensors", &size);
    cr_assert(memcmp(one, seed, size) != 0, "another seed gives the same model: nothing was compared");
    free(one);
    free(seed);
}

Test(cli_train, a_runs_config_gives_the_same_run_again_and_the_command_line_wins)
{
    free(bpt_succeed(
        "train --x x.npy --y y.npy --layers 16:relu,3 --batch 32 --backend cpu --epochs 3 --optimizer adamw "
        "--lr 0.01 --schedule cosine --warmup 3 --clip-norm 0.5 --out a"));
    free(bpt_succeed("train --config a/config.json --out b"));
    free(bpt_succeed("train --config a/config.json --epochs 2 --out c"));
    bpt_file_same("a/model.safetensors", "b/model.safetensors");
    bpt_file_same("a/config.json", "b/config.json");
    char *config = bpt_text_read("a/config.json"), marked[4096];
    snprintf(marked, sizeof marked, "\xef\xbb\xbf%s", config); /* as editors on Windows begin it */
    bpt_text_write("marked.json", marked);
    free(config);
    free(bpt_succeed("train --config marked.json --out d"));
    bpt_file_same("a/config.json", "d/config.json");
    json_t *options = json_of(bpt_text_read("c/config.json"));
    cr_assert(number(options, "epochs") == 2 && number(options, "clip-norm") == 0.5);
    json_decref(options);
}

Test(cli_train, a_source_on_the_command_line_replaces_the_configurations)
{
    free(bpt_succeed("train --csv t.csv --target target" NET " --epochs 2 --out table"));
    free(bpt_succeed("train --config table/config.json --x x.npy --y y.npy --out arrays"));
    bpt_file_same("table/model.safetensors", "arrays/model.safetensors"); /* nine digits are all of a float32 */
}

Test(cli_train, images_are_read_and_eval_takes_tables)
{
    json_t *images = json_of(bpt_succeed("train --idx images.gz labels.gz --test-idx images.gz labels.gz" NET
                                         " --epochs 20 --out images --json"));
    cr_assert(number(images, "test_accuracy") > 0.6);
    json_decref(images);
    free(bpt_succeed("train --csv t.csv --target target --test-csv t.csv" NET " --epochs 20 --out table"));
    json_t *table = json_of(bpt_succeed("eval --csv t.csv --target target --json" MODEL, "table"));
    cr_assert(number(table, "accuracy") > 0.8 && number(table, "rows") == ROWS);
    json_decref(table);
}

Test(cli_train, values_are_targets_of_mse_and_have_no_accuracy)
{
    json_t *run =
        json_of(bpt_succeed("train --x x.npy --y v.npy --test-x x.npy --test-y v.npy --layers 16:tanh,2 --loss "
                            "mse --optimizer adam --lr 0.01 --batch 32 --epochs 40 --backend cpu --out run --json"));
    cr_assert(number(run, "test_loss") < 0.02); /* the targets' own variance is about 0.085 */
    cr_assert(json_is_null(json_object_get(run, "test_accuracy")));
    json_decref(run);
}

Test(cli_train, weights_without_metadata_want_layers_and_then_give_the_same)
{
    free(bpt_succeed(TRAIN " --epochs 1 --no-standardize --out run"));
    free(bpt_succeed("predict --x x.npy --out a.npy" MODEL, "run"));
    free(bpt_succeed("predict --x x.npy --out b.npy --layers 16:relu,3" MODEL, "run"));
    bpt_file_same("a.npy", "b.npy");
}

#define DIVERGES "train --x x.npy --y v.npy --layers 2 --loss mse --lr 1e30 --epochs 10 --backend cpu --out run"

Test(cli_train, a_gradient_that_is_not_finite_is_told)
{
    bpt_run run = bpt_program(DIVERGES " --on-nonfinite skip");
    bpt_expect(&run, 0, "warning: step 3: the first value that is not finite is", "train --lr 1e30");
    char *metrics = bpt_text_read("run/metrics.jsonl");
    cr_assert(strstr(metrics, "\"nonfinite\":true") && strstr(metrics, "\"loss\":null"), "%s", metrics);
    cr_assert(strstr(metrics, "\"nonfinite_value\":{\"block\":"), "%s", metrics);
    free(metrics);
    bpt_run_free(&run);
}

Test(cli_train, a_run_that_diverges_stops_and_keeps_its_batch)
{
    bpt_run run = bpt_program(DIVERGES);
    bpt_expect(&run, 1, "the first value that is not finite is", "train --lr 1e30");
    bpt_run_free(&run);
    char *command = bpt_text_read("run/nonfinite/command.txt");
    cr_assert(strstr(command, "backprop grads --x 'run/nonfinite/x.npy'"), "%s", command);
    free(command);
    char *metrics = bpt_text_read("run/metrics.jsonl");
    cr_assert(strstr(metrics, "\"action\":\"stop\""), "%s", metrics);
    free(metrics);
    json_t *again = json_of(bpt_succeed("grads --x run/nonfinite/x.npy --y run/nonfinite/y.npy --layers 2 --loss mse "
                                        "--weights run/nonfinite/model.safetensors --backend cpu --out g.safetensors "
                                        "--json"));
    cr_assert(json_is_null(json_object_get(again, "loss")), "the batch overflows once more");
    json_decref(again);
}

/* ---------------------------------------------------------------- the replay of what was not finite */

enum { WIDE = 24, BAD_SAMPLE = 133 };

/* Sample BAD_SAMPLE is so large that some of WIDE outputs overflow, and which ones depends on the weights, on the masks
 * of dropout, and on the type that the sums are kept in. */
static void write_large_sample(void)
{
    float x[ROWS * INPUTS], y[ROWS * WIDE];
    for (int i = 0; i < ROWS * INPUTS; i++)
        x[i] = (float)((i * 37) % 101) / 50.5f - 1.0f;
    for (int i = 0; i < ROWS * WIDE; i++)
        y[i] = (float)((i * 53) % 97) / 48.5f - 1.0f;
    for (int i = 0; i < INPUTS; i++)
        x[BAD_SAMPLE * INPUTS + i] = (i % 2 ? -1.0f : 1.0f) * 2e37f;
    bpt_npy_f32("large.npy", x, ROWS, INPUTS);
    bpt_npy_f32("wide.npy", y, ROWS, WIDE);
}

static json_t *place_in_metrics(void)
{
    char *metrics = bpt_text_read("run/metrics.jsonl");
    char *line = strstr(metrics, "\"nonfinite_value\":");
    cr_assert(line, "%s", metrics);
    json_t *place = json_loads(line + strlen("\"nonfinite_value\":"), JSON_DISABLE_EOF_CHECK, NULL);
    cr_assert(place);
    free(metrics);
    return place;
}

/* command.txt without `backprop ` and quotes, as a person's shell would read it. */
static char *command_words(void)
{
    char *command = bpt_text_read("run/nonfinite/command.txt"), *to = command;
    cr_assert(strncmp(command, "backprop ", 9) == 0, "%s", command);
    for (const char *from = command + 9; *from; from++)
        if (*from != '\'' && *from != '\n')
            *to++ = *from;
    *to = 0;
    return command;
}

static bool same_place(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"block", "what", "tensor", "row", "column", "value"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        if (!json_equal(json_object_get(a, keys[k]), json_object_get(b, keys[k])))
            return false;
    return true;
}

/* The command with another value of one option: the place that it names then, or NULL where all is finite. */
static bool other_mask_differs(const char *words, const char *option, const json_t *place)
{
    const char *at = strstr(words, option);
    cr_assert(at, "%s in %s", option, words);
    const char *behind = strchr(at + strlen(option), ' ');
    json_t *other = json_of(bpt_succeed("%.*s%s1000%s --json", (int)(at - words), words, option, behind ? behind : ""));
    bool differs = !same_place(place, json_object_get(other, "nonfinite_value"));
    json_decref(other);
    return differs;
}

/* Trains until the sample comes up, and runs the command that was kept; the place that it names. */
static void check_replay(const char *layers, const char *options)
{
    bpt_run run = bpt_program("train --x large.npy --y wide.npy --layers %s,%d --loss mse --lr 1e-3 --batch 16 "
                              "--init-gain 4 --no-standardize --seed 5 --epochs 1 --out run%s",
                              layers, WIDE, options);
    bpt_expect(&run, 1, "the first value that is not finite is", options);
    bpt_run_free(&run);
    json_t *place = place_in_metrics();
    cr_assert(number(place, "block") == 2 && number(place, "sample") == BAD_SAMPLE, "%s: block %g", options,
              number(place, "block"));
    char *words = command_words();
    json_t *again = json_of(bpt_succeed("%s --json", words)), *replayed = json_object_get(again, "nonfinite_value");
    cr_assert(same_place(place, replayed), "%s: column %g, in the replay %g", options, number(place, "column"),
              number(replayed, "column"));
    char *text = bpt_succeed("%s", words);
    cr_assert(strstr(text, "the first value that is not finite is") && strstr(text, "in block 2, activation, row "),
              "%s", text);
    free(text);
    bool masks = strstr(layers, "dropout") != NULL;
    cr_assert(!strstr(options, "--backend") || strstr(words, options), "%s in %s", options, words);
    cr_assert(!masks || other_mask_differs(words, " --seed ", place), "%s: with the masks of another seed", options);
    cr_assert(!masks || other_mask_differs(words, " --step ", place), "%s: with the masks of another step", options);
    json_decref(again);
    json_decref(place);
    free(words);
    bpt_run removed = bpt_command("rm -r run");
    bpt_run_free(&removed);
}

Test(cli_train, the_command_that_is_kept_gives_the_same_value_that_is_not_finite)
{
    write_large_sample();
    check_replay("64:dropout=0.5", " --backend cpu");
    check_replay("64:dropout=0.5", " --backend cpu --precision f32");
    check_replay("64", " --backend cpu --precision bf16 --emulate-bf16");
}

/* The weights, and not their averages; and the micro-batch, whose rows batch norm takes together. */
Test(cli_train, the_command_that_is_kept_knows_averages_and_micro_batches)
{
    write_large_sample();
    check_replay("64:dropout=0.5", " --ema 0.9");
    check_replay("64:dropout=0.5", " --accumulate 3");
}

static double loss_of_rows(const float *x, const int64_t *y, int64_t rows, const char *options)
{
    bpt_npy_f32("part_x.npy", x, rows, INPUTS);
    bpt_npy_i64("part_y.npy", y, rows);
    json_t *answer = json_of(bpt_succeed("grads --x part_x.npy --y part_y.npy --layers 8:relu:bn,3 --weights "
                                         "run/model.safetensors --backend cpu --out g.safetensors --json%s",
                                         options));
    double loss = number(answer, "loss");
    json_decref(answer);
    return loss;
}

/* Two micro-batches of 12 and one of 8, each with its own means; the loss is the mean over all 32 samples. */
Test(cli_train, grads_takes_batch_norm_over_micro_batches)
{
    float x[32 * INPUTS];
    int64_t y[32];
    free(bpt_succeed(
        "train --x x.npy --y y.npy --layers 8:relu:bn,3 --backend cpu --no-standardize --epochs 1 --out run"));
    for (int i = 0; i < 32 * INPUTS; i++)
        x[i] = (float)((i * 37) % 101) / 50.5f - 1.0f;
    for (int i = 0; i < 32; i++)
        y[i] = i % 3;
    double cut = loss_of_rows(x, y, 32, " --batch 12"), whole = loss_of_rows(x, y, 32, "");
    double parts = 12 * loss_of_rows(x, y, 12, "") + 12 * loss_of_rows(x + 12 * INPUTS, y + 12, 12, "") +
                   8 * loss_of_rows(x + 24 * INPUTS, y + 24, 8, "");
    cr_assert(fabs(cut - parts / 32) <= 1e-5 * cut, "%.9g in micro-batches, %.9g one by one", cut, parts / 32);
    cr_assert(fabs(cut - whole) > 1e-3 * cut, "%.9g in micro-batches, %.9g at once", cut, whole);
}
