/* lines.c: splits a text file into lines. The buffer grows only for a line that is longer than it. Contract in lines.h.
 */
#include "host/lines.h"

#include <errno.h>
#include <string.h>

enum { FIRST_CAPACITY = 1 << 18 }; /* less for a file that is smaller */

bp_status bpi_lines_open(bp_context *context, const char *path, bpi_lines *lines)
{
    memset(lines, 0, sizeof *lines);
    BPI_TRY(bpi_in_file_open(context, path, &lines->file));
    void *memory;
    size_t capacity = lines->file.bytes < FIRST_CAPACITY ? (size_t)lines->file.bytes + 1 : FIRST_CAPACITY;
    BPI_TRY(bpi_alloc(context, capacity + 1, path, &memory));
    lines->buffer = memory;
    lines->capacity = capacity;
    return BP_STATUS_OK;
}

void bpi_lines_close(bpi_lines *lines)
{
    bpi_in_file_close(&lines->file);
    if (lines->buffer)
        bpi_free(lines->file.context, lines->buffer, lines->capacity + 1);
    lines->buffer = NULL;
}

/* As many bytes as there are, up to `count`. */
static bp_status read_some(bpi_lines *lines, char *bytes, size_t count, size_t *got)
{
    errno = 0;
    *got = fread(bytes, 1, count, lines->file.stream);
    if (*got < count && ferror(lines->file.stream))
        return BPI_FAIL(lines->file.context, BP_STATUS_IO, "cannot read %s: %s", lines->file.path,
                        strerror(errno ? errno : EIO));
    return BP_STATUS_OK;
}

/* Moves what is left to the front of a buffer that has room behind it. */
static bp_status make_room(bpi_lines *lines)
{
    size_t left = lines->end - lines->begin;
    if (left < lines->capacity) {
        memmove(lines->buffer, lines->buffer + lines->begin, left);
    } else {
        void *memory;
        size_t capacity = 2 * lines->capacity;
        BPI_TRY(bpi_alloc(lines->file.context, capacity + 1, lines->file.path, &memory));
        memcpy(memory, lines->buffer + lines->begin, left);
        bpi_free(lines->file.context, lines->buffer, lines->capacity + 1);
        lines->buffer = memory;
        lines->capacity = capacity;
    }
    lines->begin = 0;
    lines->end = left;
    return BP_STATUS_OK;
}

bp_status bpi_lines_next(bpi_lines *lines, char **line, size_t *length)
{
    size_t searched = 0; /* bytes of this line known to hold no LF */
    char *newline = NULL;
    for (;;) {
        if (lines->end > lines->begin + searched)
            newline = memchr(lines->buffer + lines->begin + searched, '\n', lines->end - lines->begin - searched);
        if (newline)
            break;
        searched = lines->end - lines->begin;
        BPI_TRY(make_room(lines));
        size_t got;
        BPI_TRY(read_some(lines, lines->buffer + lines->end, lines->capacity - lines->end, &got));
        lines->end += got;
        if (got == 0)
            break;
    }
    *line = NULL;
    *length = 0;
    if (!newline && lines->begin == lines->end)
        return BP_STATUS_OK;
    char *start = lines->buffer + lines->begin;
    char *end = newline ? newline : lines->buffer + lines->end;
    lines->begin = (size_t)(end - lines->buffer) + (newline != NULL);
    if (end > start && end[-1] == '\r')
        end--;
    *end = 0;
    *line = start;
    *length = (size_t)(end - start);
    lines->number++;
    return BP_STATUS_OK;
}

bp_status bpi_lines_count(bpi_lines *lines, int64_t *count)
{
    *count = 0;
    off_t place = ftello(lines->file.stream);
    char last = '\n';
    for (size_t i = lines->begin; i < lines->end; i++)
        *count += lines->buffer[i] == '\n';
    if (lines->end > lines->begin)
        last = lines->buffer[lines->end - 1];
    enum { CHUNK = 1 << 16 };
    char bytes[CHUNK];
    size_t got;
    do {
        BPI_TRY(read_some(lines, bytes, CHUNK, &got));
        for (size_t i = 0; i < got; i++)
            *count += bytes[i] == '\n';
        if (got)
            last = bytes[got - 1];
    } while (got);
    *count += last != '\n'; /* the last line needs no end */
    if (fseeko(lines->file.stream, place, SEEK_SET) != 0)
        return BPI_FAIL(lines->file.context, BP_STATUS_IO, "cannot read %s: %s", lines->file.path, strerror(errno));
    return BP_STATUS_OK;
}
