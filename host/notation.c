/* notation.c: blocks in the command line's notation, "256:relu,128:leaky_relu:slope=0.2:bn,10", to structs and back.
 * The grammar: UNITS[:ACTIVATION][:OPTION...], separated by commas. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/model.h"

/* A piece of the text. */
typedef struct span {
    const char *text;
    size_t length;
} span;

static span next_piece(const char **cursor, const char *separators)
{
    size_t length = strcspn(*cursor, separators);
    span piece = {*cursor, length};
    *cursor += length;
    return piece;
}

static bool equals(span piece, const char *word)
{
    return strlen(word) == piece.length && memcmp(piece.text, word, piece.length) == 0;
}

/* The value after `key=`, copied to `value`; false where the piece is not that key or the value is too long. */
static bool key_value(span piece, const char *key, char *value, size_t size)
{
    size_t length = strlen(key);
    if (piece.length <= length + 1 || memcmp(piece.text, key, length) != 0 || piece.text[length] != '=' ||
        piece.length - length - 1 >= size)
        return false;
    memcpy(value, piece.text + length + 1, piece.length - length - 1);
    value[piece.length - length - 1] = '\0';
    return true;
}

static bool parse_int(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *value = number;
    return end != text && *end == '\0' && errno == 0 && text[0] != ' ' && text[0] != '+';
}

/* Decimal, independent of the locale: digits, point, digits, exponent. */
static bool parse_float(const char *text, float *value)
{
    if (strspn(text, "0123456789.eE+-") != strlen(text))
        return false;
    double number = 0.0, scale = 1.0;
    const char *c = text;
    bool negative = *c == '-', digits = false;
    c += negative;
    for (; *c >= '0' && *c <= '9'; c++, digits = true)
        number = number * 10.0 + (*c - '0');
    if (*c == '.')
        for (c++; *c >= '0' && *c <= '9'; c++, digits = true) {
            number = number * 10.0 + (*c - '0');
            scale *= 10.0;
        }
    int64_t exponent = 0;
    if (digits && (*c == 'e' || *c == 'E')) {
        if (!parse_int(c + 1 + (c[1] == '+'), &exponent) || exponent < -400 || exponent > 400)
            return false;
        c += strlen(c);
    }
    number = number / scale * pow(10.0, (double)exponent);
    *value = (float)(negative ? -number : number);
    return digits && *c == '\0' && isfinite(*value);
}

static bp_status bad_option(bp_context *context, int64_t number, span piece, const char *expectation)
{
    return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "layers: block %lld: \"%.*s\" %s", (long long)number,
                    (int)piece.length, piece.text, expectation);
}

static bp_status parse_activation(bp_context *context, int64_t number, span piece, bp_block *block)
{
    for (int i = 0; i < BP_ACTIVATION_COUNT; i++)
        if (equals(piece, bp_activation_name((bp_activation)i))) {
            block->activation = (bp_activation)i;
            return BP_STATUS_OK;
        }
    return bad_option(context, number, piece,
                      "is no activation and no option; activations: identity sigmoid tanh relu leaky_relu elu "
                      "softplus silu gelu gelu_tanh; options: slope=X bn ln dropout=P nobias skip skip=K");
}

static bp_status parse_option(bp_context *context, int64_t number, span piece, bp_block *block)
{
    char value[64];
    if (equals(piece, "bn"))
        block->norm = BP_NORM_BATCH;
    else if (equals(piece, "ln"))
        block->norm = BP_NORM_LAYER;
    else if (equals(piece, "nobias"))
        block->no_bias = true;
    else if (equals(piece, "skip"))
        block->skip = -1;
    else if (key_value(piece, "skip", value, sizeof value)) {
        if (!parse_int(value, &block->skip) || block->skip < 1)
            return bad_option(context, number, piece, "must be skip=K with K >= 1, the number of an earlier block");
    } else if (key_value(piece, "slope", value, sizeof value)) {
        if (!parse_float(value, &block->slope) || !(block->slope > 0.0f))
            return bad_option(context, number, piece, "must be slope=X with X > 0");
    } else if (key_value(piece, "dropout", value, sizeof value)) {
        if (!parse_float(value, &block->dropout) || !(block->dropout >= 0.0f && block->dropout < 1.0f))
            return bad_option(context, number, piece, "must be dropout=P with 0 <= P < 1");
    } else
        return parse_activation(context, number, piece, block);
    return BP_STATUS_OK;
}

static bp_status parse_block(bp_context *context, int64_t number, const char **cursor, bp_block *block)
{
    char units[32];
    *block = (bp_block){.struct_size = sizeof *block};
    span piece = next_piece(cursor, ":,");
    if (piece.length == 0 || piece.length >= sizeof units)
        return bad_option(context, number, piece, "must begin with its number of units, such as 256:relu");
    memcpy(units, piece.text, piece.length);
    units[piece.length] = '\0';
    if (!parse_int(units, &block->units) || block->units < 1)
        return bad_option(context, number, piece, "is no number of units; it must be an integer >= 1");
    while (**cursor == ':') {
        ++*cursor;
        BPI_TRY(parse_option(context, number, next_piece(cursor, ":,"), block));
    }
    return BP_STATUS_OK;
}

bp_status bpi_notation_parse(bp_context *context, const char *text, bp_block **blocks, int64_t *count)
{
    *blocks = NULL;
    *count = 1;
    for (const char *c = text; *c; c++)
        *count += *c == ',';
    size_t bytes;
    BPI_TRY(bpi_array_bytes(context, *count, sizeof **blocks, "layers", &bytes));
    BPI_TRY(bpi_alloc(context, bytes, "layers", (void **)blocks));
    const char *cursor = text;
    for (int64_t i = 0; i < *count; i++) {
        bp_status status = parse_block(context, i + 1, &cursor, &(*blocks)[i]);
        if (status != BP_STATUS_OK) {
            bpi_free(context, *blocks, bytes);
            *blocks = NULL;
            return status;
        }
        cursor += *cursor == ',';
    }
    return BP_STATUS_OK;
}

/* Appends printf-like at *used; counts also what does not fit, so that a first pass measures. */
static void append(char *text, size_t size, size_t *used, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text ? text + *used : NULL, text ? size - *used : 0, format, arguments);
    va_end(arguments);
    *used += length > 0 ? (size_t)length : 0;
}

/* The shortest decimal that gives the same float back, with a point whatever the locale. */
static void append_float(char *text, size_t size, size_t *used, const char *key, float value)
{
    char digits[32];
    float back = 0.0f;
    for (int precision = 1; precision <= 9; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, (double)value);
        for (char *c = digits; *c; c++)
            if (*c == ',')
                *c = '.';
        if (parse_float(digits, &back) && !(back < value) && !(back > value))
            break;
    }
    append(text, size, used, ":%s=%s", key, digits);
}

static void format_block(const bp_block *block, char *text, size_t size, size_t *used)
{
    append(text, size, used, "%lld", (long long)block->units);
    if (block->activation != BP_ACTIVATION_IDENTITY)
        append(text, size, used, ":%s", bp_activation_name(block->activation));
    if (block->activation == BP_ACTIVATION_LEAKY_RELU)
        append_float(text, size, used, "slope", block->slope);
    if (block->norm != BP_NORM_NONE)
        append(text, size, used, ":%s", block->norm == BP_NORM_BATCH ? "bn" : "ln");
    if (block->dropout > 0.0f)
        append_float(text, size, used, "dropout", block->dropout);
    if (block->no_bias)
        append(text, size, used, ":nobias");
    if (block->skip == -1)
        append(text, size, used, ":skip");
    else if (block->skip)
        append(text, size, used, ":skip=%lld", (long long)block->skip);
}

bp_status bpi_notation_format(bp_context *context, const bp_block *blocks, int64_t count, char **text, size_t *bytes)
{
    *text = NULL;
    for (int pass = 0; pass < 2; pass++) {
        size_t used = 0;
        for (int64_t i = 0; i < count; i++) {
            if (i)
                append(*text, *bytes, &used, ",");
            format_block(&blocks[i], *text, *bytes, &used);
        }
        if (pass == 0) {
            *bytes = used + 1;
            BPI_TRY(bpi_alloc(context, *bytes, "layers", (void **)text));
        }
    }
    return BP_STATUS_OK;
}
