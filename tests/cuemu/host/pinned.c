/* pinned.c: page-locked host memory: cudaMallocHost, cudaHostAlloc, cudaHostRegister.
 * Memory that cuemu allocates has pages of its own, so that pending.c can guard it; registered memory has not.
 * Freed pages are never mapped again: a later touch is recognised. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct range {
    char *base;
    size_t bytes, mapped_bytes; /* mapped_bytes == 0: registered, not ours */
    unsigned flags;
    cue_site made, freed;
    struct range *next;
} range;

static range *ranges, *graveyard;

static size_t page_round(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

static range **holder(const void *address, size_t bytes)
{
    range **link = &ranges;
    const char *a = address;
    while (*link != NULL && !(a >= (*link)->base && a + bytes <= (*link)->base + (*link)->bytes))
        link = &(*link)->next;
    return link;
}

bool cue_pinned_find(const void *address, size_t bytes, bool *own)
{
    const range *r = *holder(address, bytes);
    if (r != NULL && own != NULL)
        *own = r->mapped_bytes > 0;
    return r != NULL;
}

bool cue_pinned_was_freed(const void *address, cue_site *where)
{
    const char *a = address;
    for (const range *r = graveyard; r != NULL; r = r->next)
        if (a >= r->base && a < r->base + r->mapped_bytes) {
            *where = r->freed;
            return true;
        }
    return false;
}

static cudaError_t add(char *base, size_t bytes, size_t mapped_bytes, unsigned flags)
{
    range *r = malloc(sizeof *r);
    if (r == NULL)
        return cudaErrorMemoryAllocation;
    *r = (range){
        .base = base, .bytes = bytes, .mapped_bytes = mapped_bytes, .flags = flags, .made = cue_here(), .next = ranges};
    ranges = r;
    cue_mem_host_map(base, bytes);
    return cudaSuccess;
}

static cudaError_t allocate(void **out, size_t bytes, unsigned flags)
{
    const unsigned known = cudaHostAllocPortable | cudaHostAllocMapped | cudaHostAllocWriteCombined;
    if (out == NULL || (flags & ~known) != 0)
        return cudaErrorInvalidValue;
    *out = NULL;
    if (bytes == 0)
        return cudaSuccess;
    size_t mapped = page_round(bytes);
    char *base = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return cudaErrorMemoryAllocation;
    memset(base, 0xff, mapped);
    cudaError_t error = add(base, bytes, mapped, flags);
    if (error != cudaSuccess) {
        munmap(base, mapped);
        return error;
    }
    cue_count("pinned_allocations", 1);
    *out = base;
    return cudaSuccess;
}

/* A transfer that is still pending would read or write freed memory: NVIDIA's library happens to wait, nobody says so.
 */
static cudaError_t take_out(void *base, bool ours, range **out)
{
    range **link = &ranges;
    while (*link != NULL && ((*link)->base != base || ((*link)->mapped_bytes > 0) != ours))
        link = &(*link)->next;
    range *r = *link;
    if (r == NULL) {
        cue_complain(CUE_BAD_FREE, "%p is not the start of live %s memory", base, ours ? "pinned" : "registered");
        return ours ? cudaErrorInvalidValue : cudaErrorHostMemoryNotRegistered;
    }
    cue_op_id pending = cue_pending_overlaps(r->base, r->bytes);
    if (pending != 0)
        cue_complain(CUE_PINNED_EARLY, "the memory is given back while %s is pending", cue_op_name(pending));
    cue_op_require_all();
    cue_host_joins_all();
    cue_pending_settle();
    *link = r->next;
    cue_mem_host_unmap(r->base);
    *out = r;
    return cudaSuccess;
}

static cudaError_t release(void *base)
{
    range *r;
    if (base == NULL)
        return cudaSuccess;
    cudaError_t error = take_out(base, true, &r);
    if (error != cudaSuccess)
        return error;
    madvise(r->base, r->mapped_bytes, MADV_DONTNEED);
    mprotect(r->base, r->mapped_bytes, PROT_NONE);
    r->freed = cue_here();
    r->next = graveyard;
    graveyard = r;
    return cudaSuccess;
}

void cue_pinned_report_leaks(void)
{
    for (const range *r = ranges; r != NULL; r = r->next) {
        cue_set_site(r->made);
        cue_complain(CUE_LEAK,
                     r->mapped_bytes > 0 ? "%zu bytes of pinned memory allocated here are never freed"
                                         : "%zu bytes registered here are never unregistered",
                     r->bytes);
    }
}

void cue_pinned_reset(void)
{
    while (ranges != NULL) {
        range *r = ranges;
        ranges = r->next;
        cue_mem_host_unmap(r->base);
        free(r);
    }
}

/* ---------------------------------------------------------------------- exported */

cudaError_t cudaHostAlloc(void **pointer, size_t bytes, unsigned int flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE | CUE_UNSAFE);
    return cue_leave(error != cudaSuccess ? error : allocate(pointer, bytes, flags));
}

cudaError_t cudaMallocHost(void **pointer, size_t bytes)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE | CUE_UNSAFE);
    return cue_leave(error != cudaSuccess ? error : allocate(pointer, bytes, cudaHostAllocDefault));
}

cudaError_t cudaFreeHost(void *pointer)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_UNSAFE);
    return cue_leave(error != cudaSuccess ? error : release(pointer));
}

static bool overlaps_any(const char *base, size_t bytes)
{
    for (const range *r = ranges; r != NULL; r = r->next)
        if (base < r->base + r->bytes && r->base < base + bytes)
            return true;
    return false;
}

cudaError_t cudaHostRegister(void *pointer, size_t bytes, unsigned int flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE | CUE_UNSAFE);
    if (error == cudaSuccess && (pointer == NULL || bytes == 0 || cue_mem_is_device(pointer)))
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess && overlaps_any(pointer, bytes))
        error = cudaErrorHostMemoryAlreadyRegistered;
    return cue_leave(error != cudaSuccess ? error : add(pointer, bytes, 0, flags));
}

cudaError_t cudaHostUnregister(void *pointer)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_UNSAFE);
    range *r = NULL;
    if (error == cudaSuccess)
        error = take_out(pointer, false, &r);
    free(r);
    return cue_leave(error);
}

cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned int flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess && (device == NULL || flags != 0 || !cue_pinned_find(host, 1, NULL)))
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess)
        *device = host;
    return cue_leave(error);
}

cudaError_t cudaHostGetFlags(unsigned int *flags, void *host)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    const range *r = error == cudaSuccess ? *holder(host, 1) : NULL;
    if (error == cudaSuccess && (r == NULL || flags == NULL))
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess)
        *flags = r->flags;
    return cue_leave(error);
}
