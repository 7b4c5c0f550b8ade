/* hooks.c: each block is preceded by its size, so that a wrong size on release is seen at once. */
#include "support/hooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 64 };

static void *allocate(void *user, size_t bytes, size_t alignment)
{
    bpt_hooks *hooks = user;
    hooks->calls++;
    if (hooks->calls == hooks->fail_at || (hooks->limit && bytes > hooks->limit) || alignment > HEAD)
        return NULL;
    size_t total = (bytes + HEAD + HEAD - 1) / HEAD * HEAD;
    char *block = total > bytes ? aligned_alloc(HEAD, total) : NULL;
    if (!block)
        return NULL;
    memcpy(block, &bytes, sizeof bytes);
    hooks->live++;
    return block + HEAD;
}

static void release(void *user, void *memory, size_t bytes)
{
    bpt_hooks *hooks = user;
    size_t wanted;
    char *block = (char *)memory - HEAD;
    memcpy(&wanted, block, sizeof wanted);
    if (wanted != bytes) {
        fprintf(stderr, "a block of %zu bytes was released as one of %zu\n", wanted, bytes);
        abort();
    }
    hooks->live--;
    free(block);
}

bp_allocator bpt_hooks_allocator(bpt_hooks *hooks)
{
    return (bp_allocator){allocate, release, hooks};
}

bp_context *bpt_hooks_context(bpt_hooks *hooks)
{
    bp_context *context = NULL;
    bp_context_options options = {
        .struct_size = sizeof options, .backend = "reference", .threads = 1, .allocator = bpt_hooks_allocator(hooks)};
    if (bp_context_create(&options, &context) != BP_STATUS_OK) {
        fprintf(stderr, "no context: %s\n", bp_last_error(context));
        abort();
    }
    return context;
}
