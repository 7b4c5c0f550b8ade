/* The progress bar on a pseudo-terminal: it stays in the width, in one place, and speaks the locale's characters. */
#define _GNU_SOURCE /* posix_openpt, memmem */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/program.h"
#include "support/samples.h"
#include "support/sandbox.h"

static void enter(void)
{
    bpt_sandbox_enter();
    bpt_samples("", 400, 5, 3);
}

TestSuite(cli_terminal, .init = enter, .fini = bpt_sandbox_leave);

#define TRAIN "--x x.npy --y y.npy --test-x x.npy --test-y y.npy --layers 16:tanh,3 --batch 8 --epochs 4 --backend cpu"

enum { SAID_MOST = 1 << 20 };

static void run_on(const char *terminal, int columns, const char *locale)
{
    setsid();
    int slave = open(terminal, O_RDWR);
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    if (slave < 0 || ioctl(slave, TIOCSWINSZ, &size) != 0 || dup2(slave, 0) < 0 || dup2(slave, 1) < 0 ||
        dup2(slave, 2) < 0)
        _exit(126);
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", locale, 1);
    execl("/bin/sh", "sh", "-c", "exec " BP_BINARY_DIR "/cli/backprop train " TRAIN " --out run", (char *)NULL);
    _exit(127);
}

/* All that the program writes to a terminal of that width; to be freed. */
static char *on_terminal(int columns, const char *locale)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    cr_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0, "no pseudo-terminal");
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY); /* keeps the terminal alive until the program has it */
    pid_t process = fork();
    cr_assert(slave >= 0 && process >= 0);
    if (process == 0)
        run_on(ptsname(master), columns, locale);
    char *said = calloc(SAID_MOST, 1);
    cr_assert(said);
    close(slave);
    size_t length = 0;
    ssize_t got;
    while (length + 1 < SAID_MOST && (got = read(master, said + length, SAID_MOST - 1 - length)) > 0)
        length += (size_t)got;
    close(master);
    cr_assert(bpt_wait(process) == 0, "%s", said);
    return said;
}

/* Columns of a stretch of text: UTF-8 continuation bytes and "\033[K" take none. */
static int columns_of(const char *text, size_t length)
{
    int columns = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\033') {
            i += 2;
            continue;
        }
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return columns;
}

/* No line, and no redrawing of one, is wider than the terminal. */
static void expect_fits(const char *said, int columns)
{
    int bars = 0;
    while (*said) {
        size_t length = strcspn(said, "\r\n");
        int wide = columns_of(said, length);
        cr_assert(wide < columns, "%d columns on %d: %.*s", wide, columns, (int)length, said);
        bars += memmem(said, length, "\033[K", 3) != NULL && strncmp(said, "epoch", 5) == 0;
        said += length + (said[length] != '\0');
    }
    cr_assert(bars >= 2, "no bar was drawn");
}

Test(cli_terminal, the_bar_fits_80_and_200_columns)
{
    char *said = on_terminal(80, "C.UTF-8");
    expect_fits(said, 80);
    cr_assert(strstr(said, "\u2500") && strstr(said, " left"), "no bar in: %s", said);
    free(said);
    bpt_run removed = bpt_command("rm -r run");
    cr_assert(removed.status == 0, "%s", removed.err);
    bpt_run_free(&removed);
    said = on_terminal(200, "C.UTF-8");
    expect_fits(said, 200);
    cr_assert(strstr(said, " samples/s  loss "));
    free(said);
}

Test(cli_terminal, the_bar_is_ascii_where_the_locale_is_not_utf8)
{
    char *said = on_terminal(80, "C");
    for (const char *c = said; *c; c++)
        cr_assert((unsigned char)*c < 128, "not ASCII: %s", c);
    expect_fits(said, 80);
    free(said);
}

Test(cli_terminal, elsewhere_there_are_plain_lines_at_epoch_ends_alone)
{
    char *text = bpt_succeed("train " TRAIN " --out run");
    cr_assert(!strchr(text, '\r') && !strchr(text, '\033'), "control characters in: %s", text);
    int epochs = 0;
    for (const char *at = text; (at = strstr(at, "\nepoch ")); at++)
        epochs++;
    cr_assert(epochs == 4, "%d epoch lines in: %s", epochs, text);
    free(text);
}
