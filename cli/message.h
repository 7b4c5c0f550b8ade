/* message.h: exit statuses, and the one line that says why a command failed. */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include <backprop/backprop.h>

enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

/* Returns from the caller with the exit status of `call` unless that is STATUS_OK. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        int try_status_ = (call);                                                                                      \
        if (try_status_ != STATUS_OK)                                                                                  \
            return try_status_;                                                                                        \
    } while (0)

#if defined(__GNUC__)
#define CLI_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define CLI_PRINTF(text, first)
#endif

/* The command that messages name from now on, such as "train"; NULL: only the program. */
void message_set_command(const char *command);

/* What is called before a message is written, to take a progress bar off the screen; NULL: nothing. */
void message_clears(void (*clear)(void *user), void *user);

/* Writes "backprop COMMAND: TEXT" as one line on standard error, whatever the text holds; returns `status`. */
int fail(int status, const char *format, ...) CLI_PRINTF(2, 3);

/* The same with "warning: " in front. */
void warn(const char *format, ...) CLI_PRINTF(1, 2);

/* STATUS_OK where the library says OK; else writes the library's words. */
int check_library(const bp_context *context, bp_status status);

/* The same for calls whose arguments come straight from options: an invalid argument is STATUS_USAGE. */
int check_options(const bp_context *context, bp_status status);

#endif
