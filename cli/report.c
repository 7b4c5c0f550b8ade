/* report.c: backprop report: reads a run's folder; tells of it as text or JSON, and has it drawn. It locks nothing and
 * changes nothing there: the run may still be going. */
#include "report.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "message.h"
#include "words.h"

enum { METRIC_DIGITS = 9 }; /* as train writes them */

/* clang-format off */
static const option_spec report_specs[] = {
    {"run", OPTION_TEXT, offsetof(settings, run), "RUN", NULL, "the folder that backprop train --out RUN wrote", NULL, 0, 0,
     OPTION_REQUIRED | OPTION_BARE},
    {"plot", OPTION_TEXT, offsetof(settings, plot), "FILE", NULL,
     "draw the run into FILE.png or FILE.svg; wants gnuplot", NULL, 0, 0, 0},
    {"json", OPTION_FLAG, offsetof(settings, json), NULL, NULL, "print the report as JSON and nothing else", NULL, 0, 0,
     0},
};
/* clang-format on */

static const option_group groups[] = {OPTION_GROUP("Options", report_specs)};

const char *report_config_text(const report *r, const char *key)
{
    const char *text = json_string_value(json_object_get(r->config, key));
    return text ? text : "?";
}

double report_config_real(const report *r, const char *key)
{
    const json_t *value = json_object_get(r->config, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

int64_t report_config_count(const report *r, const char *key)
{
    const json_t *value = json_object_get(r->config, key);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

void report_optimizer(const report *r, char *text, size_t size)
{
    int length = snprintf(text, size, "%s, lr %.10g %s, batch %lld", report_config_text(r, "optimizer"),
                          report_config_real(r, "lr"), report_config_text(r, "schedule"),
                          (long long)report_config_count(r, "batch"));
    if (length > 0 && (size_t)length < size && report_config_count(r, "accumulate") > 1)
        snprintf(text + length, size - (size_t)length, " x %lld", (long long)report_config_count(r, "accumulate"));
}

/* The block at `text` and how many follow that are the same; *rest: behind them. */
static int64_t same_blocks(const char *text, size_t length, const char **rest)
{
    int64_t count = 0;
    do {
        count++;
        text += length;
        *rest = text;
        text += *text == ',';
    } while (**rest && strcspn(text, ",") == length && strncmp(text, text - length - 1, length) == 0);
    return count;
}

void report_network(const report *r, char *text, size_t size)
{
    const char *layers = report_config_text(r, "layers");
    size_t used = 0;
    *text = '\0';
    while (*layers) {
        char part[160];
        const char *rest;
        size_t length = strcspn(layers, ",");
        long long count = same_blocks(layers, length, &rest);
        int shown = length < 100 ? (int)length : 100;
        const char *comma = used ? ", " : "";
        if (count > 2)
            snprintf(part, sizeof part, "%s%lld x %.*s", comma, count, shown, layers);
        else
            snprintf(part, sizeof part, "%s%.*s%s%.*s", comma, shown, layers, count > 1 ? ", " : "",
                     count > 1 ? shown : 0, layers);
        bool fits = used + strlen(part) + sizeof ", ..." <= size;
        used += (size_t)snprintf(text + used, size - used, "%s", fits ? part : ", ...");
        layers = fits ? rest + (*rest == ',') : "";
    }
}

const metric_observation *report_shown(const report *r, const metric_layer **layers)
{
    size_t at = r->metrics.observation_count;
    if (!at)
        return NULL;
    while (--at && !isfinite(r->metrics.observations[at].grad_norm)) {
    }
    if (!isfinite(r->metrics.observations[at].grad_norm))
        at = r->metrics.observation_count - 1;
    *layers = r->metrics.layers + at * r->metrics.block_count;
    return &r->metrics.observations[at];
}

static int read_config(report *r)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/config.json", r->run) >= (int)sizeof path)
        return fail(STATUS_FAILED, "the path %s is too long", r->run);
    FILE *file = fopen(path, "r");
    if (!file)
        return fail(STATUS_FAILED, "cannot read %s: %s", path, strerror(errno));
    json_error_t error;
    r->config = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
    fclose(file);
    if (!r->config)
        return fail(STATUS_FAILED, "%s is not JSON: line %d, column %d: %s", path, error.line, error.column,
                    error.text);
    return json_is_object(r->config) ? STATUS_OK : fail(STATUS_FAILED, "%s must hold a JSON object", path);
}

static int read_run(report *r)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/metrics.jsonl", r->run) >= (int)sizeof path)
        return fail(STATUS_FAILED, "the path %s is too long", r->run);
    TRY(metrics_read(&r->metrics, path));
    TRY(read_config(r));
    if (r->metrics.step_count + r->metrics.epoch_count == 0)
        return fail(STATUS_FAILED, "%s holds no step yet: there is nothing to report", path);
    return history_make(&r->history, &r->metrics);
}

static json_t *layer_value(const report *r, const metric_layer *layers, size_t i)
{
    const metric_block *block = &r->metrics.blocks[i];
    return json_pack("{sI sI ss so so so so}", "block", (json_int_t)i + 1, "units", (json_int_t)block->units,
                     "activation", block->activation, "grad_norm", json_digits(layers[i].norm, METRIC_DIGITS),
                     "update_ratio", json_digits(layers[i].update_ratio, METRIC_DIGITS), "dead",
                     json_digits(layers[i].dead, METRIC_DIGITS), "saturated",
                     json_digits(layers[i].saturated, METRIC_DIGITS));
}

/* {"step", "layers"} of the observed step that is shown; null where nothing was observed. */
static json_t *gradients_value(const report *r)
{
    const metric_layer *layers;
    const metric_observation *shown = report_shown(r, &layers);
    if (!shown)
        return json_null();
    json_t *list = json_array();
    for (size_t i = 0; i < r->metrics.block_count; i++)
        json_array_append_new(list, layer_value(r, layers, i));
    return json_pack("{sI sI so so}", "step", (json_int_t)shown->step, "observed_steps",
                     (json_int_t)r->metrics.observation_count, "clip_factor",
                     json_digits(shown->clip_factor, METRIC_DIGITS), "layers", list);
}

static json_t *row_value(const history_row *row)
{
    return json_pack("{sI sI so so so so so so so so so}", "epoch", (json_int_t)row->epoch, "step",
                     (json_int_t)row->step, "loss", json_digits(row->loss, METRIC_DIGITS), "test_loss",
                     json_digits(row->test_loss, METRIC_DIGITS), "test_accuracy",
                     json_digits(row->test_accuracy, METRIC_DIGITS), "validation_loss",
                     json_digits(row->validation_loss, METRIC_DIGITS), "validation_accuracy",
                     json_digits(row->validation_accuracy, METRIC_DIGITS), "lr", json_digits(row->lr, METRIC_DIGITS),
                     "grad_norm", json_digits(row->grad_norm, METRIC_DIGITS), "samples_per_second",
                     json_digits(row->samples_per_second, 6), "seconds", json_digits(row->seconds, 6));
}

static int print_json(const report *r)
{
    const history *h = &r->history;
    json_t *rows = json_array(), *run = json_string(r->run), *root = json_object();
    for (size_t i = 0; i < h->count; i++)
        json_array_append_new(rows, row_value(&h->rows[i]));
    json_object_set_new(root, "run", run ? run : json_null()); /* a name that is not UTF-8 can't be told in JSON */
    json_object_set(root, "config", r->config);
    json_object_set_new(root, "epochs", json_integer(h->epochs));
    json_object_set_new(root, "steps", json_integer(h->steps));
    json_object_set_new(root, "seconds", json_digits(h->seconds, 6));
    json_object_set_new(root, "loss", json_digits(h->loss, METRIC_DIGITS));
    json_object_set_new(root, "nonfinite_steps", json_integer(h->nonfinite));
    json_object_set_new(root, "last", h->last ? row_value(h->last) : json_null());
    json_object_set_new(root, "best", h->best ? row_value(h->best) : json_null());
    json_object_set_new(root, "by_epoch", rows);
    json_object_set_new(root, "gradients", gradients_value(r));
    json_object_set_new(root, "warnings", r->metrics.warnings ? json_incref(r->metrics.warnings) : json_array());
    json_object_set_new(root, "nonfinite_value",
                        r->metrics.nonfinite ? json_incref(r->metrics.nonfinite) : json_null());
    return json_print(root);
}

/* A run may come from elsewhere: nothing in its files reaches the terminal but as words. */
static int make_plain(report *r)
{
    const metrics *m = &r->metrics;
    for (size_t i = 0; i < m->block_count; i++)
        words_plain(m->blocks[i].activation);
    return json_make_plain(r->config) && json_make_plain(m->warnings) && json_make_plain(m->nonfinite)
               ? STATUS_OK
               : fail(STATUS_FAILED, "out of memory");
}

static int tell(report *r, const settings *s)
{
    if (s->plot)
        TRY(report_plot(r, s->plot));
    if (s->json)
        return print_json(r);
    TRY(make_plain(r));
    report_print(r);
    if (s->plot)
        printf("\npicture    %s\n", s->plot);
    return STATUS_OK;
}

static int run(option_set *options)
{
    const settings *s = &options->values;
    TRY(options_require(options));
    if (s->plot && !report_can_plot(s->plot))
        return fail(STATUS_USAGE, "--plot: '%s' is no name for a picture; it must end in .png or .svg", s->plot);
    report r = {.run = s->run};
    int status = read_run(&r);
    if (status == STATUS_OK)
        status = tell(&r, s);
    history_free(&r.history);
    metrics_free(&r.metrics);
    json_decref(r.config);
    return status;
}

const cli_command command_report = {
    .name = "report",
    .usage = "RUN [--plot FILE.png|FILE.svg] [--json]",
    .summary = "table and picture of a run",
    .details =
        "Prints what came of a run: a table with a line an epoch, the warnings, and as bars the loss and, of a run "
        "with "
        "train --observe, the gradient of each layer. A run that is still going is told of as far as it is. Training "
        "loss and gradient norm of an epoch are means over the steps that train logged, see train --log-every. --plot "
        "draws a picture by gnuplot (Debian's package gnuplot-nox): loss and accuracy, learning rate, gradient norm, "
        "and of an observed run gradient norm and update by layer.",
    .example = "  backprop report runs/first --plot first.png\n",
    .groups = groups,
    .group_count = sizeof groups / sizeof *groups,
    .run = run,
};
