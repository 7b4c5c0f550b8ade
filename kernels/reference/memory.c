/* memory.c: the reference works in host memory, so upload, download and zero are memcpy and memset. */
#include "kernels/reference/reference.h"

#include <assert.h>
#include <string.h>

/* An array of nothing still gets an address of its own; release must name the same bytes to the user's hook. */
static size_t held_bytes(size_t bytes)
{
    return bytes ? bytes : 64;
}

bp_status bpi_reference_allocate(bpi_backend *backend, size_t bytes, void **memory)
{
    const bp_allocator *allocator = &((bpi_reference *)backend)->allocator;
    *memory = allocator->allocate(allocator->user, held_bytes(bytes), 64);
    if (!*memory)
        return bpi_fail(backend->error, BP_STATUS_OUT_OF_MEMORY, "backend reference: no memory for %zu bytes", bytes);
    memset(*memory, 0, held_bytes(bytes));
    return BP_STATUS_OK;
}

void bpi_reference_release(bpi_backend *backend, void *memory, size_t bytes)
{
    const bp_allocator *allocator = &((bpi_reference *)backend)->allocator;
    if (memory)
        allocator->release(allocator->user, memory, held_bytes(bytes));
}

bp_status bpi_reference_upload(bpi_backend *backend, const void *source, size_t bytes, void *destination)
{
    (void)backend;
    assert(bytes == 0 || (source && destination));
    if (bytes)
        memcpy(destination, source, bytes);
    return BP_STATUS_OK;
}

bp_status bpi_reference_download(bpi_backend *backend, const void *source, size_t bytes, void *destination)
{
    return bpi_reference_upload(backend, source, bytes, destination);
}

bp_status bpi_reference_zero(bpi_backend *backend, void *memory, size_t bytes)
{
    (void)backend;
    assert(bytes == 0 || memory);
    if (bytes)
        memset(memory, 0, bytes);
    return BP_STATUS_OK;
}
