/* fatbin.c: finds the PTX in what nvcc embeds. A fatbin is a header and entries one after another; kind 1 is PTX. */
#include "cuemu.h"
#include "device/device.h"

#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0xba55ed50, KIND_PTX = 1 };

typedef struct fatbin_header {
    uint32_t magic;
    uint16_t version, header_bytes;
    uint64_t bytes; /* of all entries */
} fatbin_header;

typedef struct fatbin_entry {
    uint16_t kind, unknown;
    uint32_t header_bytes;
    uint64_t bytes;
    uint32_t compressed_bytes, unknown_2;
    uint16_t minor, major;
    uint32_t target;
} fatbin_entry;

/* best_entry: PTX of the highest target. */
static const char *best_entry(const char *from, const char *end, size_t *bytes)
{
    const char *best = NULL;
    uint32_t best_target = 0;
    while (end - from >= (ptrdiff_t)sizeof(fatbin_entry)) {
        fatbin_entry e;
        memcpy(&e, from, sizeof e);
        const char *data = from + e.header_bytes;
        if (e.header_bytes < sizeof e || e.bytes > (uint64_t)(end - from) - e.header_bytes)
            cue_fatal("a fat binary that ends inside an entry");
        if (e.kind == KIND_PTX && e.compressed_bytes != 0)
            cue_fatal("the PTX of a fat binary is compressed: build it with nvcc --no-compress");
        if (e.kind == KIND_PTX && (best == NULL || e.target > best_target)) {
            best = data;
            best_target = e.target;
            *bytes = (size_t)e.bytes;
        }
        from = data + e.bytes;
    }
    return best;
}

cue_module *cue_module_load_fatbin(const void *data)
{
    fatbin_header h;
    memcpy(&h, data, sizeof h);
    if (h.magic != MAGIC)
        cue_fatal("not a fat binary: it begins with %08x", h.magic);
    const char *entries = (const char *)data + h.header_bytes;
    size_t bytes = 0;
    const char *ptx = best_entry(entries, entries + h.bytes, &bytes);
    if (ptx == NULL)
        cue_fatal("a fat binary without PTX: build it for code=compute_NN, not for code=sm_NN alone");
    char *text = cue_alloc(bytes + 1);
    memcpy(text, ptx, bytes); /* ends with a NUL, or is padded with some */
    cue_module *module = cue_module_load_ptx(text, "fat binary");
    free(text);
    return module;
}
