/* csv.c: reads a CSV table of numbers: counts its lines, allocates once, parses line by line. Contract in csv.h. */
#include "host/csv.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "host/csv_header.h"
#include "host/decimal.h"
#include "host/lines.h"

/* Integers up to here are exact in double. */
#define LARGEST_CLASS 0x1p53

typedef struct csv_reader {
    bp_context *context;
    const char *path;
    bpi_lines lines;
    bpi_csv_header header;
    int64_t capacity; /* rows allocated */
    bool classes;     /* all targets so far are non-negative integers */
} csv_reader;

/* ---------------------------------------------------------------- words */

static bp_status bad_field(const csv_reader *reader, int64_t column, const char *field, const char *what)
{
    int length = (int)strcspn(field, ",");
    return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA, "%s: line %lld, column %lld (\"%.64s\"): \"%.*s\" %s",
                    reader->path, (long long)reader->lines.number, (long long)column + 1,
                    bpi_csv_header_name(&reader->header, column), length < 40 ? length : 40, field, what);
}

static bp_status empty_field(const csv_reader *reader, int64_t column)
{
    return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA,
                    "%s: line %lld, column %lld (\"%.64s\") is empty; fill it or leave the line out", reader->path,
                    (long long)reader->lines.number, (long long)column + 1,
                    bpi_csv_header_name(&reader->header, column));
}

static bp_status ragged(const csv_reader *reader, const char *line)
{
    int64_t fields = 1;
    for (const char *at = line; *at; at++)
        fields += *at == ',';
    return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA,
                    "%s: line %lld has %lld fields, and the header has %lld columns", reader->path,
                    (long long)reader->lines.number, (long long)fields, (long long)reader->header.columns);
}

/* ---------------------------------------------------------------- one line */

static const char *skip_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}

/* Why there is no number at `field`. */
static bp_status no_number(const csv_reader *reader, int64_t column, const char *field)
{
    if (*field == ',' || *field == 0)
        return empty_field(reader, column);
    const char *word = field + (*field == '-' || *field == '+');
    if (strncasecmp(word, "nan", 3) == 0 || strncasecmp(word, "inf", 3) == 0)
        return bad_field(reader, column, field, "is not finite; NaN and infinity are refused");
    return bad_field(reader, column, field, "is not a number");
}

static bp_status store(csv_reader *reader, const char *field, int64_t column, int64_t row, double value, float *x,
                       bpi_csv *table)
{
    float rounded = (float)value;
    if (!isfinite(rounded))
        return bad_field(reader, column, field, "is beyond the range of float32");
    if (column != reader->header.target) {
        *x = rounded;
        return BP_STATUS_OK;
    }
    table->targets[row] = rounded;
    reader->classes = reader->classes && value >= 0 && value <= LARGEST_CLASS && value == floor(value);
    table->classes[row] = reader->classes ? (int64_t)value : 0;
    return BP_STATUS_OK;
}

static bp_status parse_line(csv_reader *reader, const char *line, size_t length, int64_t row, bpi_csv *table)
{
    float *x = table->x + row * table->inputs;
    const char *at = line;
    for (int64_t column = 0; column < reader->header.columns; column++) {
        const char *field = skip_blanks(at);
        double value;
        const char *end = bpi_decimal_parse(field, &value);
        if (!end)
            return no_number(reader, column, field);
        BPI_TRY(store(reader, field, column, row, value, x, table));
        x += column != reader->header.target;
        at = skip_blanks(end);
        bool last = column + 1 == reader->header.columns;
        if (*at == ',' && !last)
            at++;
        else if (*at == ',' || (*at == 0 && !last))
            return ragged(reader, line);
        else if (*at != 0)
            return bad_field(reader, column, field, "is not a number");
    }
    if (at != line + length)
        return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA, "%s: line %lld holds a zero byte", reader->path,
                        (long long)reader->lines.number);
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- all lines */

static bp_status allocate(csv_reader *reader, bpi_csv *table)
{
    int64_t columns = reader->header.columns, rows;
    BPI_TRY(bpi_lines_count(&reader->lines, &rows));
    /* A line takes at least a digit and a separator for each column, so a wrong file takes no memory it cannot fill. */
    int64_t most = reader->lines.file.bytes / (2 * columns) + 1;
    reader->capacity = rows = rows < most ? rows : most;
    bool target = reader->header.target >= 0;
    table->inputs = columns - target;
    BPI_TRY(bpi_array_bytes(reader->context, rows * table->inputs, sizeof(float), reader->path, &table->x_bytes));
    void *memory;
    BPI_TRY(bpi_alloc(reader->context, table->x_bytes, reader->path, &memory));
    table->x = memory;
    if (!target)
        return BP_STATUS_OK;
    table->targets_bytes = (size_t)rows * sizeof(float);
    BPI_TRY(bpi_alloc(reader->context, table->targets_bytes, reader->path, &memory));
    table->targets = memory;
    table->classes_bytes = (size_t)rows * sizeof(int64_t);
    BPI_TRY(bpi_alloc(reader->context, table->classes_bytes, reader->path, &memory));
    table->classes = memory;
    return BP_STATUS_OK;
}

/* Empty lines may only stand at the end. */
static bp_status read_rows(csv_reader *reader, bpi_csv *table)
{
    int64_t empty = 0; /* number of the first empty line */
    for (;;) {
        char *line;
        size_t length;
        BPI_TRY(bpi_lines_next(&reader->lines, &line, &length));
        if (!line)
            break;
        if (length == 0) {
            empty = empty ? empty : reader->lines.number;
            continue;
        }
        if (empty)
            return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA, "%s: line %lld is empty, and more follow it",
                            reader->path, (long long)empty);
        if (table->rows == reader->capacity)
            return BPI_FAIL(reader->context, BP_STATUS_IO, "%s grew while it was read", reader->path);
        BPI_TRY(parse_line(reader, line, length, table->rows, table));
        table->rows++;
    }
    if (table->rows == 0)
        return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA, "%s holds no line of numbers after its header",
                        reader->path);
    return BP_STATUS_OK;
}

static bp_status read_table(csv_reader *reader, const char *target, bpi_csv *table)
{
    char *line;
    size_t length;
    BPI_TRY(bpi_lines_open(reader->context, reader->path, &reader->lines));
    BPI_TRY(bpi_lines_next(&reader->lines, &line, &length));
    if (!line || length == 0)
        return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA, "%s: line 1 is empty; the names of the columns are wanted",
                        reader->path);
    BPI_TRY(bpi_csv_header_parse(reader->context, reader->path, line, length, target, &reader->header));
    BPI_TRY(allocate(reader, table));
    return read_rows(reader, table);
}

static void drop_classes(bp_context *context, bpi_csv *table)
{
    bpi_free(context, table->classes, table->classes_bytes);
    table->classes = NULL;
    table->classes_bytes = 0;
}

bp_status bpi_csv_read(bp_context *context, const char *path, const char *target, bpi_csv *table)
{
    memset(table, 0, sizeof *table);
    csv_reader reader = {.context = context, .path = path, .classes = true};
    bp_status status = read_table(&reader, target, table);
    bpi_csv_header_release(context, &reader.header);
    bpi_lines_close(&reader.lines);
    if (status != BP_STATUS_OK)
        bpi_csv_free(context, table);
    else if (!reader.classes)
        drop_classes(context, table);
    return status;
}

void bpi_csv_free(bp_context *context, bpi_csv *table)
{
    drop_classes(context, table);
    bpi_free(context, table->targets, table->targets_bytes);
    bpi_free(context, table->x, table->x_bytes);
    memset(table, 0, sizeof *table);
}
