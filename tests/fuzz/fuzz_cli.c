/* fuzz_cli.c: see fuzz_cli.h. Takes the place of cli/message.c. */
#include "fuzz/fuzz_cli.h"

#include <stdarg.h>
#include <stdio.h>

#include "message.h"

static int failures;

int fail(int status, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    fuzz_require(vsnprintf(text, sizeof text, format, arguments) > 0, "a failure has words");
    va_end(arguments);
    fuzz_require(status != STATUS_OK, "a failure has a status");
    failures++;
    return status;
}

void warn(const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    fuzz_require(vsnprintf(text, sizeof text, format, arguments) > 0, "a warning has words");
    va_end(arguments);
}

int check_library(const bp_context *context, bp_status status)
{
    return status == BP_STATUS_OK ? STATUS_OK : fail(STATUS_FAILED, "%s", bp_last_error(context));
}

int check_options(const bp_context *context, bp_status status)
{
    int exit_status = check_library(context, status);
    return exit_status != STATUS_OK && status == BP_STATUS_INVALID_ARGUMENT ? STATUS_USAGE : exit_status;
}

bool fuzz_cli_accepted(int status)
{
    fuzz_require(status == STATUS_OK || status == STATUS_FAILED || status == STATUS_USAGE, "an exit status");
    fuzz_require(failures == (status != STATUS_OK), "a failure is one line, and success none");
    failures = 0;
    return fuzz_judged(status == STATUS_OK);
}
