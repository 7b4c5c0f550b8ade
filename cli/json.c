/* json.c: see json.h. */
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "replace.h"
#include "words.h"

static bool reads_back(double value, int digits)
{
    char text[64];
    snprintf(text, sizeof text, "%.*g", digits, value);
    return strtod(text, NULL) == value;
}

json_t *json_digits(double value, int digits)
{
    if (!isfinite(value))
        return json_null();
    char text[64];
    snprintf(text, sizeof text, "%.*g", digits, value);
    return json_real(strtod(text, NULL));
}

static bool make_string_plain(json_t *value)
{
    char *copy = strdup(json_string_value(value));
    if (!copy)
        return false;
    words_plain(copy);
    bool done = json_string_set(value, copy) == 0;
    free(copy);
    return done;
}

bool json_make_plain(json_t *value)
{
    const char *key;
    json_t *child;
    size_t index;
    bool done = json_is_string(value) ? make_string_plain(value) : true;
    json_object_foreach(value, key, child) done &= json_make_plain(child);
    json_array_foreach(value, index, child) done &= json_make_plain(child);
    return done;
}

/* Jansson prints all reals of a value with the same number of digits: the least that keeps them all. */
static int digits_needed(const json_t *value, int digits)
{
    const char *key;
    json_t *child;
    size_t index;
    if (json_is_real(value))
        while (digits < 17 && !reads_back(json_real_value(value), digits))
            digits++;
    json_object_foreach((json_t *)(uintptr_t)value, key, child) digits = digits_needed(child, digits);
    json_array_foreach(value, index, child) digits = digits_needed(child, digits);
    return digits;
}

static size_t dump_flags(const json_t *root)
{
    return JSON_REAL_PRECISION((size_t)digits_needed(root, 6));
}

bool json_put(json_t *root, FILE *stream, size_t flags)
{
    bool done = root && json_dumpf(root, stream, flags | dump_flags(root)) == 0 && fputc('\n', stream) != EOF;
    json_decref(root);
    return done;
}

int json_print(json_t *root)
{
    if (!root)
        return fail(STATUS_FAILED, "out of memory");
    json_put(root, stdout, JSON_INDENT(2)); /* main reports what standard output refused */
    return STATUS_OK;
}

int json_write_file(const json_t *root, const char *path)
{
    replacement file;
    TRY(replace_open(&file, path));
    json_dumpf(root, file.stream, JSON_INDENT(2) | dump_flags(root)); /* replace_commit reports what the file refused */
    fputc('\n', file.stream);
    return replace_commit(&file);
}
