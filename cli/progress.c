/* progress.c: see progress.h. */
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "terminal.h"
#include "words.h"

enum { BAR_LEAST = 8, BAR_MOST = 50, LINE_BYTES = 1024 };

static const double REDRAW_EVERY_S = 0.1;

void progress_init(progress_view *view, bool quiet)
{
    *view = (progress_view){
        .lines = !quiet,
        .bar = terminal_is_live(stderr),
        .utf8 = terminal_is_utf8(),
        .drawn_s = -1,
    };
}

void progress_clear(progress_view *view)
{
    if (view->bar_is_drawn)
        fputs("\r\033[K", stderr);
    view->bar_is_drawn = false;
}

/* The bar's `cells` columns, share of them full; the last full one may be half. */
static int put_bar(char *text, size_t size, int cells, double share, bool utf8)
{
    int halves = (int)(share * 2 * cells);
    int length = 0;
    for (int i = 0; i < cells; i++) {
        bool full = halves >= 2 * (i + 1), half = halves == 2 * i + 1;
        const char *cell = utf8 ? (full ? "\u2501" : half ? "\u2578" : "\u2500") : (full ? "=" : half ? "-" : ".");
        length += snprintf(text + length, size - (size_t)length, "%s", cell);
    }
    return length;
}

static double share_done(const bp_progress *progress)
{
    double steps = (double)((progress->epoch - 1) * progress->steps_per_epoch + progress->step_in_epoch);
    double all = (double)(progress->epochs * progress->steps_per_epoch);
    double share = all > 0 ? steps / all : 0;
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

static int digits(int64_t value)
{
    int count = 1;
    while (value >= 10) {
        value /= 10;
        count++;
    }
    return count;
}

void progress_line(char *line, size_t size, int width, bool utf8, const bp_progress *progress, double left_s)
{
    words rate, loss, left;
    words_rate(&rate, progress->samples_per_second);
    if (!isnan(progress->result.loss))
        words_loss(&loss, progress->result.loss);
    else
        snprintf(loss.text, sizeof loss.text, "-"); /* nothing was read back yet */
    words_time_left(&left, left_s);
    char head[64], tail[4][128];
    int columns = snprintf(head, sizeof head, "epoch %*lld/%lld %3d%% ", digits(progress->epochs),
                           (long long)progress->epoch, (long long)progress->epochs, (int)(100 * share_done(progress)));
    /* from the most that is said to the least, until a bar fits beside it */
    snprintf(tail[0], sizeof tail[0], " %6s samples/s  loss %s  %s left", rate.text, loss.text, left.text);
    snprintf(tail[1], sizeof tail[1], " %s/s  loss %s  %s left", rate.text, loss.text, left.text);
    snprintf(tail[2], sizeof tail[2], " loss %s  %s left", loss.text, left.text);
    snprintf(tail[3], sizeof tail[3], " %s", left.text);
    int chosen = 0, cells;
    while ((cells = width - columns - (int)strlen(tail[chosen])) < BAR_LEAST && chosen < 3)
        chosen++;
    int length = snprintf(line, size, "%s", head);
    if (cells >= BAR_LEAST) {
        length += put_bar(line + length, size - (size_t)length, cells < BAR_MOST ? cells : BAR_MOST,
                          share_done(progress), utf8);
        snprintf(line + length, size - (size_t)length, "%s", tail[chosen]);
    } else if (width < columns) {
        line[width > 0 ? width : 0] = '\0'; /* the head is plain ASCII */
    }
}

static void draw(progress_view *view, const bp_progress *progress)
{
    if (view->drawn_s >= 0 && progress->seconds - view->drawn_s < REDRAW_EVERY_S)
        return;
    int64_t steps_left = (progress->epochs - progress->epoch + 1) * progress->steps_per_epoch - progress->step_in_epoch;
    double left_s = progress->seconds / (double)view->steps * (double)steps_left;
    char line[LINE_BYTES];
    /* the last column stays free, since a full line wraps on some terminals, and so does the room for an echoed ^C */
    progress_line(line, sizeof line, terminal_width(stderr) - 3, view->utf8, progress, left_s);
    fprintf(stderr, "\r%s\033[K", line);
    view->drawn_s = progress->seconds;
    view->bar_is_drawn = true;
}

double progress_epoch_seconds(const progress_view *view, const bp_progress *progress)
{
    return progress->seconds - view->epoch_s;
}

double progress_epoch_rate(const progress_view *view, const bp_progress *progress)
{
    double seconds = progress_epoch_seconds(view, progress);
    return seconds > 0 ? (double)(progress->samples - view->epoch_samples) / seconds : 0;
}

static void print_epoch(const progress_view *view, const bp_progress *progress)
{
    words loss, test, rate, time;
    printf("epoch %*lld/%lld  loss %s", digits(progress->epochs), (long long)progress->epoch,
           (long long)progress->epochs, words_loss(&loss, progress->result.loss));
    if (progress->has_test) {
        printf("  test loss %s", words_loss(&test, progress->test_loss));
        if (!isnan(progress->test_accuracy))
            printf(", accuracy %.4f", progress->test_accuracy);
    }
    if (progress->has_validation) {
        printf("  validation loss %s", words_loss(&test, progress->validation_loss));
        if (!isnan(progress->validation_accuracy))
            printf(", accuracy %.4f", progress->validation_accuracy);
        printf("%s", progress->is_best ? ", the best" : "");
    }
    printf("  %s/s  %s\n", words_rate(&rate, progress_epoch_rate(view, progress)),
           words_time(&time, progress_epoch_seconds(view, progress)));
    fflush(stdout);
}

void progress_show(progress_view *view, const bp_progress *progress)
{
    if (!progress->epoch_end) /* which comes as a call of its own, after the epoch's last step */
        view->steps++;
    if (progress->epoch_end) {
        progress_clear(view);
        if (view->lines)
            print_epoch(view, progress);
        view->epoch_s = progress->seconds;
        view->epoch_samples = progress->samples;
        view->drawn_s = -1;
    }
    if (view->bar && view->steps > 0)
        draw(view, progress);
}
