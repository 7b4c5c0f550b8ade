/* sandbox.c: see sandbox.h. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "support/sandbox.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A test is a process of its own with one folder, and nftw hands nothing on to its callback. */
static char folder[256];

enum { LINES_MOST = 256, LINE_BYTES = 512 };
static char (*lines)[LINE_BYTES];
static size_t line_count;

void bpt_sandbox_enter(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/backprop-test-XXXXXX", base && *base ? base : "/tmp");
    cr_assert(mkdtemp(folder) && chdir(folder) == 0, "cannot make a temporary folder");
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void bpt_sandbox_leave(void)
{
    if (chdir("/") == 0)
        nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

char *bpt_text_read(const char *path)
{
    size_t size;
    return bpt_file_read(path, &size);
}

void bpt_text_write(const char *path, const char *text)
{
    bpt_file_write(path, text, strlen(text));
}

bool bpt_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

void bpt_file_same(const char *a, const char *b)
{
    size_t a_size, b_size;
    char *a_bytes = bpt_file_read(a, &a_size), *b_bytes = bpt_file_read(b, &b_size);
    cr_assert(a_size > 0, "%s is empty", a);
    cr_assert(a_size == b_size && memcmp(a_bytes, b_bytes, a_size) == 0, "%s and %s differ", a, b);
    free(a_bytes);
    free(b_bytes);
}

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv: enough to see a change. */
static uint64_t hash(const char *bytes, size_t size)
{
    uint64_t value = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        value = (value ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return value;
}

static int list_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)walk;
    cr_assert(line_count < LINES_MOST, "too many files");
    if (kind != FTW_F) {
        snprintf(lines[line_count++], LINE_BYTES, "%s folder\n", path);
        return 0;
    }
    size_t size;
    char *bytes = bpt_file_read(path, &size);
    snprintf(lines[line_count++], LINE_BYTES, "%s %zu %016llx\n", path, size, (unsigned long long)hash(bytes, size));
    free(bytes);
    return 0;
}

static int order(const void *a, const void *b)
{
    return strcmp(a, b);
}

char *bpt_sandbox_listing(void)
{
    lines = calloc(LINES_MOST, sizeof *lines);
    line_count = 0;
    cr_assert(lines && nftw(".", list_one, 16, FTW_PHYS) == 0, "cannot list the folder");
    qsort(lines, line_count, sizeof *lines, order);
    char *text = calloc(line_count * LINE_BYTES + 1, 1);
    cr_assert(text);
    for (size_t i = 0; i < line_count; i++)
        strcat(text, lines[i]);
    free(lines);
    return text;
}
