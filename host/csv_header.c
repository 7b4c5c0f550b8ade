/* csv_header.c: splits the header line of a CSV file into names, plain or in double quotes ("" inside stands for "),
 * and finds the target. Contract in csv_header.h. */
#include "host/csv_header.h"

#include <string.h>

typedef struct name_cursor {
    const char *at; /* in the line */
    char *out;      /* where the next name goes */
} name_cursor;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Copies one name and stops at what follows it. False: a quote that is not closed, or text behind it. */
static bool take_name(name_cursor *cursor)
{
    while (is_blank(*cursor->at))
        cursor->at++;
    if (*cursor->at != '"') {
        char *start = cursor->out;
        while (*cursor->at && *cursor->at != ',')
            *cursor->out++ = *cursor->at++;
        while (cursor->out > start && is_blank(cursor->out[-1]))
            cursor->out--;
        *cursor->out++ = 0;
        return true;
    }
    bool closed = false;
    for (cursor->at++; *cursor->at && !closed;) {
        if (*cursor->at == '"' && *++cursor->at != '"')
            closed = true;
        else
            *cursor->out++ = *cursor->at++;
    }
    *cursor->out++ = 0;
    while (is_blank(*cursor->at))
        cursor->at++;
    return closed && (*cursor->at == ',' || *cursor->at == 0);
}

static bp_status split(bp_context *context, const char *path, const char *line, bpi_csv_header *header)
{
    name_cursor cursor = {line, header->names};
    for (;;) {
        header->columns++;
        if (!take_name(&cursor))
            return BPI_FAIL(context, BP_STATUS_BAD_DATA,
                            "%s: line 1, column %lld: the quotes of the name are not closed, or text follows them",
                            path, (long long)header->columns);
        if (*cursor.at == 0)
            return BP_STATUS_OK;
        cursor.at++;
    }
}

const char *bpi_csv_header_name(const bpi_csv_header *header, int64_t column)
{
    const char *name = header->names;
    while (column-- > 0)
        name += strlen(name) + 1;
    return name;
}

/* "a", "b", ... as far as the buffer goes. */
static void list_names(const bpi_csv_header *header, char *list, size_t size)
{
    size_t used = 0;
    const char *name = header->names;
    for (int64_t column = 0; column < header->columns; column++, name += strlen(name) + 1) {
        size_t length = strlen(name);
        if (used + length + 8 > size) {
            snprintf(list + used, size - used, "...");
            return;
        }
        used += (size_t)snprintf(list + used, size - used, "\"%s\"%s", name, column + 1 < header->columns ? ", " : "");
    }
}

static bp_status find_target(bp_context *context, const char *path, const char *target, bpi_csv_header *header)
{
    header->target = -1;
    if (!target)
        return BP_STATUS_OK;
    const char *name = header->names;
    for (int64_t column = 0; column < header->columns; column++, name += strlen(name) + 1) {
        if (strcmp(name, target) != 0)
            continue;
        if (header->target >= 0)
            return BPI_FAIL(context, BP_STATUS_BAD_DATA, "%s: columns %lld and %lld are both named \"%.64s\"", path,
                            (long long)header->target + 1, (long long)column + 1, target);
        header->target = column;
    }
    char list[512] = "";
    list_names(header, list, sizeof list);
    if (header->target < 0)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s has no column named \"%.64s\"; its columns are: %s",
                        path, target, list);
    if (header->columns == 1)
        return BPI_FAIL(context, BP_STATUS_BAD_DATA, "%s has no column beside the target \"%.64s\"", path, target);
    return BP_STATUS_OK;
}

bp_status bpi_csv_header_parse(bp_context *context, const char *path, char *line, size_t length, const char *target,
                               bpi_csv_header *header)
{
    static const char mark[] = "\xef\xbb\xbf"; /* UTF-8's byte order mark */
    if (strlen(line) != length)
        return BPI_FAIL(context, BP_STATUS_BAD_DATA, "%s: line 1 holds a zero byte: it is no CSV file", path);
    if (strncmp(line, mark, sizeof mark - 1) == 0)
        line += sizeof mark - 1;
    /* A name is never longer than its text; the closing zero takes the place of the comma or of the line's end. */
    void *memory;
    BPI_TRY(bpi_alloc(context, length + 1, path, &memory));
    header->names = memory;
    header->bytes = length + 1;
    BPI_TRY(split(context, path, line, header));
    if (header->columns == 1 && strpbrk(line, ";\t"))
        return BPI_FAIL(context, BP_STATUS_BAD_DATA, "%s is separated by %s; save it separated by commas", path,
                        strchr(line, ';') ? "semicolons" : "tabs");
    return find_target(context, path, target, header);
}

void bpi_csv_header_release(bp_context *context, bpi_csv_header *header)
{
    bpi_free(context, header->names, header->bytes);
    memset(header, 0, sizeof *header);
}
