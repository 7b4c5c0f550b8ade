/* message.c: see message.h. */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "words.h"

/* The one piece of state that every message needs; set once, before any command runs. */
static const char *command_name;
static void (*clear_screen)(void *);
static void *clear_user;

void message_set_command(const char *command)
{
    command_name = command;
}

void message_clears(void (*clear)(void *user), void *user)
{
    clear_screen = clear;
    clear_user = user;
}

static void write_line(const char *kind, const char *format, va_list arguments)
{
    char text[2048];
    vsnprintf(text, sizeof text, format, arguments);
    words_plain(text); /* a file's name may hold a newline or an escape sequence; the message is one line */
    if (clear_screen)
        clear_screen(clear_user);
    fflush(stdout); /* what came before stands before it where both go to one place */
    if (command_name)
        fprintf(stderr, "backprop %s: %s%s\n", command_name, kind, text);
    else
        fprintf(stderr, "backprop: %s%s\n", kind, text);
}

int fail(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line("", format, arguments);
    va_end(arguments);
    return status;
}

void warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line("warning: ", format, arguments);
    va_end(arguments);
}

/* The library's words without the name of the call that they start with: "bp_train: epochs is 0" is for programmers. */
static const char *library_words(const bp_context *context, bp_status status)
{
    const char *text = bp_last_error(context);
    if (!*text)
        return bp_status_name(status);
    size_t name = strspn(text, "abcdefghijklmnopqrstuvwxyz_");
    return strncmp(text, "bp_", 3) == 0 && strncmp(text + name, ": ", 2) == 0 ? text + name + 2 : text;
}

int check_library(const bp_context *context, bp_status status)
{
    return status == BP_STATUS_OK ? STATUS_OK : fail(STATUS_FAILED, "%s", library_words(context, status));
}

int check_options(const bp_context *context, bp_status status)
{
    int exit_status = check_library(context, status);
    return exit_status != STATUS_OK && status == BP_STATUS_INVALID_ARGUMENT ? STATUS_USAGE : exit_status;
}
