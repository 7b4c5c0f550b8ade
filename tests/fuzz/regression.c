/* regression.c: drives a fuzz target without libFuzzer: each seed file as it is, then deterministic mutations of them.
 * usage: PROGRAM MUTATIONS SEED_FILE... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "support/folder.h"
#include "support/random.h"

enum { MAX_BYTES = 4096 };

typedef struct seed {
    char *bytes;
    size_t count;
} seed;

typedef struct fuzz_input {
    uint8_t bytes[MAX_BYTES];
    size_t count;
} fuzz_input;

static size_t below(bpt_random *random, size_t limit)
{
    return (size_t)bpt_random_below(random, (int64_t)limit);
}

/* Moves the tail so that `grow` bytes more (or fewer) lie at `at`. */
static void resize(fuzz_input *input, size_t at, long grow)
{
    size_t tail = input->count - at;
    size_t to = (size_t)((long)at + (grow > 0 ? grow : 0)), from = (size_t)((long)at + (grow < 0 ? -grow : 0));
    memmove(input->bytes + to, input->bytes + from, tail - (from - at));
    input->count = (size_t)((long)input->count + grow);
}

static void mutate(bpt_random *random, const seed *other, fuzz_input *input)
{
    static const char words[][12] = {"0",   "-1",  "255", "4294967296", "1e999", "nan", ",",  "\n", "\r\n", "\"",
                                     "{",   "}",   "[",   "]",          "(",     ")",   "'",  ":",  ";",    "y",
                                     "<f8", "|u1", "F64", "BF16",       "[]",    "()",  "\t", " ",  "e-",   "."};
    size_t at = input->count ? below(random, input->count) : 0;
    size_t room = MAX_BYTES - input->count;
    switch (input->count ? below(random, 8) : 7) {
    case 0:
        input->bytes[at] = (uint8_t)(input->bytes[at] ^ 1u << below(random, 8));
        break;
    case 1:
        input->bytes[at] = (uint8_t)bpt_random_bits(random);
        break;
    case 2:
        input->bytes[at] = (uint8_t) "\0\xff\x7f\x80\x01 09"[below(random, 8)];
        break;
    case 3:
        input->count = at;
        break;
    case 4: { /* without a part */
        size_t most = input->count - at;
        resize(input, at, -(long)(1 + below(random, most < 16 ? most : 16)));
        break;
    }
    case 5: { /* a part twice */
        size_t part = 1 + below(random, input->count - at);
        part = part < room ? part : room;
        uint8_t copy[MAX_BYTES];
        memcpy(copy, input->bytes + at, part);
        resize(input, at, (long)part);
        memcpy(input->bytes + at, copy, part);
        break;
    }
    case 6: { /* the tail of another seed */
        size_t from = other->count ? below(random, other->count) : 0;
        size_t part = other->count - from < MAX_BYTES - at ? other->count - from : MAX_BYTES - at;
        memcpy(input->bytes + at, other->bytes + from, part);
        input->count = at + part;
        break;
    }
    default: { /* a word of the formats */
        const char *word = words[below(random, sizeof words / sizeof words[0])];
        size_t length = strlen(word);
        if (length > room)
            break;
        resize(input, at, (long)length);
        memcpy(input->bytes + at, word, length);
    }
    }
}

static void run_mutations(const seed *seeds, size_t seed_count, long mutations)
{
    bpt_random random = {2024};
    for (long i = 0; i < mutations; i++) {
        static fuzz_input input;
        const seed *start = &seeds[below(&random, seed_count)];
        input.count = start->count < MAX_BYTES ? start->count : MAX_BYTES;
        memcpy(input.bytes, start->bytes, input.count);
        for (size_t k = 1 + below(&random, 4); k > 0; k--)
            mutate(&random, &seeds[below(&random, seed_count)], &input);
        LLVMFuzzerTestOneInput(input.bytes, input.count);
    }
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 3) {
        fprintf(stderr, "usage: %s MUTATIONS SEED_FILE...\n", arguments[0]);
        return 2;
    }
    size_t seed_count = (size_t)argument_count - 2;
    seed *seeds = calloc(seed_count, sizeof *seeds);
    for (size_t i = 0; i < seed_count; i++) {
        seeds[i].bytes = bpt_file_read(arguments[i + 2], &seeds[i].count);
        LLVMFuzzerTestOneInput((const uint8_t *)seeds[i].bytes, seeds[i].count);
    }
    fuzz_counts counts = fuzz_count();
    fuzz_require(counts.accepted > 0, "the seeds hold files that are accepted");
    run_mutations(seeds, seed_count, atol(arguments[1]));
    fuzz_counts after = fuzz_count();
    fuzz_require(after.accepted > counts.accepted && after.refused > counts.refused,
                 "some mutations are accepted, and some refused");
    printf("%zu seeds, %s mutations: %lld reads accepted, %lld refused\n", seed_count, arguments[1],
           (long long)after.accepted, (long long)after.refused);
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i].bytes);
    free(seeds);
    bp_context_destroy(fuzz_context());
    return 0;
}
