/* measure.c: see measure.h. */
#include "benchmarks/measure.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double bpb_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

bpb_statistics bpb_summarize(double *samples, int count)
{
    qsort(samples, (size_t)count, sizeof *samples, compare);
    bpb_statistics s;
    s.median = count % 2 ? samples[count / 2] : 0.5 * (samples[count / 2 - 1] + samples[count / 2]);
    s.minimum = samples[0];
    s.spread = 0.5 * (samples[count * 3 / 4] - samples[count / 4]) / s.median;
    return s;
}

/* The first line that a command prints, without its newline; "unknown" where it prints none. */
static void first_line(const char *command, char *text, size_t bytes)
{
    FILE *pipe = popen(command, "r");
    bool got = pipe && fgets(text, (int)bytes, pipe);
    if (pipe)
        pclose(pipe);
    if (!got)
        snprintf(text, bytes, "unknown");
    text[strcspn(text, "\n")] = '\0';
}

static void processor(char *text, size_t bytes)
{
    snprintf(text, bytes, "unknown processor");
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
            snprintf(text, bytes, "%s", strchr(line, ':') + 2);
            text[strcspn(text, "\n")] = '\0';
            break;
        }
    if (file)
        fclose(file);
}

int bpb_begin(FILE *out, const char *program)
{
    if (strlen(BP_SANITIZE) > 0 || strcmp(BP_BUILD_TYPE, "Release") != 0) {
        fprintf(stderr, "%s: this is a %s build%s%s: nothing to time; configure with --preset release\n", program,
                BP_BUILD_TYPE, strlen(BP_SANITIZE) > 0 ? " with sanitizers " : "", BP_SANITIZE);
        return 0;
    }
    char cpu[128], commit[64], load[64];
    processor(cpu, sizeof cpu);
    first_line("git -C '" BP_SOURCE_DIR "' describe --always --dirty 2>/dev/null", commit, sizeof commit);
    first_line("cut -d' ' -f1 /proc/loadavg", load, sizeof load);
    fprintf(out, "machine    %s, load average %s before the run\nbuild      %s, %s, commit %s\n", cpu, load,
            BP_BUILD_TYPE,
#if defined(__clang__)
            "clang " __clang_version__,
#else
            "gcc " __VERSION__,
#endif
            commit);
    return 1;
}

void bpb_fill(float *values, int64_t count, uint64_t seed)
{
    uint64_t state = seed * 2654435769u + 1;
    for (int64_t k = 0; k < count; ++k) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        values[k] = (float)(state >> 40) * 0x1p-24f - 0.5f;
    }
}
