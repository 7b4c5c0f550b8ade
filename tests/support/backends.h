/* backends.h: the one list of what the operation tests run on, and a backend made for a test.
 *
 * A device counts what its backend allocates through the hooks, so that a test sees a leak at bpt_close and an
 * allocation inside an operation in BPT_RUN. */
#ifndef BPT_BACKENDS_H
#define BPT_BACKENDS_H

#include "kernels/bounds.h"
#include "kernels/ops.h"

typedef struct bpt_target {
    const char *name; /* "cpu f32" */
    const bpi_ops *(*ops)(void);
    bp_precision precision;
} bpt_target;

/* The fast one is cpu, or, where the environment variable BP_TEST_CUDA names the plug-in, cuda: on a device, or on the
 * stand-ins of cuemu if LD_LIBRARY_PATH leads to them. In f32, or in what BP_TEST_PRECISION names: bf16; on cpu
 * emulated, or as BP_CPU_BF16 says. The test is skipped where that is native and the processor has nothing for it. */
bp_precision bpt_precision(void);
const bpt_target *bpt_reference(void);
const bpt_target *bpt_fast(void);

/* The i-th of those that a test is for, NULL past the end: the reference and the fast one. Where the variables choose
 * another than cpu in f32 it is that one alone: the entry without them has run the reference on the same cases. */
const bpt_target *bpt_target_at(int index);
int bpt_fast_index(void); /* of the fast one */

typedef struct bpt_device {
    const bpt_target *target;
    const bpi_ops *ops;
    bpi_backend *backend;
    bpi_error error;
    bpi_roundoff roundoff;
    int64_t allocations;      /* so far, through the hooks */
    int64_t live_bytes;       /* held now */
    int64_t allocations_seen; /* when the last operation was about to start */
} bpt_device;

/* Fails the test where the backend can't be made. */
bpt_device *bpt_open(const bpt_target *target, int threads);
void bpt_close(bpt_device *device); /* fails the test where memory of the backend is still held */

/* An operation must return OK and allocate nothing: BPT_RUN(device, loss, &args). */
void bpt_operation_begins(bpt_device *device);
void bpt_operation_ended(bpt_device *device, const char *operation, bp_status status);

#define BPT_RUN(device, operation, ...)                                                                                \
    (bpt_operation_begins(device),                                                                                     \
     bpt_operation_ended(device, #operation, (device)->ops->operation((device)->backend, __VA_ARGS__)))

#endif
