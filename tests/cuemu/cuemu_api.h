/* cuemu_api.h: what a test may ask of cuemu while it runs on it.
 *
 * A test executable does not link these: it asks dlsym(RTLD_DEFAULT, "cuemu_counter"), and on NVIDIA's libraries finds
 * nothing. All of them are exported by the stand-in for libcudart. */
#ifndef CUEMU_API_H
#define CUEMU_API_H

#include <stdint.h>

/* Counters per kernel, summed over all kernels whose PTX name contains the substring ("" or NULL: all). -1: no such
 * counter. Names:
 *   launches                 kernel launches
 *   global_read_bytes        bytes that lanes asked for in global memory      global_write_bytes
 *   global_read_sectors      32-byte sectors, per warp instruction            global_write_sectors
 *   needed_read_bytes        distinct bytes per launch that were read before the launch wrote them
 *   needed_write_bytes       distinct bytes per launch that were written
 *   atomic_operations        lanes' atomic operations in global memory; their bytes and sectors count as written
 *   shared_read_bytes, shared_write_bytes, shared_conflicts (extra passes beyond the least possible)
 *   branches, divergent_branches      conditional branches of warps, and those whose lanes disagreed
 *   barriers                 block barriers, per warp
 *   warp_instructions        all; and by class: instructions_integer, _f32, _f64, _half, _special (ex2, sin, rcp, ...),
 *                            _conversion, _move, _control, _global, _shared, _local, _atomic, _warp, _barrier
 *   thread_instructions      lanes that took part, summed
 * With kernel_substring "host": counters of the host side, such as "synchronisations". */
typedef int64_t cuemu_counter_fn(const char *kernel_substring, const char *name);
typedef void cuemu_reset_counters_fn(void);

/* Reports so far; index in [0, count of different places). Strings live until cuemu_forgive_reports. */
typedef struct cuemu_report {
    const char *kind;   /* slug: "race-shared" */
    const char *kernel; /* or operation */
    const char *file;   /* NULL where unknown */
    int line;
    const char *text;
    int64_t times;
} cuemu_report;
typedef int cuemu_report_count_fn(void);       /* all occurrences */
typedef int cuemu_report_place_count_fn(void); /* different places */
typedef int cuemu_report_get_fn(int index, cuemu_report *out);
typedef void cuemu_forgive_reports_fn(void); /* a test that provoked them on purpose: forget all so far */

/* order: 0 forward, 1 reverse, 2 random; streams: 0 eager, 1 lazy, 2 random; call it before the first CUDA call. */
typedef void cuemu_set_mode_fn(int order, int streams, uint64_t seed);

int64_t cuemu_counter(const char *kernel_substring, const char *name);
void cuemu_reset_counters(void);
int cuemu_report_count(void);
int cuemu_report_place_count(void);
int cuemu_report_get(int index, cuemu_report *out);
void cuemu_forgive_reports(void);
void cuemu_set_mode(int order, int streams, uint64_t seed);

#endif
