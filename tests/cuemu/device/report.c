/* report.c: what was found. Each place is printed once, every occurrence counts, and a process that found anything
 * ends with status 99. Contract: cuemu.h, cuemu_api.h. */
#include "cuemu.h"
#include "cuemu_api.h"
#include "device/device.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PRINTED_PLACES = 40, TEXT_BYTES = 600, MAX_EXIT_CHECKS = 8 };

static const struct {
    const char *slug, *words;
} kinds[] = {
#define KIND_TEXT(name, slug, words) {slug, words},
    CUE_REPORT_KINDS(KIND_TEXT)
#undef KIND_TEXT
};

static cuemu_report *places; /* one per different place */
static size_t place_count, place_room;
static int64_t occurrences;
static void (*exit_checks[MAX_EXIT_CHECKS])(void);
static int exit_check_count;

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        cue_fatal("no host memory");
    return copy;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void finish(void)
{
    static bool done;
    if (done)
        return;
    done = true;
    for (int i = 0; i < exit_check_count; i++)
        exit_checks[i]();
    cue_json_write();
    if (occurrences == 0)
        return;
    fflush(NULL);
    fprintf(stderr, "cuemu: %lld reports at %zu places\n", (long long)occurrences, place_count);
    if (cue_settings_get()->on_report != CUE_REPORT_COUNT)
        _exit(99);
}

static void ensure_exit_hook(void)
{
    static bool hooked;
    if (!hooked && atexit(finish) != 0)
        cue_fatal("atexit refuses");
    hooked = true;
}

void cue_at_exit(void (*check)(void))
{
    ensure_exit_hook();
    if (exit_check_count == MAX_EXIT_CHECKS)
        cue_fatal("too many checks at exit");
    exit_checks[exit_check_count++] = check;
}

static void print_place(cue_report_kind kind, const cue_place *place, const char *text)
{
    fprintf(stderr, "cuemu: %s: %s\n", kinds[kind].slug, kinds[kind].words);
    if (place != NULL && place->kernel != NULL) {
        fprintf(stderr, "  in %s", place->kernel);
        if (place->file != NULL)
            fprintf(stderr, " at %s:%d", place->file, place->line);
        if (place->has_thread)
            fprintf(stderr, ", block (%u,%u,%u) thread (%u,%u,%u)", place->block[0], place->block[1], place->block[2],
                    place->thread[0], place->thread[1], place->thread[2]);
        fputc('\n', stderr);
    }
    fprintf(stderr, "  %s\n", text);
}

/* find: the place that was reported before, or a new one. */
static cuemu_report *find(cue_report_kind kind, const cue_place *place, const char *text, bool *is_new)
{
    const char *kernel = place != NULL ? place->kernel : NULL;
    const char *file = place != NULL ? place->file : NULL;
    int line = place != NULL ? place->line : 0;
    for (size_t i = 0; i < place_count; i++) {
        cuemu_report *r = &places[i];
        if (r->kind == kinds[kind].slug && same(r->kernel, kernel) && same(r->file, file) && r->line == line &&
            (file != NULL || same(r->text, text))) {
            *is_new = false;
            return r;
        }
    }
    if (place_count == place_room) {
        place_room = place_room == 0 ? 64 : 2 * place_room;
        places = cue_realloc(places, place_room * sizeof *places);
    }
    cuemu_report *r = &places[place_count++];
    *r = (cuemu_report){.kind = kinds[kind].slug,
                        .kernel = kernel != NULL ? copy_text(kernel) : NULL,
                        .file = file != NULL ? copy_text(file) : NULL,
                        .line = line,
                        .text = copy_text(text)};
    *is_new = true;
    return r;
}

void cue_report(cue_report_kind kind, const cue_place *place, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    ensure_exit_hook();
    bool is_new = false;
    cuemu_report *r = find(kind, place, text, &is_new);
    r->times++;
    occurrences++;
    if (is_new && place_count <= PRINTED_PLACES)
        print_place(kind, place, text);
    if (cue_settings_get()->on_report == CUE_REPORT_ABORT) {
        fflush(NULL);
        abort();
    }
}

int cue_report_count(void)
{
    return (int)occurrences;
}

void cue_fatal(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fputs("cuemu: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(99);
}

CUE_EXPORT int cuemu_report_count(void)
{
    return (int)occurrences;
}

CUE_EXPORT int cuemu_report_place_count(void)
{
    return (int)place_count;
}

CUE_EXPORT int cuemu_report_get(int index, cuemu_report *out)
{
    if (index < 0 || (size_t)index >= place_count)
        return -1;
    *out = places[index];
    return 0;
}

CUE_EXPORT void cuemu_forgive_reports(void)
{
    for (size_t i = 0; i < place_count; i++) {
        free((char *)places[i].kernel);
        free((char *)places[i].file);
        free((char *)places[i].text);
    }
    place_count = 0;
    occurrences = 0;
}
