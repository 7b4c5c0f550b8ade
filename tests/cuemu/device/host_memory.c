/* host_memory.c: memory that cuemu itself needs. Running out of it is fatal: there is no sensible way on. */
#include "device/device.h"

#include <stdlib.h>
#include <sys/mman.h>

void *cue_alloc(size_t bytes)
{
    void *p = calloc(1, bytes > 0 ? bytes : 1);
    if (p == NULL)
        cue_fatal("no host memory for %zu bytes", bytes);
    return p;
}

void *cue_realloc(void *old, size_t bytes)
{
    void *p = realloc(old, bytes > 0 ? bytes : 1);
    if (p == NULL)
        cue_fatal("no host memory for %zu bytes", bytes);
    return p;
}

void *cue_reserve(size_t bytes, bool accessible, uintptr_t hint)
{
    int protection = accessible ? PROT_READ | PROT_WRITE : PROT_NONE;
    void *p = mmap((void *)hint, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        cue_fatal("cannot reserve %zu bytes of address space", bytes);
    return p;
}
