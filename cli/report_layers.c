/* report_layers.c: the gradient of each layer as bars of characters, from a run that was observed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chart.h"
#include "report.h"
#include "terminal.h"
#include "words.h"

enum {
    LAYERS_MOST = 64, /* bars; deeper networks are thinned */
    LABEL = 20,       /* columns of "  12  256 leaky_relu" */
    FIGURES = 40,     /* columns of the figures behind the bar */
    BAR_LEAST = 8,
    BAR_MOST = 60
};

static chart_range span_of(const metric_layer *layers, size_t count)
{
    chart_range range = {.least = 1, .most = 0};
    double *norms = malloc(count * sizeof *norms);
    for (size_t i = 0; norms && i < count; i++)
        norms[i] = layers[i].norm > 0 ? layers[i].norm : (double)NAN; /* a bar for 0 has no place on a log axis */
    if (norms)
        range = chart_span(norms, count);
    free(norms);
    return range;
}

static const char *say_figure(words *w, double value)
{
    snprintf(w->text, sizeof w->text, isnan(value) ? "-" : value == 0 ? "0" : "%.2e", value);
    return w->text;
}

static const char *say_percent(words *w, double share)
{
    snprintf(w->text, sizeof w->text, isnan(share) ? "-" : "%.1f %%", 100 * share);
    return w->text;
}

static void print_layer(const metric_block *block, const metric_layer *layer, size_t number, const chart_range *range,
                        int columns)
{
    words norm, ratio, dead, saturated;
    char what[32];
    snprintf(what, sizeof what, "%lld %s", (long long)block->units, block->activation);
    printf("%4zu  %-*.*s ", number, LABEL - 7, LABEL - 7, what);
    chart_bar(layer->norm, range, columns, terminal_is_utf8());
    printf(" %9s %9s %8s %10s\n", say_figure(&norm, layer->norm), say_figure(&ratio, layer->update_ratio),
           say_percent(&dead, layer->dead), say_percent(&saturated, layer->saturated));
}

void report_print_layers(const report *r, int width)
{
    words step;
    const metric_layer *layers;
    const metric_observation *shown = report_shown(r, &layers);
    if (!shown)
        return;
    size_t count = r->metrics.block_count, lines = count < LAYERS_MOST ? count : LAYERS_MOST;
    chart_range range = span_of(layers, count);
    int columns = width - LABEL - FIGURES;
    columns = columns < BAR_LEAST ? BAR_LEAST : columns > BAR_MOST ? BAR_MOST : columns;
    printf("\ngradient of each layer's weights at step %s%s\n", words_count(&step, shown->step),
           range.log ? ", bars on a log axis" : "");
    printf("%-*s%*s %9s %9s %8s %10s\n", LABEL, "block", columns, "", "norm", "update/w", "dead", "saturated");
    for (size_t line = 0; line < lines; line++) {
        size_t at = lines < count ? line * (count - 1) / (lines - 1) : line;
        print_layer(&r->metrics.blocks[at], &layers[at], at + 1, &range, columns);
    }
    if (lines < count)
        printf("%zu of %zu layers; --json prints all of them\n", lines, count);
}
