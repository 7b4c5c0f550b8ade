/* The program of examples/, which also stands in README.md: the two are the same, and it trains. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/program.h"
#include "support/sandbox.h"

TestSuite(example, .init = bpt_sandbox_enter, .fini = bpt_sandbox_leave);

Test(example, readme_shows_the_program)
{
    char *readme = bpt_text_read(BP_SOURCE_DIR "/README.md");
    char *program = bpt_text_read(BP_SOURCE_DIR "/examples/train_fashion_mnist.c");
    char *shown = strstr(readme, "```c\n");
    cr_assert(shown, "README.md shows no C program");
    shown += strlen("```c\n");
    char *end = strstr(shown, "```");
    cr_assert(end, "README.md's C program has no end");
    *end = '\0';
    cr_assert_str_eq(shown, program, "README.md's program is not examples/train_fashion_mnist.c");
    free(readme);
    free(program);
}

Test(example, trains_to_a_model_that_eval_takes)
{
    if (!bpt_file_exists("/usr/share/datasets/fashion-mnist"))
        cr_skip_test("Debian's package dataset-fashion-mnist is not installed");
    bpt_run run = bpt_command(BP_BINARY_DIR "/examples/train_fashion_mnist");
    cr_assert(run.status == 0 && !*run.err, "%s", run.err);
    double accuracy = 0;
    cr_assert(sscanf(run.out, "test accuracy %lf", &accuracy) == 1, "%s", run.out);
    cr_assert(accuracy >= 0.86, "accuracy %g after 5 epochs", accuracy);
    char *judged = bpt_succeed("eval --data fashion-mnist --model model.safetensors");
    char words[64];
    snprintf(words, sizeof words, "accuracy   %.4f", accuracy);
    cr_assert(strstr(judged, words), "no \"%s\" in %s", words, judged);
    free(judged);
    bpt_run_free(&run);
}
