/* parse.c: from argv to options; see options.h. */
#include <stdio.h>
#include <string.h>

#include "message.h"
#include "options.h"

/* Distance of optimal string alignment: insertions, deletions, replacements and swaps of neighbours. */
static int distance(const char *a, const char *b)
{
    enum { MOST = 40 };
    int row[3][MOST + 1];
    int rows = (int)strlen(a), cols = (int)strlen(b);
    if (rows > MOST || cols > MOST)
        return MOST;
    for (int j = 0; j <= cols; j++)
        row[0][j] = j;
    for (int i = 1; i <= rows; i++) {
        int *now = row[i % 3];
        const int *above = row[(i + 2) % 3], *above2 = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= cols; j++) {
            int best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < best)
                best = above2[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[rows % 3][cols];
}

const char *nearest_name(const char *word, const char *(*name)(const void *user, int index), const void *user)
{
    const char *best = NULL, *candidate;
    int best_distance = 1 + (int)strlen(word) / 3;
    for (int i = 0; (candidate = name(user, i)); i++) {
        int d = distance(word, candidate);
        bool starts = strlen(word) >= 3 && strncmp(word, candidate, strlen(word)) == 0;
        if (starts && d > 1)
            d = 1; /* "optim" means optimizer, far as it is */
        if (d < best_distance || (d == best_distance && !best)) {
            best = candidate;
            best_distance = d;
        }
    }
    return best;
}

static const char *option_name(const void *user, int index)
{
    const option_spec *spec = options_spec(user, index);
    return spec ? spec->name : NULL;
}

static int unknown(const option_set *options, const char *name)
{
    const char *near = nearest_name(name, option_name, options);
    if (near)
        return fail(STATUS_USAGE, "there is no option --%s; did you mean --%s?", name, near);
    return fail(STATUS_USAGE, "there is no option --%s; see backprop %s --help", name, options->command->name);
}

/* The values of one option: `attached` is what stood behind '=' (NULL: nothing). *used counts the arguments taken. */
static int take_values(const option_spec *spec, const char *attached, int argc, char **argv, const char *text[2],
                       int *used)
{
    int wanted = spec->kind == OPTION_FLAG ? 0 : spec->kind == OPTION_TWO_TEXTS ? 2 : 1;
    int have = 0;
    *used = 0;
    if (attached) {
        if (wanted == 0)
            return fail(STATUS_USAGE, "--%s takes no value", spec->name);
        text[have++] = attached;
    }
    while (have < wanted) {
        if (*used >= argc || strncmp(argv[*used], "--", 2) == 0)
            return fail(STATUS_USAGE, "--%s: %s is missing; write --%s %s", spec->name,
                        wanted == 2 && have == 1 ? "its second value" : "its value", spec->name, spec->value);
        text[have++] = argv[(*used)++];
    }
    return STATUS_OK;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* A word that is no option is the value of the option whose name may be left out, where the command has one. */
static int parse_bare(option_set *options, const char *argument)
{
    const option_spec *spec;
    for (int i = 0; *argument != '-' && (spec = options_spec(options, i)); i++)
        if ((spec->traits & OPTION_BARE) && options->origin[i] != ORIGIN_COMMAND_LINE)
            return options_set(options, i, spec->value, (const char *const[2]){argument, NULL}, ORIGIN_COMMAND_LINE);
    return fail(STATUS_USAGE, "'%s' is not expected here; options are written --name value", argument);
}

static int parse_one(option_set *options, int argc, char **argv, int *at)
{
    const char *argument = argv[*at];
    if (strncmp(argument, "--", 2) != 0 || !argument[2]) {
        *at += 1;
        return parse_bare(options, argument);
    }
    char name[64];
    const char *equals = strchr(argument, '=');
    int length = (int)(equals ? equals - argument : (long)strlen(argument)) - 2;
    snprintf(name, sizeof name, "%.*s", length, argument + 2);
    int index = options_find(options, name);
    if (index < 0)
        return unknown(options, name);
    if (options->origin[index] == ORIGIN_COMMAND_LINE)
        return fail(STATUS_USAGE, "--%s is given twice", name);
    const char *text[2] = {NULL, NULL};
    int used = 0;
    TRY(take_values(options_spec(options, index), equals ? equals + 1 : NULL, argc - *at - 1, argv + *at + 1, text,
                    &used));
    char label[72];
    snprintf(label, sizeof label, "--%s", name);
    TRY(options_set(options, index, label, text, ORIGIN_COMMAND_LINE));
    *at += 1 + used;
    return STATUS_OK;
}

int options_parse(option_set *options, int argc, char **argv, bool *help)
{
    *help = wants_help(argc, argv);
    if (*help)
        return STATUS_OK;
    for (int at = 1; at < argc;)
        TRY(parse_one(options, argc, argv, &at));
    return STATUS_OK;
}
