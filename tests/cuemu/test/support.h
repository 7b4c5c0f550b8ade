/* support.h: what the device tests share: running a piece of PTX over many operands, and buffers in device memory. */
#ifndef CUE_TEST_SUPPORT_H
#define CUE_TEST_SUPPORT_H

#include "cuemu.h"
#include "cuemu_api.h"

#define TEST_OPERANDS 4

typedef struct test_case {
    uint64_t in[TEST_OPERANDS];
    uint64_t out;
} test_case;

/* test_run_lanes: runs `body`, PTX that leaves its result in %rd20, once per case; operands are in %rd10 to %rd13, with
 * rubbish above the bits of a narrower type. %r10.., %f10.., %h10.., %p10.. are free. */
void test_run_lanes(const char *body, test_case *cases, int count);

/* test_random: the same numbers in every run. */
uint64_t test_random(void);

/* Device memory: an allocation with a copy of the bytes; and back. */
void *test_upload(const void *bytes, size_t size);
void test_download(void *to, const void *from, size_t size);

/* test_launch: parameters are given as one block. Operations happen one after the other. */
cue_error test_launch(cue_module *module, const char *kernel, uint32_t blocks, uint32_t threads, size_t dynamic_shared,
                      const void *parameters);
cue_error test_launch_2d(cue_module *module, const char *kernel, const uint32_t grid[2], const uint32_t block[2],
                         size_t dynamic_shared, const void *parameters);
cue_module *test_module(const char *body); /* adds .version, .target, .address_size */

/* The stub of the host half: operations are ordered by number, but those of `test_unordered` with nobody. */
extern cue_op_id test_unordered, test_last_op;

#endif
