/* options.c: see options.h. */
#include "options.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

const option_spec *options_spec(const option_set *options, int index)
{
    const cli_command *command = options->command;
    for (int g = 0; g < command->group_count; g++) {
        if (index < command->groups[g].count)
            return &command->groups[g].specs[index];
        index -= command->groups[g].count;
    }
    return NULL;
}

int options_find(const option_set *options, const char *name)
{
    const option_spec *spec;
    for (int i = 0; (spec = options_spec(options, i)); i++)
        if (strcmp(spec->name, name) == 0)
            return i;
    return -1;
}

option_origin options_origin(const option_set *options, const char *name)
{
    int index = options_find(options, name);
    return index < 0 ? ORIGIN_PRESET : (option_origin)options->origin[index];
}

static void *place(const option_set *options, const option_spec *spec)
{
    return (char *)(uintptr_t)&options->values + spec->where;
}

static size_t place_bytes(const option_spec *spec)
{
    switch (spec->kind) {
    case OPTION_FLAG:
        return sizeof(bool);
    case OPTION_TWO_TEXTS:
        return sizeof(const char *[2]);
    case OPTION_COUNT:
        return sizeof(int64_t);
    case OPTION_REAL:
        return sizeof(double);
    case OPTION_CHOICE:
        return sizeof(int);
    case OPTION_TEXT:
    case OPTION_WORD:
        break;
    }
    return sizeof(const char *);
}

void options_init(option_set *options, const cli_command *command)
{
    memset(options, 0, sizeof *options);
    options->command = command;
    const option_spec *spec;
    for (int i = 0; (spec = options_spec(options, i)); i++) {
        assert(i < OPTIONS_MOST);
        options_unset(options, i);
    }
}

void options_free(option_set *options)
{
    json_decref(options->kept[0]);
    json_decref(options->kept[1]);
    options->kept[0] = options->kept[1] = NULL;
}

void options_unset(option_set *options, int index)
{
    const option_spec *spec = options_spec(options, index);
    memset(place(options, spec), 0, place_bytes(spec));
    if (spec->preset) {
        int status = options_set(options, index, spec->name, (const char *const[2]){spec->preset, NULL}, ORIGIN_PRESET);
        assert(status == STATUS_OK);
        (void)status;
    }
    options->origin[index] = ORIGIN_PRESET;
}

static const char *choice_name(const void *user, int index)
{
    return ((const char *const *)user)[index];
}

static int set_choice(const option_spec *spec, const char *label, const char *text, int *choice)
{
    char list[512] = "";
    for (int i = 0; spec->choices[i]; i++) {
        if (strcmp(spec->choices[i], text) == 0) {
            *choice = i;
            return STATUS_OK;
        }
        size_t length = strlen(list);
        snprintf(list + length, sizeof list - length, "%s%s", i ? ", " : "", spec->choices[i]);
    }
    const char *near = nearest_name(text, choice_name, spec->choices);
    if (near)
        return fail(STATUS_USAGE, "%s: there is no '%s'; did you mean %s? There are %s", label, text, near, list);
    return fail(STATUS_USAGE, "%s: there is no '%s'; there are %s", label, text, list);
}

static int out_of_range(const option_spec *spec, const char *label, const char *text)
{
    const char *over = spec->traits & OPTION_ABOVE ? "more than" : "at least";
    const char *under = spec->traits & OPTION_BELOW ? "less than" : "at most";
    if (isinf(spec->most))
        return fail(STATUS_USAGE, "%s: %s is out of range; it must be %s %.10g", label, text, over, spec->least);
    return fail(STATUS_USAGE, "%s: %s is out of range; it must be %s %.10g and %s %.10g", label, text, over,
                spec->least, under, spec->most);
}

static bool in_range(const option_spec *spec, double value)
{
    if (spec->least == 0 && spec->most == 0)
        return true;
    bool over = spec->traits & OPTION_ABOVE ? value > spec->least : value >= spec->least;
    bool under = spec->traits & OPTION_BELOW ? value < spec->most : value <= spec->most;
    return over && under;
}

static int set_count(const option_spec *spec, const char *label, const char *text, int64_t *count)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || strspn(text, " \t\n\v\f\r"))
        return fail(STATUS_USAGE, "%s: '%s' is not a whole number", label, text);
    if (errno == ERANGE || !in_range(spec, (double)value))
        return out_of_range(spec, label, text);
    *count = value;
    return STATUS_OK;
}

static int set_real(const option_spec *spec, const char *label, const char *text, double *real)
{
    char *end;
    double value = strtod(text, &end);
    /* strtod also takes "nan", "inf" and hexadecimal, which nobody means here */
    if (end == text || *end || strspn(text, "0123456789+-.eE") != strlen(text))
        return fail(STATUS_USAGE, "%s: '%s' is not a number", label, text);
    if (!isfinite(value) || !in_range(spec, value))
        return out_of_range(spec, label, text);
    *real = value;
    return STATUS_OK;
}

int options_set(option_set *options, int index, const char *label, const char *const text[2], option_origin origin)
{
    const option_spec *spec = options_spec(options, index);
    void *value = place(options, spec);
    int choice = 0;
    if (spec->kind != OPTION_FLAG && (!text[0] || !*text[0] || (spec->kind == OPTION_TWO_TEXTS && !*text[1])))
        return fail(STATUS_USAGE, "%s: the value is empty", label);
    switch (spec->kind) {
    case OPTION_FLAG:
        *(bool *)value = text[0] == NULL || strcmp(text[0], "false") != 0;
        break;
    case OPTION_TEXT:
        *(const char **)value = text[0];
        break;
    case OPTION_TWO_TEXTS:
        memcpy(value, text, sizeof(const char *[2]));
        break;
    case OPTION_COUNT:
        TRY(set_count(spec, label, text[0], value));
        break;
    case OPTION_REAL:
        TRY(set_real(spec, label, text[0], value));
        break;
    case OPTION_CHOICE:
        TRY(set_choice(spec, label, text[0], value));
        break;
    case OPTION_WORD:
        TRY(set_choice(spec, label, text[0], &choice));
        *(const char **)value = spec->choices[choice];
        break;
    }
    options->origin[index] = (unsigned char)origin;
    return STATUS_OK;
}

void options_resolve(option_set *options, const char *name, double value)
{
    int index = options_find(options, name);
    if (index < 0 || options->origin[index] != ORIGIN_PRESET)
        return;
    const option_spec *spec = options_spec(options, index);
    assert(spec->kind == OPTION_REAL && !spec->preset);
    *(double *)place(options, spec) = value;
    options->origin[index] = ORIGIN_RESOLVED;
}

bool options_has(const option_set *options, int index)
{
    const option_spec *spec = options_spec(options, index);
    return options->origin[index] != ORIGIN_PRESET || spec->preset || spec->kind == OPTION_FLAG;
}

int options_require(const option_set *options)
{
    const option_spec *spec;
    for (int i = 0; (spec = options_spec(options, i)); i++)
        if ((spec->traits & OPTION_REQUIRED) && options->origin[i] == ORIGIN_PRESET)
            return fail(STATUS_USAGE, "%s%s%s%s is needed; see backprop %s --help",
                        spec->traits & OPTION_BARE ? "" : "--", spec->traits & OPTION_BARE ? "" : spec->name,
                        spec->traits & OPTION_BARE ? "" : " ", spec->value, options->command->name);
    return STATUS_OK;
}

const char *options_text(const option_set *options, int index, char *buffer, size_t size)
{
    const option_spec *spec = options_spec(options, index);
    const void *value = place(options, spec);
    const char *const *texts = value;
    *buffer = '\0';
    switch (spec->kind) {
    case OPTION_FLAG:
        snprintf(buffer, size, "%s", *(const bool *)value ? "true" : "false");
        break;
    case OPTION_COUNT:
        snprintf(buffer, size, "%lld", (long long)*(const int64_t *)value);
        break;
    case OPTION_REAL:
        snprintf(buffer, size, "%.10g", *(const double *)value);
        break;
    case OPTION_CHOICE:
        snprintf(buffer, size, "%s", spec->choices[*(const int *)value]);
        break;
    case OPTION_TWO_TEXTS:
        if (texts[0])
            snprintf(buffer, size, "%s %s", texts[0], texts[1]);
        break;
    case OPTION_TEXT:
    case OPTION_WORD:
        if (texts[0])
            snprintf(buffer, size, "%s", texts[0]);
        break;
    }
    return buffer;
}

void options_copy(option_set *to, const option_set *from, int index)
{
    const option_spec *spec = options_spec(to, index);
    memcpy(place(to, spec), place(from, spec), place_bytes(spec));
    to->origin[index] = from->origin[index];
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool options_equal(const option_set *a, const option_set *b, int index)
{
    const option_spec *spec = options_spec(a, index);
    const void *left = place(a, spec), *right = place(b, spec);
    const char *const *left_texts = left, *const *right_texts = right;
    switch (spec->kind) {
    case OPTION_TWO_TEXTS:
        return same_text(left_texts[0], right_texts[0]) && same_text(left_texts[1], right_texts[1]);
    case OPTION_TEXT:
    case OPTION_WORD:
        return same_text(left_texts[0], right_texts[0]);
    case OPTION_FLAG:
    case OPTION_COUNT:
    case OPTION_REAL:
    case OPTION_CHOICE:
        break;
    }
    return memcmp(left, right, place_bytes(spec)) == 0;
}
