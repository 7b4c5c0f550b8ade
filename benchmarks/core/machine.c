/* machine.c: see machine.h. */
#define _DEFAULT_SOURCE /* malloc_trim's header */
#include "benchmarks/core/machine.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench_commit.h" /* made anew in every build: BPB_COMMIT */

const char *bpb_refusal(void)
{
    if (strlen(BP_SANITIZE) > 0)
        return "this build has sanitizers (" BP_SANITIZE ")";
#ifndef __OPTIMIZE__
    return "this build is not optimised";
#elif !defined(NDEBUG)
    return "this build has its assertions on";
#else
    return NULL;
#endif
}

/* What follows `key` and blanks or a colon, on the first such line of a file. */
static bool line_of(const char *path, const char *key, char *text, size_t bytes)
{
    FILE *file = fopen(path, "r");
    char line[512];
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        found = strncmp(line, key, strlen(key)) == 0;
        if (found) {
            const char *value = line + strlen(key);
            value += strspn(value, " \t:");
            snprintf(text, bytes, "%.*s", (int)strcspn(value, "\n"), value);
        }
    }
    if (file)
        fclose(file);
    return found;
}

static double first_number(const char *path)
{
    char text[128];
    return line_of(path, "", text, sizeof text) ? strtod(text, NULL) : 0.0;
}

void bpb_machine_read(bpb_machine *machine)
{
    *machine = (bpb_machine){.processor = "unknown", .driver = "none", .commit = BPB_COMMIT, .build = BP_BUILD_TYPE};
    line_of("/proc/cpuinfo", "model name", machine->processor, sizeof machine->processor);
    line_of("/proc/driver/nvidia/version", "NVRM version", machine->driver, sizeof machine->driver);
    struct utsname system;
    if (uname(&system) == 0) {
        snprintf(machine->host, sizeof machine->host, "%.63s", system.nodename);
        snprintf(machine->system, sizeof machine->system, "%.20s %.40s", system.sysname, system.release);
    }
#if defined(__clang__)
    snprintf(machine->compiler, sizeof machine->compiler, "clang %.50s", __clang_version__);
#else
    snprintf(machine->compiler, sizeof machine->compiler, "gcc %.50s", __VERSION__);
#endif
    time_t now = time(NULL);
    struct tm local;
    if (localtime_r(&now, &local))
        strftime(machine->date, sizeof machine->date, "%Y-%m-%dT%H:%M:%S%z", &local);
    machine->processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
    machine->load = first_number("/proc/loadavg");
    machine->memory_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
}

static int64_t kilobytes_of(const char *key)
{
    char text[128];
    return line_of("/proc/self/status", key, text, sizeof text) ? strtoll(text, NULL, 10) * 1024 : 0;
}

int64_t bpb_peak_bytes(void)
{
    return kilobytes_of("VmHWM");
}

int64_t bpb_peak_reset(void)
{
    malloc_trim(0); /* memory of earlier cases that was freed and not given back would hide what is taken now */
    FILE *file = fopen("/proc/self/clear_refs", "w");
    bool reset = file && fputs("5", file) >= 0;
    if (file)
        reset = fclose(file) == 0 && reset;
    return reset ? kilobytes_of("VmRSS") : 0;
}

void bpb_machine_print(const bpb_machine *machine)
{
    printf("machine    %s, %d processors, load average %.2f before the run\nbuild      %s, %s, commit %s\n",
           machine->processor, machine->processors, machine->load, machine->build, machine->compiler, machine->commit);
}
