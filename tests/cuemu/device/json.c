/* json.c: reports and counters as one JSON object, for cuemu-run and for people's scripts. */
#include "cuemu.h"
#include "cuemu_api.h"
#include "device/device.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void write_string(FILE *f, const char *text)
{
    if (text == NULL) {
        fputs("null", f);
        return;
    }
    fputc('"', f);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fputc('\\', f);
        if ((unsigned char)*c < 0x20)
            fprintf(f, "\\u%04x", (unsigned)(unsigned char)*c);
        else
            fputc(*c, f);
    }
    fputc('"', f);
}

typedef struct writer {
    FILE *file;
    const char *kernel; /* whose object is open */
} writer;

static void kernel_counter(const char *kernel, const char *counter, int64_t value, void *user)
{
    writer *w = user;
    if (w->kernel != kernel) {
        fputs(w->kernel == NULL ? "\n    " : "},\n    ", w->file);
        write_string(w->file, kernel);
        fputs(": {", w->file);
        w->kernel = kernel;
    } else {
        fputs(", ", w->file);
    }
    write_string(w->file, counter);
    fprintf(w->file, ": %lld", (long long)value);
}

static void host_counter(const char *counter, int64_t value, void *user)
{
    writer *w = user;
    fputs(w->kernel == NULL ? "\n    " : ",\n    ", w->file);
    w->kernel = counter;
    write_string(w->file, counter);
    fprintf(w->file, ": %lld", (long long)value);
}

static void write_reports(FILE *f)
{
    cuemu_report r;
    for (int i = 0; cuemu_report_get(i, &r) == 0; i++) {
        fputs(i == 0 ? "\n    {\"kind\": " : ",\n    {\"kind\": ", f);
        write_string(f, r.kind);
        fputs(", \"kernel\": ", f);
        write_string(f, r.kernel);
        fputs(", \"file\": ", f);
        write_string(f, r.file);
        fprintf(f, ", \"line\": %d, \"times\": %lld, \"text\": ", r.line, (long long)r.times);
        write_string(f, r.text);
        fputc('}', f);
    }
}

/* expand: the path with the process number for %p, so that a program's processes do not overwrite each other. */
static void expand(const char *pattern, char *path, size_t bytes)
{
    const char *mark = strstr(pattern, "%p");
    if (mark == NULL)
        snprintf(path, bytes, "%s", pattern);
    else
        snprintf(path, bytes, "%.*s%ld%s", (int)(mark - pattern), pattern, (long)getpid(), mark + 2);
}

void cue_json_write(void)
{
    const char *pattern = cue_settings_get()->json_path;
    char path[4096];
    if (pattern == NULL || pattern[0] == '\0')
        return;
    expand(pattern, path, sizeof path);
    FILE *f = fopen(path, "w");
    if (f == NULL)
        cue_fatal("cannot write %s", path);
    fputs("{\n  \"reports\": [", f);
    write_reports(f);
    fputs("],\n  \"kernels\": {", f);
    writer kernels = {f, NULL}, hosts = {f, NULL};
    cue_counters_each(&(cue_counter_visitor){.kernel_counter = kernel_counter, .user = &kernels});
    fputs(kernels.kernel != NULL ? "}},\n  \"host\": {" : "},\n  \"host\": {", f);
    cue_counters_each(&(cue_counter_visitor){.host_counter = host_counter, .user = &hosts});
    fputs("}\n}\n", f);
    if (fclose(f) != 0)
        cue_fatal("cannot write %s", path);
}
