/* Runs that are stopped, by a signal that can be caught or by one that can't, and go on to the same bits. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/program.h"
#include "support/samples.h"
#include "support/sandbox.h"

enum { ROWS = 400, INPUTS = 5, CLASSES = 3 };

static void enter(void)
{
    bpt_sandbox_enter();
    bpt_samples("", ROWS, INPUTS, CLASSES);
}

TestSuite(cli_resume, .init = enter, .fini = bpt_sandbox_leave);

/* Long enough to be stopped in the middle: 100 steps an epoch, each with a line of metrics. */
#define NET "--x x.npy --y y.npy --test-x x.npy --test-y y.npy --layers 24:tanh,3 --backend cpu"
#define TRAIN "train " NET " --optimizer adam --schedule cosine --batch 4 --log-every 1 --epochs 12"

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static int64_t line_count(const char *path)
{
    if (!bpt_file_exists(path))
        return 0;
    char *text = bpt_text_read(path);
    int64_t lines = 0;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    free(text);
    return lines;
}

/* Starts a run and sends it the signal once its metrics have that many lines; how it ended. */
static bpt_run stop_after(const char *line, int64_t lines, int signal_number)
{
    bpt_running running = bpt_start("%s", line);
    for (int i = 0; line_count("stopped/metrics.jsonl") < lines; i++) {
        cr_assert(i < 20000, "the run does not get on");
        pause_ms(1);
    }
    kill(running.process, signal_number);
    return bpt_finish(running);
}

static void kill_after(const char *line, int64_t lines)
{
    bpt_run run = stop_after(line, lines, SIGKILL);
    cr_assert(run.status == 128 + SIGKILL, "exit status %d: it was over before it was killed", run.status);
    bpt_run_free(&run);
}

/* A signal that the program catches: it says where it stopped and how to go on. */
static void interrupt_after(const char *line, int64_t lines, int signal_number, const char *name)
{
    bpt_run run = stop_after(line, lines, signal_number);
    bpt_expect(&run, 1, name, line);
    bpt_expect(&run, 1, "; go on with: backprop train --out stopped --resume", line);
    bpt_run_free(&run);
}

/* The lines' beginnings, "step" and "epoch", are the same in both files, line by line. */
static void same_steps(const char *a, const char *b)
{
    char *texts[2] = {bpt_text_read(a), bpt_text_read(b)};
    const char *at[2] = {texts[0], texts[1]};
    while (*at[0] && *at[1]) {
        size_t length = strcspn(strstr(at[0], "epoch"), ","); /* {"step":12,"epoch":3 */
        length += (size_t)(strstr(at[0], "epoch") - at[0]);
        cr_assert(strncmp(at[0], at[1], length) == 0, "%.40s and %.40s", at[0], at[1]);
        for (int i = 0; i < 2; i++)
            at[i] += strcspn(at[i], "\n") + 1;
    }
    cr_assert(!*at[0] && !*at[1], "one file has more lines");
    free(texts[0]);
    free(texts[1]);
}

static void expect_same_end(void)
{
    free(bpt_succeed(TRAIN " --out whole"));
    free(bpt_succeed("train --out stopped --resume"));
    bpt_file_same("stopped/model.safetensors", "whole/model.safetensors");
    bpt_file_same("stopped/checkpoint.safetensors", "whole/checkpoint.safetensors");
    same_steps("stopped/metrics.jsonl", "whole/metrics.jsonl");
}

Test(cli_resume, killed_in_the_middle_it_ends_in_the_same_bits)
{
    kill_after(TRAIN " --out stopped", 250);
    cr_assert(!bpt_file_exists("stopped/model.safetensors"), "it was not stopped in the middle");
    cr_assert(bpt_file_exists("stopped/checkpoint.safetensors"));
    expect_same_end();
}

Test(cli_resume, killed_again_and_again_it_ends_in_the_same_bits)
{
    kill_after(TRAIN " --out stopped", 150);
    kill_after("train --out stopped --resume", 420);
    interrupt_after("train --out stopped --resume", 700, SIGTERM, "stopped by SIGTERM in epoch");
    expect_same_end();
}

Test(cli_resume, an_interrupt_finishes_the_step_and_goes_on_to_the_same_bits)
{
    interrupt_after(TRAIN " --out stopped", 330, SIGINT, "stopped by SIGINT in epoch");
    cr_assert(!bpt_file_exists("stopped/model.safetensors"), "it was not stopped in the middle");
    int64_t lines = line_count("stopped/metrics.jsonl");
    bpt_run run = bpt_program("train --out stopped --resume --json");
    bpt_expect(&run, 0, NULL, "--resume");
    bpt_run_free(&run);
    cr_assert(line_count("stopped/metrics.jsonl") > lines);
    free(bpt_succeed(TRAIN " --out whole"));
    bpt_file_same("stopped/model.safetensors", "whole/model.safetensors");
    same_steps("stopped/metrics.jsonl", "whole/metrics.jsonl");
}

Test(cli_resume, a_second_signal_ends_it_at_once)
{
    if (BPT_THREAD_SANITIZER)
        cr_skip_test("the thread sanitizer keeps signals back while a step runs");
    /* on the reference one step of this network takes seconds */
    bpt_running running = bpt_start("train --x x.npy --y y.npy --layers 1500:tanh,1500:tanh,3 --batch 400 --epochs 100 "
                                    "--backend reference --out stopped");
    while (!bpt_file_exists("stopped/metrics.jsonl"))
        pause_ms(1);
    pause_ms(200); /* signals are watched right after that file is made */
    kill(running.process, SIGINT);
    pause_ms(20);
    kill(running.process, SIGINT);
    bpt_run run = bpt_finish(running);
    cr_assert(run.status == 128 + SIGINT, "exit status %d: %s", run.status, run.err);
    cr_assert(!bpt_file_exists("stopped/checkpoint.safetensors"), "it did not end at once");
    bpt_run_free(&run);
}

Test(cli_resume, without_a_checkpoint_it_starts_from_the_beginning_and_says_so)
{
    /* killed in the first epoch, before the first checkpoint */
    kill_after(TRAIN " --out stopped", 20);
    cr_assert(!bpt_file_exists("stopped/checkpoint.safetensors"));
    char *text = bpt_succeed("train --out stopped --resume");
    cr_assert(strstr(text, "no checkpoint in stopped yet: starting from the beginning"), "%s", text);
    free(text);
    text = bpt_succeed(TRAIN " --out fresh --resume");
    cr_assert(strstr(text, "no checkpoint in fresh yet: starting from the beginning"), "%s", text);
    free(text);
    bpt_file_same("stopped/model.safetensors", "fresh/model.safetensors");
    same_steps("stopped/metrics.jsonl", "fresh/metrics.jsonl");
}

Test(cli_resume, more_epochs_continue_a_finished_run)
{
    free(bpt_succeed("train " NET " --momentum 0.9 --epochs 2 --out grown"));
    free(bpt_succeed("train " NET " --momentum 0.9 --epochs 5 --out whole"));
    char *text = bpt_succeed("train --out grown --resume");
    cr_assert(strstr(text, "nothing left to do: 2 epochs are done"), "%s", text);
    free(text);
    free(bpt_succeed("train --out grown --resume --epochs 5"));
    bpt_file_same("grown/model.safetensors", "whole/model.safetensors");
    bpt_file_same("grown/config.json", "whole/config.json");
    bpt_run run = bpt_program("train --out grown --resume --epochs 4");
    bpt_expect(&run, 2, "--epochs 4 is less than the run's 5", "--epochs 4");
    bpt_run_free(&run);
}

Test(cli_resume, half_a_line_of_metrics_is_cut_off)
{
    free(bpt_succeed("train " NET " --epochs 2 --out run"));
    char *before = bpt_text_read("run/metrics.jsonl");
    char torn[65536];
    snprintf(torn, sizeof torn, "%s{\"step\":9,\"epoch\":2,\"lo", before);
    bpt_text_write("run/metrics.jsonl", torn);
    free(bpt_succeed("train --out run --resume"));
    char *after = bpt_text_read("run/metrics.jsonl");
    cr_assert_str_eq(after, before);
    free(before);
    free(after);
}

Test(cli_resume, two_processes_cannot_train_in_one_folder)
{
    bpt_running running = bpt_start("train " NET " --batch 4 --log-every 1 --epochs 1000 --out stopped");
    while (line_count("stopped/metrics.jsonl") < 5)
        pause_ms(1);
    bpt_run run = bpt_program("train --out stopped --resume");
    bpt_expect(&run, 1, "another process is training in stopped", "--resume");
    bpt_run_free(&run);
    kill(running.process, SIGKILL);
    run = bpt_finish(running);
    bpt_run_free(&run);
}
