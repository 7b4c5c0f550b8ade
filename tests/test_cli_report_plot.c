/* backprop report --plot: whole pictures in both formats, with what they must show; and where gnuplot is not there, or
 * fails, one line, and the old picture as it was. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/metrics.h"
#include "support/program.h"
#include "support/sandbox.h"

static void enter(void)
{
    bpt_sandbox_enter();
    bpt_metrics_run("plain", BPT_METRICS_PLAIN);
    bpt_metrics_run("observed", BPT_METRICS_OBSERVED);
    bpt_metrics_run("nan", BPT_METRICS_NAN);
}

TestSuite(cli_report_plot, .init = enter, .fini = bpt_sandbox_leave);

static void need_gnuplot(void)
{
    if (system("gnuplot --version > /dev/null 2>&1") != 0)
        cr_skip_test("gnuplot is not installed");
}

static void expect_words(const char *svg, const char *const *words)
{
    for (; *words; words++)
        cr_assert(strstr(svg, *words), "the picture does not say \"%s\"", *words);
}

static char *draw(const char *run, const char *path)
{
    free(bpt_succeed("report %s --plot %s", run, path));
    return bpt_text_read(path);
}

#define STEPS_WORDS                                                                                                    \
    "Loss", "Accuracy", "Learning rate", "Gradient norm", "share of right answers", "step", "clipped to 1"

Test(cli_report_plot, draws_the_curves_of_any_run)
{
    static const char *const words[] = {STEPS_WORDS, "plain", "3 x 4:relu, 3", "best: 0.7500 after epoch 1", NULL};
    need_gnuplot();
    char *svg = draw("plain", "a.svg");
    cr_assert(strncmp(svg, "<?xml", 5) == 0 && strstr(svg, "</svg>"), "not a whole SVG");
    expect_words(svg, words);
    cr_assert(!strstr(svg, "by layer"), "panels of what was not observed");
    free(svg);
}

Test(cli_report_plot, draws_the_layers_of_an_observed_run)
{
    static const char *const words[] = {STEPS_WORDS,
                                        "Gradient norm by layer at step 40 (bars) and 1 (dots)",
                                        "Gradient norm by layer, over time",
                                        "norm of update / norm of weights",
                                        "Dead relu units at step 40",
                                        "layer (block 1 takes the input)",
                                        NULL};
    need_gnuplot();
    char *svg = draw("observed", "a.svg");
    expect_words(svg, words);
    free(svg);
}

Test(cli_report_plot, marks_where_a_run_is_not_finite_from)
{
    static const char *const words[] = {"not finite after step 20", NULL};
    need_gnuplot();
    char *svg = draw("nan", "a.svg");
    expect_words(svg, words);
    free(svg);
}

Test(cli_report_plot, draws_a_run_of_one_step_and_one_without_a_finite_value)
{
    static const char *const words[] = {"no finite value in this run", NULL};
    need_gnuplot();
    bpt_text_write("plain/metrics.jsonl", "{\"step\":1,\"epoch\":1,\"loss\":2.5,\"lr\":0.1,\"grad_norm\":1,"
                                          "\"samples_per_second\":9}\n");
    free(draw("plain", "one.svg"));
    bpt_text_write("nan/metrics.jsonl", "{\"step\":0,\"epoch\":1,\"loss\":null,\"lr\":0.1,\"grad_norm\":null,"
                                        "\"samples_per_second\":9}\n");
    char *svg = draw("nan", "none.svg");
    expect_words(svg, words);
    free(svg);
}

/* The axis is logarithmic: it ends at 10, not just above the curve, and 0.000001 is short enough to stand beside it. */
Test(cli_report_plot, a_gradient_norm_leaves_room_for_the_legend_and_for_the_axis_name)
{
    static const char line[] = "{\"step\":%d,\"epoch\":1,\"loss\":2.5,\"lr\":0.1,\"grad_norm\":%s}\n";
    static const char *const norms[] = {"0.9", "1.02", "0.000002"};
    char text[1024];
    size_t used = 0;
    need_gnuplot();
    for (int i = 0; i < 3; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, line, i + 1, norms[i]);
        bpt_text_write("plain/metrics.jsonl", text);
        char *svg = draw("plain", "norm.svg");
        cr_assert(i < 1 || strstr(svg, ">10<") || strstr(svg, "> 10<"), "the axis ends in the legend");
        cr_assert(i < 2 || strstr(svg, ">1e-06<") || strstr(svg, "> 1e-06<"), "the axis's numbers are long");
        free(svg);
    }
}

Test(cli_report_plot, a_png_is_one_and_the_name_may_hold_anything)
{
    static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    need_gnuplot();
    static const char name[] = "it's;`a`$(b)|\"c\".PNG";
    free(bpt_succeed("report observed --plot %s", name));
    size_t size;
    char *png = bpt_file_read(name, &size);
    cr_assert(size > 10000 && memcmp(png, signature, 8) == 0, "%zu bytes that are no PNG", size);
    free(png);
    cr_assert(rename("observed", "it's;'$(b)") == 0);
    free(draw("it's;'$(b)", "b.svg"));
}

Test(cli_report_plot, draws_validation_beside_test)
{
    static const char *const words[] = {"test", "validation", "kept: 0.7100 after epoch 3", NULL};
    need_gnuplot();
    bpt_metrics_add("plain", "{\"step\":60,\"epoch\":3,\"validation_loss\":0.77,\"validation_accuracy\":0.71,"
                             "\"best\":true,\"epoch_seconds\":1,\"seconds\":4.5}\n");
    char *svg = draw("plain", "a.svg");
    expect_words(svg, words);
    free(svg);
}

/* A gnuplot that a test writes. */
static void write_gnuplot(const char *body)
{
    char text[512];
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", body);
    if (!bpt_file_exists("bin"))
        cr_assert(mkdir("bin", 0777) == 0);
    bpt_text_write("bin/gnuplot", text);
    cr_assert(chmod("bin/gnuplot", 0777) == 0);
    setenv("PATH", "bin:/usr/bin:/bin", 1);
}

/* Expects that status, one line with the words, and that no file changed: the old picture is kept, nothing is left. */
static void expect_kept(int status, const char *words, const char *line)
{
    char *before = bpt_sandbox_listing();
    bpt_run run = bpt_program("%s", line);
    bpt_expect(&run, status, words, line);
    char *after = bpt_sandbox_listing();
    cr_assert_str_eq(after, before, "%s changed files", line);
    bpt_run_free(&run);
    free(after);
    free(before);
}

Test(cli_report_plot, a_gnuplot_that_is_missing_or_fails_leaves_the_old_picture)
{
    bpt_text_write("old.svg", "the old picture");
    setenv("PATH", "nowhere", 1);
    expect_kept(1, "gnuplot-nox", "report plain --plot old.svg");
    write_gnuplot("echo 'line 3: no such terminal' >&2; exit 1");
    expect_kept(1, "gnuplot cannot draw old.svg: line 3: no such terminal", "report plain --plot old.svg");
    write_gnuplot("kill -9 $$");
    expect_kept(1, "gnuplot cannot draw old.svg: it ended without a word", "report plain --plot old.svg");
    write_gnuplot("echo '<?xml version=\"1.0\"?><svg> this is only the first half of what a picture would have been'");
    expect_kept(1, "gnuplot could not write all of it", "report plain --plot old.svg");
    write_gnuplot("exit 0");
    expect_kept(1, "gnuplot could not write all of it", "report plain --plot old.svg");
    expect_kept(1, "gnuplot could not write all of it", "report plain --plot new.png");
}

/* root may write anywhere, so below a regular file */
Test(cli_report_plot, a_place_that_can_not_be_written_is_told_and_nothing_is_left)
{
    need_gnuplot();
    bpt_text_write("file", "");
    cr_assert(mkdir("folder.svg", 0777) == 0);
    expect_kept(1, "cannot write file/a.svg: Not a directory", "report plain --plot file/a.svg");
    expect_kept(1, "cannot write none/a.svg: No such file", "report plain --plot none/a.svg");
    expect_kept(1, "cannot write folder.svg: Is a directory", "report plain --plot folder.svg");
}

Test(cli_report_plot, a_full_disk_is_told_and_leaves_the_old_picture)
{
    if (BPT_THREAD_SANITIZER)
        cr_skip_test("the thread sanitizer's own files run into the limit on their size");
    need_gnuplot();
    bpt_text_write("old.svg", "the old picture");
    char *before = bpt_sandbox_listing();
    for (int64_t room = 1100; room < 20000; room *= 4) { /* first the script doesn't fit, then the picture */
        bpt_run run = bpt_program_limited(room, "report plain --plot old.svg");
        bpt_expect(&run, 1, "", "report on a full disk");
        bpt_run_free(&run);
        char *after = bpt_sandbox_listing();
        cr_assert_str_eq(after, before, "room for %lld bytes: files changed", (long long)room);
        free(after);
    }
    free(before);
}

/* Text and JSON come as without --plot. */
Test(cli_report_plot, says_the_same_with_a_picture)
{
    need_gnuplot();
    char *plain = bpt_succeed("report plain --json"), *drawn = bpt_succeed("report plain --json --plot a.svg");
    cr_assert_str_eq(drawn, plain);
    free(plain);
    free(drawn);
}
