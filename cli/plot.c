/* plot.c: see plot.h. */
#include "plot.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "message.h"
#include "replace.h"

extern char **environ;

static const struct {
    const char *ending, *terminal, *font;
    const char *tail; /* a whole picture's last bytes */
    size_t tail_bytes;
} formats[] = {
    [PLOT_PNG] = {".png", "pngcairo", "sans,11", "IEND\xae\x42\x60\x82", 8},
    [PLOT_SVG] = {".svg", "svg", "sans-serif,14", "</svg>", 6},
};

plot_format plot_format_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    for (plot_format format = PLOT_PNG; dot && dot > path && dot[-1] != '/' && format <= PLOT_SVG; format++)
        if (strcasecmp(dot, formats[format].ending) == 0)
            return format;
    return PLOT_UNKNOWN;
}

int plot_open(plot *p, const char *path, int width, int height)
{
    *p = (plot){.script = tmpfile(), .path = path, .format = plot_format_of(path)};
    if (!p->script)
        return fail(STATUS_FAILED, "cannot write a temporary file: %s", strerror(errno));
    fprintf(p->script, "set terminal %s noenhanced size %d,%d font '%s' background 'white'\nset encoding utf8\n",
            formats[p->format].terminal, width, height, formats[p->format].font);
    return STATUS_OK;
}

void plot_put_text(const plot *p, const char *text, int most)
{
    fputc('\'', p->script);
    for (int length = 0; *text; text++) {
        bool starts = ((unsigned char)*text & 0xc0) != 0x80; /* not inside a character of UTF-8 */
        if (starts && length++ == most) {
            fputs("...", p->script);
            break;
        }
        if (*text == '\'')
            fputs("''", p->script);
        else
            fputc((unsigned char)*text < ' ' || *text == 127 ? ' ' : *text, p->script);
    }
    fputc('\'', p->script);
}

/* The exit status of gnuplot, -1 where it was ended by a signal; an errno in *error where it can't be run. -d: the
 * user's own gnuplot settings change nothing. */
static int run_gnuplot(FILE *script, FILE *picture, FILE *words, int *error)
{
    char *arguments[] = {"gnuplot", "-d", NULL};
    posix_spawn_file_actions_t actions;
    pid_t process;
    int status;
    *error = posix_spawn_file_actions_init(&actions);
    if (*error)
        return -1;
    int files[3] = {fileno(script), fileno(picture), fileno(words)};
    for (int i = 0; i < 3 && !*error; i++)
        *error = posix_spawn_file_actions_adddup2(&actions, files[i], i);
    if (!*error)
        *error = posix_spawnp(&process, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (*error)
        return -1;
    while (waitpid(process, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Whether the picture was written to its end: gnuplot's exit status says nothing of a full disk. */
static bool is_whole(FILE *picture, plot_format format)
{
    char tail[64];
    long size = fseek(picture, 0, SEEK_END) == 0 ? ftell(picture) : -1, length = (long)sizeof tail;
    if (size < length || fseek(picture, -length, SEEK_END) != 0 || fread(tail, 1, sizeof tail, picture) != sizeof tail)
        return false;
    while (format == PLOT_SVG && length > 0 && strchr(" \n", tail[length - 1]))
        length--;
    long tail_bytes = (long)formats[format].tail_bytes;
    return length >= tail_bytes && memcmp(tail + length - tail_bytes, formats[format].tail, (size_t)tail_bytes) == 0;
}

/* gnuplot's own words, on one line, from the first that is more than the script's echo. */
static void first_words(FILE *words, char *text, size_t size)
{
    rewind(words);
    size_t length = fread(text, 1, size - 1, words);
    text[length] = '\0';
    size_t blank = strspn(text, " \n\t^");
    memmove(text, text + blank, length + 1 - blank);
}

static int complain(const plot *p, FILE *words, int status, int error)
{
    char text[400];
    if (error == ENOENT)
        return fail(STATUS_FAILED, "gnuplot, which draws the picture, was not found; install Debian's package "
                                   "gnuplot-nox");
    if (error)
        return fail(STATUS_FAILED, "cannot run gnuplot: %s", strerror(error));
    first_words(words, text, sizeof text);
    if (status == 0)
        return fail(STATUS_FAILED, "cannot write %s: gnuplot could not write all of it; is the disk full?", p->path);
    return fail(STATUS_FAILED, "gnuplot cannot draw %s: %s", p->path, *text ? text : "it ended without a word");
}

static int draw(const plot *p, replacement *picture)
{
    int error = 0, status = -1;
    FILE *words = tmpfile();
    if (!words || fflush(p->script) != 0 || ferror(p->script) || lseek(fileno(p->script), 0, SEEK_SET) != 0) {
        if (words)
            fclose(words);
        replace_abandon(picture);
        return fail(STATUS_FAILED, "cannot write a temporary file: %s", strerror(errno));
    }
    status = run_gnuplot(p->script, picture->stream, words, &error);
    if (status == 0 && is_whole(picture->stream, p->format)) {
        fclose(words);
        return replace_commit(picture);
    }
    status = complain(p, words, status, error);
    fclose(words);
    replace_abandon(picture);
    return status;
}

void plot_abandon(plot *p)
{
    fclose(p->script);
    p->script = NULL;
}

int plot_draw(plot *p)
{
    replacement picture;
    int status = replace_open(&picture, p->path);
    if (status == STATUS_OK)
        status = draw(p, &picture);
    plot_abandon(p);
    return status;
}
