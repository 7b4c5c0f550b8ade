/* report_text.c: backprop report on a terminal: summary, table and bars. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chart.h"
#include "report.h"
#include "terminal.h"
#include "words.h"

enum {
    INDENT = 11,
    ROWS_MOST = 20 /* of the table; longer runs are thinned */
};

static void print_training(const history *h, int64_t planned)
{
    words steps, time;
    printf("training   %lld", (long long)h->epochs);
    if (planned > h->epochs)
        printf(" of %lld", (long long)planned);
    printf(" epoch%s, %s steps", words_plural(planned > h->epochs ? planned : h->epochs),
           words_count(&steps, h->steps));
    if (!isnan(h->seconds))
        printf(", %s", words_time(&time, h->seconds));
    putchar('\n');
}

static void print_loss(const history *h, size_t logged)
{
    words loss, step;
    if (!logged)
        return;
    printf("loss       %s at step %s\n", words_loss(&loss, h->loss), words_count(&step, h->loss_step));
    if (h->nonfinite)
        printf("           not finite in %s of %zu logged steps, first after step %lld\n",
               words_count(&step, h->nonfinite), logged, (long long)h->nonfinite_step);
}

/* The best epoch is the one that train kept the model of, where it chose one; else the one that tested best. */
static void print_test(const history *h)
{
    words loss, best;
    const history_row *kept = h->has_validation ? h->best : NULL;
    if (kept)
        printf("validation loss %s after epoch %lld, whose model was kept\n", words_loss(&loss, kept->validation_loss),
               (long long)kept->epoch);
    const history_row *row = kept && kept->tested ? kept : h->last;
    if (!row)
        return;
    printf("test       ");
    if (h->has_accuracy)
        printf("accuracy %.4f, ", row->test_accuracy);
    if (h->has_accuracy && !kept && h->best)
        printf("best %.4f after epoch %lld; ", h->best->test_accuracy, (long long)h->best->epoch);
    printf("loss %s", words_loss(&loss, row->test_loss));
    if (!h->has_accuracy && !kept && h->best)
        printf(", best %s after epoch %lld", words_loss(&best, h->best->test_loss), (long long)h->best->epoch);
    putchar('\n');
}

static void print_summary(const report *r, int width)
{
    char text[1024];
    report_network(r, text, sizeof text - sizeof ", loss " - 64);
    printf("network    ");
    snprintf(text + strlen(text), sizeof text - strlen(text), ", loss %s", report_config_text(r, "loss"));
    terminal_wrap(text, INDENT, INDENT, width);
    report_optimizer(r, text, sizeof text);
    printf("optimiser  %s\n", text);
    print_training(&r->history, report_config_count(r, "epochs"));
    print_loss(&r->history, r->metrics.step_count);
    print_test(&r->history);
}

/* "step 100: what is wrong; what helps"; more: how many further lines say the same of other blocks. */
static void print_warning(const json_t *line, const char *key, const char *title, size_t more, int width)
{
    const json_t *warning = json_object_get(line, key);
    const char *what = json_string_value(json_object_get(warning, "text"));
    const char *remedy = json_string_value(json_object_get(warning, "remedy"));
    char text[2048];
    int length = snprintf(text, sizeof text, "step %lld: %.900s%s%.900s",
                          (long long)json_integer_value(json_object_get(line, "step")), what ? what : "?",
                          remedy ? "; " : "", remedy ? remedy : "");
    if (more)
        snprintf(text + length, sizeof text - (size_t)length, " (and %zu more of this kind; --json prints all)", more);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' '; /* the file may hold anything */
    printf("%-*s", INDENT, title);
    terminal_wrap(text, INDENT, INDENT, width);
}

static bool same_kind(const json_t *a, const json_t *b)
{
    const char *left = json_string_value(json_object_get(json_object_get(a, "warning"), "kind"));
    const char *right = json_string_value(json_object_get(json_object_get(b, "warning"), "kind"));
    return left && right && strcmp(left, right) == 0;
}

/* Of each kind the first: in a deep network most layers say the same. */
static void print_warnings(const metrics *m, int width)
{
    size_t count = json_array_size(m->warnings);
    if (count || m->nonfinite)
        putchar('\n');
    for (size_t i = 0; i < count; i++) {
        const json_t *line = json_array_get(m->warnings, i);
        size_t before = 0, more = 0;
        for (size_t j = 0; j < count; j++) {
            bool same = j != i && same_kind(line, json_array_get(m->warnings, j));
            before += same && j < i;
            more += same && j > i;
        }
        if (!before)
            print_warning(line, "warning", "warning", more, width);
    }
    if (m->nonfinite)
        print_warning(m->nonfinite, "nonfinite_value", "not finite", 0, width);
}

static const char *say_whole(words *w, double value)
{
    return words_count(w, (int64_t)value);
}

static const char *say_share(words *w, double value)
{
    snprintf(w->text, sizeof w->text, "%.4f", value);
    return w->text;
}

static const char *say_short(words *w, double value)
{
    snprintf(w->text, sizeof w->text, "%.4g", value);
    return w->text;
}

typedef struct table_column {
    const char *title;
    int width;    /* with the blanks before it */
    size_t where; /* offsetof(history_row, ...) */
    bool whole;   /* int64_t, else double */
    const char *(*say)(words *w, double value);
} table_column;

/* From the most wanted to the least: a narrow terminal shows fewer. */
static const table_column columns[] = {
    {"epoch", 5, offsetof(history_row, epoch), true, say_whole},
    {"train loss", 12, offsetof(history_row, loss), false, words_loss},
    {"test loss", 11, offsetof(history_row, test_loss), false, words_loss},
    {"accuracy", 10, offsetof(history_row, test_accuracy), false, say_share},
    {"val loss", 10, offsetof(history_row, validation_loss), false, words_loss},
    {"val acc", 9, offsetof(history_row, validation_accuracy), false, say_share},
    {"lr", 11, offsetof(history_row, lr), false, say_short},
    {"samples/s", 11, offsetof(history_row, samples_per_second), false, words_rate},
    {"time", 8, offsetof(history_row, seconds), false, words_time},
    {"grad norm", 11, offsetof(history_row, grad_norm), false, words_loss},
    {"step", 11, offsetof(history_row, step), true, say_whole},
};
enum { COLUMN_COUNT = sizeof columns / sizeof *columns };

static double value_of(const history_row *row, const table_column *column)
{
    const void *value = (const char *)row + column->where;
    return column->whole ? (double)*(const int64_t *)value : *(const double *)value;
}

/* Whether the row has the value, be it one that is not finite: train logs all of those as null. */
static bool is_known(const history_row *row, const table_column *column)
{
    if (column->where == offsetof(history_row, loss) && row->nonfinite)
        return true;
    if (column->where == offsetof(history_row, test_loss) && row->tested)
        return true;
    if (column->where == offsetof(history_row, validation_loss) && row->validated)
        return true;
    return isfinite(value_of(row, column));
}

/* Which columns have a value in some row and fit in the width. */
static void choose_columns(const history *h, int width, bool shown[COLUMN_COUNT])
{
    bool fits = true;
    for (int c = 0; c < COLUMN_COUNT; c++) {
        bool known = false;
        for (size_t i = 0; i < h->count && !known; i++)
            known = is_known(&h->rows[i], &columns[c]);
        fits = fits && (!known || columns[c].width <= width);
        shown[c] = known && fits;
        width -= shown[c] ? columns[c].width : 0;
    }
}

static void print_row(const history_row *row, const bool shown[COLUMN_COUNT])
{
    for (int c = 0; c < COLUMN_COUNT; c++) {
        words text;
        double value = value_of(row, &columns[c]);
        const char *none = is_known(row, &columns[c]) ? "nan" : "-";
        if (shown[c])
            printf("%*s", columns[c].width, isfinite(value) ? columns[c].say(&text, value) : none);
    }
    putchar('\n');
}

/* Row `line` of `lines` evenly spread ones, the first and the last among them; the best takes its neighbour's place. */
static const history_row *thinned_row(const history *h, size_t line, size_t lines)
{
    if (h->count <= lines)
        return &h->rows[line];
    size_t last = h->count - 1, at = (line * last + (lines - 1) / 2) / (lines - 1);
    size_t best = h->best ? (size_t)(h->best - h->rows) : 0;
    size_t best_line = (best * (lines - 1) + last / 2) / last;
    return &h->rows[line == best_line && line > 0 && line < lines - 1 ? best : at];
}

static void print_table(const history *h, int width)
{
    bool shown[COLUMN_COUNT];
    size_t lines = h->count < ROWS_MOST ? h->count : ROWS_MOST;
    choose_columns(h, width, shown);
    putchar('\n');
    for (int c = 0; c < COLUMN_COUNT; c++)
        if (shown[c])
            printf("%*s", columns[c].width, columns[c].title);
    putchar('\n');
    for (size_t line = 0; line < lines; line++)
        print_row(thinned_row(h, line, lines), shown);
    if (lines < h->count)
        printf("%zu of %zu epochs; --json prints all of them\n", lines, h->count);
}

static void print_chart(const metrics *m, int width)
{
    double *loss = malloc((m->step_count + 1) * sizeof *loss);
    for (size_t i = 0; loss && i < m->step_count; i++)
        loss[i] = m->steps[i].loss;
    chart_range range = chart_span(loss, loss ? m->step_count : 0);
    if (range.least <= range.most && m->step_count > 1) {
        words from, to;
        printf("\nloss, steps %s to %s%s\n", words_count(&from, m->steps[0].step),
               words_count(&to, m->steps[m->step_count - 1].step), range.log ? ", on a log axis" : "");
        chart_print(loss, m->step_count, &range, width, terminal_is_utf8());
    }
    free(loss);
}

void report_print(const report *r)
{
    int width = terminal_width(stdout) - 1; /* a full line wraps on some terminals */
    print_summary(r, width);
    print_warnings(&r->metrics, width);
    print_table(&r->history, width);
    print_chart(&r->metrics, width);
    report_print_layers(r, width);
}
