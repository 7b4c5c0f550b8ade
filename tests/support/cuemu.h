/* cuemu.h: what cuemu counted in this process, for tests that hold kernels and steps to it (tests/cuemu/cuemu_api.h).
 */
#ifndef BPT_CUEMU_H
#define BPT_CUEMU_H

#include <stdbool.h>
#include <stdint.h>

/* False on NVIDIA's own libraries, which count nothing. To be asked once the plug-in is loaded. */
bool bpt_on_cuemu(void);

/* Skips the test with the reason unless BP_TEST_CUDA names the plug-in; `entry` is the ctest entry that does. */
void bpt_skip_without_cuda(const char *entry);

/* Of all kernels whose name holds `kernel`; "host": of the host side. Fails the test where there is no such counter. */
int64_t bpt_count(const char *kernel, const char *counter);
void bpt_reset_counts(void);

#endif
