/* fuzz.h: what the fuzz targets share. A target is one function that reads any bytes and aborts where a promise is
 * broken; libFuzzer drives it (clang, -DBP_FUZZ=ON), and so does regression.c in every build. */
#ifndef BPT_FUZZ_H
#define BPT_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backprop/context.h"

/* The target. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* A context whose allocator refuses blocks over 64 MiB and counts. Made once. */
bp_context *fuzz_context(void);

/* The path of a file with these bytes, in memory; the same file each time. */
const char *fuzz_file(const uint8_t *bytes, size_t count);

/* Aborts with `what` where a promise does not hold. */
void fuzz_require(bool holds, const char *what);

/* Judges what a reader returned: OK, or a failure that may come from the bytes of a file and has words of one line. */
bool fuzz_accepted(bp_status status);

/* Counts an input as accepted or refused, and returns which. */
bool fuzz_judged(bool accepted);

/* How many inputs were accepted and refused so far. */
typedef struct fuzz_counts {
    int64_t accepted, refused;
} fuzz_counts;
fuzz_counts fuzz_count(void);

/* Aborts where blocks are held that were not held when the context was made. Call at the end of a target. */
void fuzz_require_no_leak(void);

#endif
