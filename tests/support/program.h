/* program.h: runs the built program `backprop` as a person would, and keeps what it says. */
#ifndef BPT_PROGRAM_H
#define BPT_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#if defined(__GNUC__)
#define BPT_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define BPT_PRINTF(text, first)
#endif

/* The words of a command line; blanks part them, and no word holds one. */
typedef struct bpt_line {
    char text[4096];
} bpt_line;

typedef struct bpt_run {
    int status;      /* exit status; 128 + the signal that ended it */
    char *out, *err; /* all of both streams, ended by 0; free with bpt_run_free */
} bpt_run;

/* Runs `backprop WORDS` in the current folder, where the test is. */
bpt_run bpt_program(const char *format, ...) BPT_PRINTF(1, 2);

/* The same where no file may grow beyond that many bytes: what a full disk is like. */
bpt_run bpt_program_limited(int64_t file_bytes, const char *format, ...) BPT_PRINTF(2, 3);

/* Runs any program. */
bpt_run bpt_command(const char *format, ...) BPT_PRINTF(1, 2);

void bpt_run_free(bpt_run *run);

/* Starts `backprop WORDS`, to be finished; it dies with the test. */
typedef struct bpt_running {
    pid_t process;
    FILE *out, *err;
} bpt_running;

bpt_running bpt_start(const char *format, ...) BPT_PRINTF(1, 2);
bpt_run bpt_finish(bpt_running running); /* waits for its end */
int bpt_wait(pid_t process);             /* status as in bpt_run */

/* Fails the test unless the program ended so, with exactly one line on standard error that starts with "backprop" and
 * holds `words` (NULL: with an empty standard error). */
void bpt_expect(const bpt_run *run, int status, const char *words, const char *line);

/* Runs and expects success; returns standard output, to be freed. */
char *bpt_succeed(const char *format, ...) BPT_PRINTF(1, 2);

/* The program runs under the thread sanitizer, which keeps signals back until the next call into the C library, and
 * whose own files run into a limit on their size. */
#if defined(__SANITIZE_THREAD__)
#define BPT_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BPT_THREAD_SANITIZER 1
#endif
#endif
#ifndef BPT_THREAD_SANITIZER
#define BPT_THREAD_SANITIZER 0
#endif

#endif
