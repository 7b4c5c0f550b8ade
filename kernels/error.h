/* error.h: how a backend says what went wrong. The text ends up in bp_last_error(context). */
#ifndef BPI_ERROR_H
#define BPI_ERROR_H

#include <stdarg.h>
#include <stdio.h>

#include "backprop/status.h"

typedef struct bpi_error {
    char text[1024];
} bpi_error;

/* Writes the words and returns `status`, so that a failing function ends with `return bpi_fail(...)`. error may be
 * NULL. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static inline bp_status
bpi_fail(bpi_error *error, bp_status status, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
        /* Names out of files and arguments may hold anything; the text stays one line. */
        for (char *c = error->text; *c; c++)
            if ((unsigned char)*c < ' ' || *c == 127)
                *c = '?';
    }
    return status;
}

/* Return a failure to the caller; or go to `label` with it in `status`, where something must be released first. */
#define BPI_TRY(call)                                                                                                  \
    do {                                                                                                               \
        bp_status bpi_try_status = (call);                                                                             \
        if (bpi_try_status != BP_STATUS_OK)                                                                            \
            return bpi_try_status;                                                                                     \
    } while (0)

#define BPI_TRY_GOTO(call, status, label)                                                                              \
    do {                                                                                                               \
        (status) = (call);                                                                                             \
        if ((status) != BP_STATUS_OK)                                                                                  \
            goto label;                                                                                                \
    } while (0)

#endif
