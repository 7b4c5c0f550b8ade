/* hooks.h: an allocator that counts, checks what it is given back, and fails where a test asks it to. */
#ifndef BPT_HOOKS_H
#define BPT_HOOKS_H

#include <stdint.h>

#include "backprop/context.h"

typedef struct bpt_hooks {
    int64_t calls;   /* of allocate so far */
    int64_t live;    /* blocks that were not released */
    int64_t fail_at; /* this call of allocate fails, counted from 1; 0: none */
    size_t limit;    /* larger blocks are refused; 0: no limit */
} bpt_hooks;

/* Aborts where a block comes back with another size than it was asked for. `hooks` must outlive its users. */
bp_allocator bpt_hooks_allocator(bpt_hooks *hooks);

/* A context on the reference backend with this allocator; aborts where it cannot be made. */
bp_context *bpt_hooks_context(bpt_hooks *hooks);

#endif
