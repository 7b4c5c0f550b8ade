/* memory.h: the arena of device memory, for the files of the device half. The rest stands in cuemu.h. */
#ifndef CUE_MEMORY_H
#define CUE_MEMORY_H

#include "device/shadow.h"

/* Generic addresses of shared, local and parameter memory: windows of address space that nobody can dereference. */
#define CUE_WINDOW_BYTES ((uint64_t)1 << 26)

typedef struct cue_arena {
    uint8_t *base;
    size_t bytes;      /* of address space: more than the modelled memory, so that freed addresses rest */
    cue_shadow shadow; /* indexed by (address - base) / 4 */
    uint64_t shared_window, local_window, parameter_window;
} cue_arena;

/* cue_arena_get: reserved at the first call. */
cue_arena *cue_arena_get(void);

/* cue_mem_unfold: to be asked where the state of a word of the arena is 0: true where there is one now. That of a large
 * block, and what the block is filled with, is written at the first access, some pages at once. */
bool cue_mem_unfold(const void *address);

/* cue_mem_variable: memory of a module variable: initialised with zeros, never a leak, not counted as used. */
void *cue_mem_variable(size_t bytes, bool constant);
void cue_mem_variable_free(void *base);

/* cue_mem_explain: what stands at an address, for a report: "32 bytes after an allocation of 4096 bytes". */
const char *cue_mem_explain(const void *address, char *text, size_t text_bytes);

bool cue_mem_is_mapped_host(const void *address, size_t bytes);

#endif
