/* progress.h: a training run as a person watches it: a bar on a terminal, a line at each epoch's end everywhere. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <backprop/backprop.h>

typedef struct progress_view {
    bool lines; /* epoch lines on standard output */
    bool bar;   /* a bar on standard error */
    bool utf8;
    bool bar_is_drawn;
    int64_t steps;         /* seen so far */
    double drawn_s;        /* when the bar was drawn last */
    double epoch_s;        /* when the epoch began */
    int64_t epoch_samples; /* seen by then */
} progress_view;

/* quiet: standard output belongs to somebody else (--json). */
void progress_init(progress_view *view, bool quiet);

/* After each step. */
void progress_show(progress_view *view, const bp_progress *progress);

/* Seconds and samples a second of the epoch that just ended, before progress_show is told of it. */
double progress_epoch_seconds(const progress_view *view, const bp_progress *progress);
double progress_epoch_rate(const progress_view *view, const bp_progress *progress);

/* Takes the bar off the terminal, so that other text can come. */
void progress_clear(progress_view *view);

/* One line of at most `width` columns, without control characters; bytes in `size`. */
void progress_line(char *line, size_t size, int width, bool utf8, const bp_progress *progress, double left_s);

#endif
