/* program.c: see program.h. Streams go to unlinked files, so that no pipe can fill up. */
#include "support/program.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MOST = 96 };

static bpt_line format_line(const char *program, const char *format, va_list arguments)
{
    bpt_line line;
    int length = snprintf(line.text, sizeof line.text, "%s ", program);
    int rest = vsnprintf(line.text + length, sizeof line.text - (size_t)length, format, arguments);
    cr_assert(rest >= 0 && (size_t)(length + rest) < sizeof line.text, "the command line is too long");
    return line;
}

static void split(char *text, char *words[WORDS_MOST])
{
    int count = 0;
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        cr_assert(count < WORDS_MOST - 1, "too many words");
        words[count++] = word;
    }
    words[count] = NULL;
}

static int decode(int wait_status)
{
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

/* file_bytes < 0: no limit. */
static pid_t launch(bpt_line *line, int64_t file_bytes, FILE *out, FILE *err)
{
    char *words[WORDS_MOST];
    split(line->text, words);
    pid_t process = fork();
    cr_assert(process >= 0, "fork failed");
    if (process > 0)
        return process;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_DFL); /* a shell's background jobs inherit that it is ignored, which the program leaves so */
    FILE *nothing = fopen("/dev/null", "r+");
    if (!nothing || dup2(fileno(nothing), 0) < 0 || dup2(fileno(out), 1) < 0 || dup2(fileno(err), 2) < 0)
        _exit(126);
    struct rlimit limit = {(rlim_t)file_bytes, (rlim_t)file_bytes};
    if (file_bytes >= 0 && setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(126);
    execv(words[0], words);
    _exit(127);
}

int bpt_wait(pid_t process)
{
    int status;
    cr_assert(waitpid(process, &status, 0) == process, "waitpid failed");
    return decode(status);
}

static char *take(FILE *file)
{
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    cr_assert(size >= 0, "cannot read what the program said");
    rewind(file);
    char *text = calloc((size_t)size + 1, 1);
    cr_assert(text && fread(text, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    return text;
}

static bpt_running start(bpt_line line, int64_t file_bytes)
{
    bpt_running running = {.out = tmpfile(), .err = tmpfile()};
    cr_assert(running.out && running.err, "no temporary file");
    running.process = launch(&line, file_bytes, running.out, running.err);
    return running;
}

bpt_run bpt_finish(bpt_running running)
{
    bpt_run result = {.status = bpt_wait(running.process)};
    result.out = take(running.out);
    result.err = take(running.err);
    return result;
}

static bpt_run run(bpt_line line, int64_t file_bytes)
{
    return bpt_finish(start(line, file_bytes));
}

#define PROGRAM BP_BINARY_DIR "/cli/backprop"

#define FORMAT_LINE(program, line)                                                                                     \
    bpt_line line;                                                                                                     \
    do {                                                                                                               \
        va_list arguments;                                                                                             \
        va_start(arguments, format);                                                                                   \
        line = format_line(program, format, arguments);                                                                \
        va_end(arguments);                                                                                             \
    } while (0)

bpt_run bpt_program(const char *format, ...)
{
    FORMAT_LINE(PROGRAM, line);
    return run(line, -1);
}

bpt_run bpt_program_limited(int64_t file_bytes, const char *format, ...)
{
    FORMAT_LINE(PROGRAM, line);
    return run(line, file_bytes);
}

bpt_run bpt_command(const char *format, ...)
{
    FORMAT_LINE("/usr/bin/env", line);
    return run(line, -1);
}

bpt_running bpt_start(const char *format, ...)
{
    FORMAT_LINE(PROGRAM, line);
    return start(line, -1);
}

void bpt_run_free(bpt_run *result)
{
    free(result->out);
    free(result->err);
    result->out = result->err = NULL;
}

void bpt_expect(const bpt_run *result, int status, const char *words, const char *line)
{
    const char *newline = strchr(result->err, '\n');
    cr_assert(result->status == status, "%s: exit status %d instead of %d; it said: %s", line, result->status, status,
              result->err);
    if (!words) {
        cr_assert(!*result->err, "%s: standard error is not empty: %s", line, result->err);
        return;
    }
    cr_assert(newline && !newline[1], "%s: not one line on standard error: %s", line, result->err);
    cr_assert(strncmp(result->err, "backprop", 8) == 0, "%s: does not say who speaks: %s", line, result->err);
    cr_assert(strstr(result->err, words), "%s: no \"%s\" in: %s", line, words, result->err);
}

char *bpt_succeed(const char *format, ...)
{
    FORMAT_LINE(PROGRAM, line);
    bpt_run result = run(line, -1);
    bpt_expect(&result, 0, NULL, line.text + strlen(PROGRAM));
    free(result.err);
    return result.out;
}
