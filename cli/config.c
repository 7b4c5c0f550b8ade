/* config.c: see config.h. Values go through text and options_set, so that both ways in have one set of checks. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "message.h"

static const char *kind_words(option_kind kind)
{
    switch (kind) {
    case OPTION_FLAG:
        return "true or false";
    case OPTION_TWO_TEXTS:
        return "an array of two strings";
    case OPTION_COUNT:
        return "a whole number";
    case OPTION_REAL:
        return "a number";
    case OPTION_TEXT:
    case OPTION_CHOICE:
    case OPTION_WORD:
        break;
    }
    return "a string";
}

/* text[] from a JSON value of the right type; numbers are written to `number`. */
static bool value_text(option_kind kind, const json_t *value, char number[64], const char *text[2])
{
    switch (kind) {
    case OPTION_FLAG:
        text[0] = json_is_true(value) ? "true" : "false";
        return json_is_boolean(value);
    case OPTION_TWO_TEXTS:
        text[0] = json_string_value(json_array_get(value, 0));
        text[1] = json_string_value(json_array_get(value, 1));
        return json_array_size(value) == 2 && text[0] && text[1];
    case OPTION_COUNT:
        snprintf(number, 64, "%lld", (long long)json_integer_value(value));
        text[0] = number;
        return json_is_integer(value);
    case OPTION_REAL:
        snprintf(number, 64, "%.17g", json_number_value(value));
        text[0] = number;
        return json_is_number(value);
    case OPTION_TEXT:
    case OPTION_CHOICE:
    case OPTION_WORD:
        break;
    }
    text[0] = json_string_value(value);
    return text[0] != NULL;
}

static const char *option_name(const void *user, int index)
{
    const option_spec *spec = options_spec(user, index);
    return spec ? spec->name : NULL;
}

static int read_one(option_set *options, const char *path, const char *key, const json_t *value)
{
    int index = options_find(options, key);
    if (index < 0 || (options_spec(options, index)->traits & OPTION_NOT_KEPT)) {
        const char *near = nearest_name(key, option_name, options);
        return fail(STATUS_USAGE, "%s: '%s' is not an option that a configuration can hold%s%s%s", path, key,
                    near && index < 0 ? "; did you mean " : "", near && index < 0 ? near : "",
                    near && index < 0 ? "?" : "");
    }
    const option_spec *spec = options_spec(options, index);
    char number[64], label[PATH_MAX];
    const char *text[2] = {NULL, NULL};
    snprintf(label, sizeof label, "%s: %s", path, key);
    if (!value_text(spec->kind, value, number, text))
        return fail(STATUS_USAGE, "%s: must be %s", label, kind_words(spec->kind));
    if (options->origin[index] != ORIGIN_PRESET)
        return STATUS_OK;
    return options_set(options, index, label, text, ORIGIN_CONFIG);
}

/* Editors on Windows begin UTF-8 with a byte order mark. No other JSON begins with its first byte. */
static void skip_mark(FILE *file)
{
    int first = fgetc(file);
    if (first == 0xEF) {
        fgetc(file);
        fgetc(file);
    } else if (first != EOF)
        ungetc(first, file);
}

int config_read(option_set *options, const char *path, int slot)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return fail(STATUS_FAILED, "cannot read %s: %s", path, strerror(errno));
    json_error_t error;
    skip_mark(file);
    json_t *root = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
    int failed = ferror(file) ? errno : 0;
    fclose(file);
    if (failed) {
        json_decref(root);
        return fail(STATUS_FAILED, "cannot read %s: %s", path, strerror(failed));
    }
    if (!root)
        return fail(STATUS_USAGE, "%s is not JSON: line %d, column %d: %s", path, error.line, error.column, error.text);
    json_decref(options->kept[slot]);
    options->kept[slot] = root;
    if (!json_is_object(root))
        return fail(STATUS_USAGE, "%s must hold an object such as {\"epochs\": 20, \"lr\": 0.1}", path);
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value) TRY(read_one(options, path, key, value));
    return STATUS_OK;
}

/* A path as it can be used from any folder; a path that isn't there stays as it is. */
static json_t *path_value(const char *path)
{
    char *absolute = realpath(path, NULL);
    json_t *value = json_string(absolute ? absolute : path);
    free(absolute);
    return value;
}

static json_t *text_value(const option_spec *spec, const char *text)
{
    return spec->traits & OPTION_IS_PATH ? path_value(text) : json_string(text);
}

static json_t *option_value(const option_set *options, const option_spec *spec)
{
    const void *value = (const char *)&options->values + spec->where;
    const char *const *texts = value;
    switch (spec->kind) {
    case OPTION_FLAG:
        return json_boolean(*(const bool *)value);
    case OPTION_COUNT:
        return json_integer(*(const int64_t *)value);
    case OPTION_REAL:
        return json_real(*(const double *)value);
    case OPTION_CHOICE:
        return json_string(spec->choices[*(const int *)value]);
    case OPTION_TWO_TEXTS:
        return json_pack("[oo]", text_value(spec, texts[0]), text_value(spec, texts[1]));
    case OPTION_TEXT:
    case OPTION_WORD:
        break;
    }
    return text_value(spec, texts[0]);
}

int config_write(const option_set *options, const char *path)
{
    json_t *root = json_object();
    const option_spec *spec;
    for (int i = 0; (spec = options_spec(options, i)); i++) {
        bool kept = options_has(options, i) && !(spec->traits & OPTION_NOT_KEPT);
        json_t *value = kept ? option_value(options, spec) : NULL;
        if (kept && json_object_set_new(root, spec->name, value) != 0) {
            json_decref(root);
            return fail(STATUS_FAILED, "%s: the value of --%s is not UTF-8 text", path, spec->name);
        }
    }
    int status = json_write_file(root, path);
    json_decref(root);
    return status;
}
