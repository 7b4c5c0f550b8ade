/* fuzz.c: see fuzz.h. */
#define _GNU_SOURCE /* memfd_create */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/hooks.h"

/* libFuzzer's interface leaves no room for a context, so these are the one place of global state. */
static bpt_hooks hooks = {.limit = (size_t)64 << 20};
static bp_context *the_context;
static int64_t live_at_start;
static fuzz_counts counts;

void fuzz_require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "broken promise: %s (last error: %s)\n", what, bp_last_error(the_context));
    abort();
}

bp_context *fuzz_context(void)
{
    if (!the_context) {
        the_context = bpt_hooks_context(&hooks);
        live_at_start = hooks.live;
    }
    return the_context;
}

const char *fuzz_file(const uint8_t *bytes, size_t count)
{
    static int descriptor = -1;
    static char path[64];
    if (descriptor < 0) {
        descriptor = memfd_create("fuzz", MFD_CLOEXEC);
        fuzz_require(descriptor >= 0, "memfd_create");
        snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    }
    fuzz_require(ftruncate(descriptor, 0) == 0, "ftruncate");
    fuzz_require(pwrite(descriptor, bytes, count, 0) == (ssize_t)count, "pwrite");
    return path;
}

bool fuzz_judged(bool accepted)
{
    *(accepted ? &counts.accepted : &counts.refused) += 1;
    return accepted;
}

bool fuzz_accepted(bp_status status)
{
    if (fuzz_judged(status == BP_STATUS_OK))
        return true;
    const char *words = bp_last_error(fuzz_context());
    fuzz_require(status == BP_STATUS_BAD_DATA || status == BP_STATUS_OUT_OF_MEMORY ||
                     status == BP_STATUS_INVALID_ARGUMENT,
                 bp_status_name(status));
    fuzz_require(words[0] != 0 && !strpbrk(words, "\r\n"), "a failure has words of one line");
    return false;
}

fuzz_counts fuzz_count(void)
{
    return counts;
}

void fuzz_require_no_leak(void)
{
    fuzz_require(hooks.live == live_at_start, "what a reader allocated is released");
}
