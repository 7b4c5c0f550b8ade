/* The command line's own words: help, version, and one clear line for each way to mistype. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/program.h"
#include "support/sandbox.h"

TestSuite(cli_usage, .init = bpt_sandbox_enter, .fini = bpt_sandbox_leave);

typedef struct mistake {
    const char *line;
    const char *words; /* that the one line on standard error must hold */
} mistake;

static const mistake mistakes[] = {
    {"", "no command given; see backprop --help"},
    {"trian", "no command 'trian'; did you mean train?"},
    {"--verison", "no option '--verison'; did you mean --version?"},
    {"frobnicate", "no command 'frobnicate'; see backprop --help"},
    {"--frobnicate", "no option '--frobnicate'"},
    {"train --layer 3", "no option --layer; did you mean --layers?"},
    {"train --optim sgd", "no option --optim; did you mean --optimizer?"},
    {"train --frobnicate 3", "no option --frobnicate; see backprop train --help"},
    {"train --model m", "no option --model"},
    {"train layers", "'layers' is not expected here"},
    {"train -x", "'-x' is not expected here"},
    {"train --", "'--' is not expected here"},
    {"train --layers", "--layers: its value is missing; write --layers BLOCKS"},
    {"train --layers --out r", "--layers: its value is missing"},
    {"train --layers=", "--layers: the value is empty"},
    {"train --idx a", "--idx: its second value is missing; write --idx IMAGES LABELS"},
    {"train --resume=yes", "--resume takes no value"},
    {"train --batch 8 --batch 8", "--batch is given twice"},
    {"train --batch 8 --batch=9", "--batch is given twice"},
    {"train --batch 0", "--batch: 0 is out of range; it must be at least 1"},
    {"train --batch -3", "--batch: -3 is out of range"},
    {"train --batch 1.5", "--batch: '1.5' is not a whole number"},
    {"train --batch 8x", "--batch: '8x' is not a whole number"},
    {"train --batch 99999999999999999999", "--batch: 99999999999999999999 is out of range"},
    {"train --epochs 0", "--epochs: 0 is out of range"},
    {"train --threads 0", "--threads: 0 is out of range"},
    {"train --lr fast", "--lr: 'fast' is not a number"},
    {"train --lr nan", "--lr: 'nan' is not a number"},
    {"train --lr 1e999", "--lr: 1e999 is out of range"},
    {"train --lr -1", "--lr: -1 is out of range; it must be at least 0"},
    {"train --momentum 1", "--momentum: 1 is out of range; it must be at least 0 and less than 1"},
    {"train --clip-norm 0", "--clip-norm: 0 is out of range; it must be more than 0"},
    {"train --label-smoothing 1", "--label-smoothing: 1 is out of range"},
    {"train --loss mes", "--loss: there is no 'mes'; did you mean mse?"},
    {"train --optimizer lion", "--optimizer: there is no 'lion'; there are sgd, adam, adamw"},
    {"train --backend gpu", "--backend: there is no 'gpu'"},
    {"train --precision f16", "--precision: there is no 'f16'"},
    {"train", "--layers BLOCKS is needed"},
    {"train --layers 3", "--out RUN is needed"},
    {"train --out r --layers 3", "no data: give --data fashion-mnist"},
    {"train --out r --layers 3 --data mnist", "--data: there is no 'mnist'"},
    {"train --out r --layers 3 --x x.npy", "--x and --y go together; --y is missing"},
    {"train --out r --layers 3 --y y.npy", "--x and --y go together; --x is missing"},
    {"train --out r --layers 3 --csv t.csv", "--csv and --target go together; --target is missing"},
    {"train --out r --layers 3 --csv t.csv --target y --idx a b", "more than one source of data"},
    {"train --out r --layers 3 --csv t.csv --target y --data-dir d", "--data-dir goes with --data"},
    {"train --out r --layers 3 --x x.npy --y y.npy --test-x x.npy", "--test-y is missing"},
    {"train --out r --layers 3 --x x.npy --y y.npy --test-csv t.csv", "--test-csv goes with --csv and --target"},
    {"train --out r --layers 3 --data fashion-mnist --test-x x.npy --test-y y.npy", "brings its own test set"},
    {"eval --csv t.csv --target y", "--model FILE is needed; see backprop eval --help"},
    {"eval --csv t.csv --target y --model m --part train", "--part goes with --data"},
    {"predict --x x.npy --model m", "--out Y.npy is needed"},
    {"grads --x x.npy --y y.npy --layers 3 --out g", "--weights W.safetensors is needed"},
    {"gradcheck", "--layers BLOCKS is needed"},
    {"gradcheck --layers 3 --data fashion-mnist", "no option --data"},
};

Test(cli_usage, each_mistake_gets_one_line_and_status_2)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        bpt_run run = bpt_program("%s", mistakes[i].line);
        bpt_expect(&run, 2, mistakes[i].words, mistakes[i].line);
        cr_assert(!*run.out, "%s: standard output is not empty: %s", mistakes[i].line, run.out);
        bpt_run_free(&run);
    }
    char *listing = bpt_sandbox_listing();
    cr_assert_str_eq(listing, ". folder\n", "files were made: %s", listing);
    free(listing);
}

static const char *const commands[] = {"train", "eval", "predict", "grads", "gradcheck", "info"};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

Test(cli_usage, help_of_every_command_shows_usage_and_stays_in_80_columns)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        char usage[64];
        snprintf(usage, sizeof usage, "Usage: backprop %s ", commands[i]);
        char *text = bpt_succeed("%s --help", commands[i]);
        cr_assert(strncmp(text, usage, strlen(usage)) == 0, "%s --help begins: %.60s", commands[i], text);
        char *example = strstr(text, "\nExample\n"); /* lines to be copied are not wrapped */
        for (char *line = strtok(text, "\n"); line && (!example || line < example); line = strtok(NULL, "\n"))
            cr_assert(strlen(line) <= 80, "%s --help: %zu columns: %s", commands[i], strlen(line), line);
        free(text);
    }
}

Test(cli_usage, help_comes_even_beside_mistakes)
{
    char *text = bpt_succeed("train --batch 0 --help --frobnicate");
    cr_assert(strstr(text, "--frobnicate") == NULL && strstr(text, "--batch B"));
    free(text);
}

Test(cli_usage, help_shows_defaults_and_the_choices_of_the_library)
{
    char *text = bpt_succeed("train --help");
    static const char *const words[] = {"[128]", "[sgd]", "[0.999]", "half_mse", "xavier_uniform", "cosine", "tf32"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        cr_assert(strstr(text, words[i]), "no %s in the help", words[i]);
    free(text);
}

Test(cli_usage, top_level_help_lists_every_command)
{
    char *text = bpt_succeed("--help");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        cr_assert(strstr(text, commands[i]), "no %s in the help", commands[i]);
    free(text);
}

Test(cli_usage, version_is_the_librarys)
{
    char *text = bpt_succeed("--version");
    cr_assert_str_eq(text, "backprop 0.1.0\n");
    free(text);
}

Test(cli_usage, a_standard_output_that_takes_nothing_is_a_failure)
{
    bpt_text_write("full.sh", BP_BINARY_DIR "/cli/backprop --version > /dev/full\n");
    bpt_run run = bpt_command("sh full.sh");
    bpt_expect(&run, 1, "cannot write to standard output: No space left on device", "--version > /dev/full");
    bpt_run_free(&run);
}
