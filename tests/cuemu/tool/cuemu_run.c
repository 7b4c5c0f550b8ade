/* cuemu_run.c: runs a program on cuemu's stand-ins for libcudart, libcublas and libcublasLt, and prints what was
 * counted. The exit status is the program's own, or 99 where anything was reported in any of its processes. */
#include "merge.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPORTED = 99, USAGE = 2 };

typedef struct options {
    const char *json_file; /* "-": standard output */
    bool quiet;
    long seeds; /* > 0: that many runs in random modes */
} options;

static const char usage[] =
    "usage: cuemu-run [OPTION...] PROGRAM [ARGUMENT...]\n"
    "Runs PROGRAM on a modelled GPU (sm_90, 132 multiprocessors) instead of NVIDIA's libraries.\n"
    "  --streams MODE   eager, lazy (default) or random: when enqueued work runs\n"
    "  --order MODE     forward (default), reverse or random: threads and blocks\n"
    "  --seed N         of all random choices (default 1)\n"
    "  --seeds N        run N times with the seeds 1 to N, both modes random; stop at the first that fails\n"
    "  --memory SIZE    device memory: 512M, 8G (default 2G)\n"
    "  --fail NAME:N    the N-th call of NAME fails; '*' counts all calls\n"
    "  --json FILE      reports and counters as JSON; - is standard output\n"
    "  --quiet          no table on standard error\n"
    "Exit status: that of PROGRAM, or 99 where anything was reported.\n";

static void fail(const char *what)
{
    fprintf(stderr, "cuemu-run: %s: %s\n", what, strerror(errno));
    exit(USAGE);
}

static void set(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0)
        fail(name);
}

/* The stand-ins come first in the search path; what was there stays behind them. */
static void use_libraries(void)
{
    char self[PATH_MAX], path[2 * PATH_MAX];
    const char *old = getenv("LD_LIBRARY_PATH"), *libraries = getenv("CUEMU_LIBRARIES");
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        fail("/proc/self/exe");
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    if (libraries != NULL)
        snprintf(path, sizeof path, "%s", libraries);
    else
        snprintf(path, sizeof path, "%s/lib", self);
    if (access(path, R_OK) != 0)
        fail(path);
    if (old != NULL && old[0] != '\0') {
        strncat(path, ":", sizeof path - strlen(path) - 1);
        strncat(path, old, sizeof path - strlen(path) - 1);
    }
    set("LD_LIBRARY_PATH", path);
}

static int parse(int argc, char **argv, options *o)
{
    static const struct option table[] = {
        {"streams", required_argument, NULL, 's'}, {"order", required_argument, NULL, 'o'},
        {"seed", required_argument, NULL, 'r'},    {"seeds", required_argument, NULL, 'n'},
        {"memory", required_argument, NULL, 'm'},  {"fail", required_argument, NULL, 'f'},
        {"json", required_argument, NULL, 'j'},    {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    for (int c = getopt_long(argc, argv, "+", table, NULL); c != -1; c = getopt_long(argc, argv, "+", table, NULL))
        switch (c) {
        case 's':
            set("CUEMU_STREAMS", optarg);
            break;
        case 'o':
            set("CUEMU_ORDER", optarg);
            break;
        case 'r':
            set("CUEMU_SEED", optarg);
            break;
        case 'm':
            set("CUEMU_MEM", optarg);
            break;
        case 'f':
            set("CUEMU_FAIL", optarg);
            break;
        case 'n':
            o->seeds = strtol(optarg, NULL, 10);
            break;
        case 'j':
            o->json_file = optarg;
            break;
        case 'q':
            o->quiet = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            exit(USAGE);
        }
    if (optind >= argc) {
        fputs(usage, stderr);
        exit(USAGE);
    }
    return optind;
}

/* Signals from the terminal go to the program too; the tool waits for its end. */
static int run(char **command)
{
    pid_t child = fork();
    int status;
    if (child < 0)
        fail("fork");
    if (child == 0) {
        execvp(command[0], command);
        fprintf(stderr, "cuemu-run: %s: %s\n", command[0], strerror(errno));
        _exit(127);
    }
    signal(SIGINT, SIG_IGN);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            fail("waitpid");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void remove_folder(const char *folder)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "cuemu-run: cannot remove %s\n", folder);
}

static int show(const json_t *merged, const options *o)
{
    if (!o->quiet)
        print_table(merged, stderr);
    if (o->json_file == NULL)
        return 0;
    FILE *out = strcmp(o->json_file, "-") == 0 ? stdout : fopen(o->json_file, "w");
    int failed = out == NULL || json_dumpf(merged, out, JSON_INDENT(2)) != 0 || fputc('\n', out) == EOF;
    if (out != NULL && out != stdout)
        failed |= fclose(out) != 0;
    return failed;
}

/* One run: a folder for the JSON files of all processes, then one object of them. */
static int run_once(char **command, const options *o)
{
    char folder[] = "/tmp/cuemu-run-XXXXXX", pattern[64];
    if (mkdtemp(folder) == NULL)
        fail(folder);
    snprintf(pattern, sizeof pattern, "%s/%%p.json", folder);
    set("CUEMU_JSON", pattern);
    int status = run(command);
    json_t *merged = merge_folder(folder);
    remove_folder(folder);
    if (merged == NULL)
        return USAGE;
    if (merge_report_count(merged) > 0)
        status = REPORTED;
    if (show(merged, o) != 0) {
        fprintf(stderr, "cuemu-run: %s: %s\n", o->json_file, strerror(errno));
        status = USAGE;
    }
    json_decref(merged);
    return status;
}

int main(int argc, char **argv)
{
    options o = {.json_file = NULL};
    int first = parse(argc, argv, &o), status = 0;
    use_libraries();
    if (o.seeds <= 0)
        return run_once(argv + first, &o);
    set("CUEMU_STREAMS", "random");
    set("CUEMU_ORDER", "random");
    for (long seed = 1; seed <= o.seeds && status == 0; seed++) {
        char text[32];
        snprintf(text, sizeof text, "%ld", seed);
        set("CUEMU_SEED", text);
        status = run_once(argv + first, &o);
        if (status != 0)
            fprintf(stderr, "cuemu-run: seed %ld gives status %d\n", seed, status);
    }
    return status;
}
