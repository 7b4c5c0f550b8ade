/* device.h: small things that all files of the device half use. */
#ifndef CUE_DEVICE_H
#define CUE_DEVICE_H

#include "cuemu.h"

#define CUE_EXPORT __attribute__((visibility("default")))
#define CUE_WARP 32u
#define CUE_MAX_THREADS 1024u
#define CUE_MAX_WARPS (CUE_MAX_THREADS / CUE_WARP)

/* Memory of cuemu itself; none left is fatal. cue_alloc gives zeros. */
void *cue_alloc(size_t bytes);
void *cue_realloc(void *old, size_t bytes);

/* cue_reserve: address space that is committed page by page when touched; reads as zeros. hint may be 0. */
void *cue_reserve(size_t bytes, bool accessible, uintptr_t hint);

#endif
