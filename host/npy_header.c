/* npy_header.c: parses the head of an NPY file, a Python dictionary with exactly the keys descr, fortran_order and
 * shape in any order (NEP 1). A literal that NumPy could have written differently is accepted; anything else is
 * refused. */
#include "host/npy_header.h"

#include <string.h>

typedef struct text_cursor {
    bp_context *context;
    const char *path;
    const char *text, *at;
} text_cursor;

static const struct {
    const char *name;
    bpi_npy_type type;
    int bytes;
} types[] = {
    {"f4", BPI_NPY_F32, 4}, {"f8", BPI_NPY_F64, 8}, {"u1", BPI_NPY_U8, 1},
    {"i4", BPI_NPY_I32, 4}, {"i8", BPI_NPY_I64, 8},
};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

int bpi_npy_type_bytes(bpi_npy_type type)
{
    for (int i = 0; i < TYPE_COUNT; i++)
        if (types[i].type == type)
            return types[i].bytes;
    return 0;
}

/* ---------------------------------------------------------------- words of the language */

static void skip_spaces(text_cursor *cursor)
{
    cursor->at += strspn(cursor->at, " \t\r\n");
}

static bool take(text_cursor *cursor, const char *word)
{
    skip_spaces(cursor);
    size_t length = strlen(word);
    if (strncmp(cursor->at, word, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

static bp_status malformed(const text_cursor *cursor, const char *expected)
{
    return BPI_FAIL(cursor->context, BP_STATUS_BAD_DATA,
                    "%s: malformed NPY header at character %d: expected %s; write the file with numpy.save",
                    cursor->path, (int)(cursor->at - cursor->text), expected);
}

/* 'text' or "text" without escapes, into a buffer. */
static bp_status take_string(text_cursor *cursor, const char *expected, char *text, size_t size)
{
    skip_spaces(cursor);
    char quote = *cursor->at;
    const char *end = quote == '\'' || quote == '"' ? strchr(cursor->at + 1, quote) : NULL;
    if (!end || (size_t)(end - cursor->at) > size || memchr(cursor->at, '\\', (size_t)(end - cursor->at)))
        return malformed(cursor, expected);
    size_t length = (size_t)(end - cursor->at) - 1;
    memcpy(text, cursor->at + 1, length);
    text[length] = 0;
    cursor->at = end + 1;
    return BP_STATUS_OK;
}

static bp_status take_number(text_cursor *cursor, int64_t *number)
{
    skip_spaces(cursor);
    if (*cursor->at < '0' || *cursor->at > '9')
        return malformed(cursor, "a size of the shape");
    *number = 0;
    for (; *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++) {
        int digit = *cursor->at - '0';
        if (*number > (INT64_MAX - digit) / 10)
            return malformed(cursor, "a size of the shape that fits 63 bits");
        *number = *number * 10 + digit;
    }
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- the three values */

static bp_status take_descr(text_cursor *cursor, bpi_npy *array)
{
    skip_spaces(cursor);
    if (*cursor->at == '[')
        return BPI_FAIL(cursor->context, BP_STATUS_BAD_DATA,
                        "%s holds records; save a plain array of float32, float64, uint8, int32 or int64",
                        cursor->path);
    char descr[32];
    BPI_TRY(take_string(cursor, "a type such as '<f4'", descr, sizeof descr));
    const char *name = descr + (descr[0] && strchr("<>=|", descr[0]) ? 1 : 0);
    for (int i = 0; i < TYPE_COUNT; i++) {
        if (strcmp(name, types[i].name) != 0)
            continue;
        if (descr[0] == '>' && types[i].bytes > 1)
            return BPI_FAIL(cursor->context, BP_STATUS_BAD_DATA,
                            "%s holds the type %s, big-endian; save it little-endian, with .astype('<%s')",
                            cursor->path, descr, name);
        array->type = types[i].type;
        return BP_STATUS_OK;
    }
    return BPI_FAIL(cursor->context, BP_STATUS_BAD_DATA,
                    "%s holds the type %s; float32, float64, uint8, int32 and int64 can be read: convert with .astype",
                    cursor->path, descr);
}

static bp_status take_order(text_cursor *cursor)
{
    if (take(cursor, "False"))
        return BP_STATUS_OK;
    if (!take(cursor, "True"))
        return malformed(cursor, "True or False");
    return BPI_FAIL(cursor->context, BP_STATUS_BAD_DATA,
                    "%s is in Fortran order; C order is wanted: save numpy.ascontiguousarray(array)", cursor->path);
}

/* (), (3,), (3, 4) and (3, 4, ) */
static bp_status take_shape(text_cursor *cursor, bpi_npy *array)
{
    if (!take(cursor, "("))
        return malformed(cursor, "a shape such as (3, 4)");
    array->rank = 0;
    while (!take(cursor, ")")) {
        if (array->rank == BPI_NPY_MAX_RANK)
            return BPI_FAIL(cursor->context, BP_STATUS_BAD_DATA, "%s has more than %d dimensions", cursor->path,
                            BPI_NPY_MAX_RANK);
        BPI_TRY(take_number(cursor, &array->shape[array->rank++]));
        if (take(cursor, ","))
            continue;
        if (array->rank < 2 || !take(cursor, ")"))
            return malformed(cursor, "a comma in the shape");
        break;
    }
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- the dictionary */

enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };

static bp_status take_item(text_cursor *cursor, bpi_npy *array, int *seen)
{
    char key[16];
    BPI_TRY(take_string(cursor, "'descr', 'fortran_order' or 'shape'", key, sizeof key));
    int which = strcmp(key, "descr") == 0           ? DESCR
                : strcmp(key, "fortran_order") == 0 ? ORDER
                : strcmp(key, "shape") == 0         ? SHAPE
                                                    : 0;
    if (!which || (*seen & which))
        return malformed(cursor, "'descr', 'fortran_order' and 'shape', each once");
    *seen |= which;
    if (!take(cursor, ":"))
        return malformed(cursor, "a colon");
    if (which == DESCR)
        return take_descr(cursor, array);
    return which == ORDER ? take_order(cursor) : take_shape(cursor, array);
}

static bp_status count_elements(const text_cursor *cursor, bpi_npy *array)
{
    int64_t limit = INT64_MAX / bpi_npy_type_bytes(array->type);
    array->count = 1;
    for (int i = 0; i < array->rank; i++) {
        if (array->shape[i] > 0 && array->count > limit / array->shape[i])
            return BPI_FAIL(cursor->context, BP_STATUS_BAD_DATA,
                            "%s: its shape holds more bytes than 63 bits can count", cursor->path);
        array->count *= array->shape[i];
    }
    return BP_STATUS_OK;
}

bp_status bpi_npy_header_parse(bp_context *context, const char *path, const char *text, bpi_npy *array)
{
    text_cursor cursor = {context, path, text, text};
    int seen = 0;
    if (!take(&cursor, "{"))
        return malformed(&cursor, "a dictionary");
    while (!take(&cursor, "}")) {
        BPI_TRY(take_item(&cursor, array, &seen));
        if (take(&cursor, ","))
            continue;
        if (!take(&cursor, "}"))
            return malformed(&cursor, "a comma");
        break;
    }
    if (seen != ALL)
        return malformed(&cursor, "all of 'descr', 'fortran_order' and 'shape' before the end");
    skip_spaces(&cursor);
    if (*cursor.at)
        return malformed(&cursor, "nothing after the dictionary");
    return count_elements(&cursor, array);
}
