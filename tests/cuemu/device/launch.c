/* launch.c: a whole grid: memory for the running block, which the next block uses again, and the order of blocks. */
#include "device/exec.h"

#include <string.h>
#include <sys/mman.h>

/* What a block needs, kept from launch to launch and made larger when a kernel wants more. */
static struct scratch {
    cue_warp warps[CUE_MAX_WARPS];
    cue_split *splits;
    cue_async *async;
    void *rows, *predicates, *parameters, *local, *local_written;
    size_t rows_bytes, predicates_bytes, parameters_bytes, local_bytes, local_written_bytes;
    uint8_t *shared;
    cue_shadow shared_shadow;
    uint32_t *shared_template; /* state of shared memory before any thread runs */
    cue_clock clock;
} scratch;

enum { SHARED_ROOM = 256 << 10, SPLITS_PER_WARP = 2 * CUE_WARP };

static void *grown(void *old, size_t *have, size_t need)
{
    if (need <= *have)
        return old;
    if (old != NULL)
        munmap(old, *have);
    *have = (need + 65535) / 65536 * 65536;
    return cue_reserve(*have, true, 0);
}

static void prepare_scratch(void)
{
    if (scratch.shared != NULL)
        return;
    const size_t words = SHARED_ROOM / 4;
    scratch.splits = cue_reserve(CUE_MAX_WARPS * SPLITS_PER_WARP * sizeof(cue_split), true, 0);
    scratch.async = cue_reserve(CUE_MAX_WARPS * CUE_MAX_ASYNC * sizeof(cue_async), true, 0);
    scratch.shared = cue_reserve(SHARED_ROOM, true, 0);
    scratch.shared_template = cue_reserve(words * sizeof(uint32_t), true, 0);
    scratch.shared_shadow = (cue_shadow){.state = cue_reserve(words * sizeof(uint32_t), true, 0),
                                         .first = cue_reserve(words * sizeof(cue_cell), true, 0),
                                         .second = cue_reserve(words * sizeof(cue_cell), true, 0),
                                         .per_block = true};
}

static void prepare_warps(cue_block *b)
{
    const struct cue_kernel *k = b->kernel;
    size_t rows = (size_t)k->rows * k->max_depth + 1, predicates = (size_t)k->predicates * k->max_depth + 1;
    size_t parameters = (size_t)k->frame_parameter_bytes * CUE_WARP * k->max_depth;
    uint64_t(*all_rows)[CUE_WARP] = scratch.rows =
        grown(scratch.rows, &scratch.rows_bytes, b->warp_count * rows * sizeof *all_rows);
    uint32_t *all_predicates = scratch.predicates =
        grown(scratch.predicates, &scratch.predicates_bytes, b->warp_count * predicates * sizeof *all_predicates);
    uint8_t *all_parameters = scratch.parameters =
        grown(scratch.parameters, &scratch.parameters_bytes, b->warp_count * parameters + 1);
    for (uint32_t n = 0; n < b->warp_count; n++) {
        cue_warp *w = &b->warps[n];
        *w = (cue_warp){.block = b,
                        .index = n,
                        .all_rows = all_rows + n * rows,
                        .all_predicates = all_predicates + n * predicates,
                        .all_parameters = all_parameters + n * parameters,
                        .splits = scratch.splits + n * SPLITS_PER_WARP,
                        .async = scratch.async + n * CUE_MAX_ASYNC};
    }
}

static void mark_live(uint32_t *state, uint64_t first, uint64_t bytes)
{
    for (uint64_t i = first; i < first + bytes; i++)
        state[i / 4] |= 0x10u << i % 4;
}

/* prepare_shared: the symbols that the kernel can reach and the dynamic part are live, byte by byte; nothing else is.
 */
static void prepare_shared(cue_block *b)
{
    const struct cue_kernel *k = b->kernel;
    const struct cue_module *m = b->module;
    uint64_t dynamic = b->config->dynamic_shared_bytes;
    b->shared_bytes = m->shared_static_end + (uint32_t)dynamic;
    b->total_shared = (uint32_t)(k->function->info.static_shared_bytes + dynamic);
    if (b->shared_bytes > SHARED_ROOM)
        cue_fatal("%s: %u bytes of shared memory in one module are more than a block has", k->function->name,
                  b->shared_bytes);
    memset(scratch.shared_template, 0, (b->shared_bytes + 3) / 4 * sizeof(uint32_t));
    for (uint32_t s = 0; s < k->shared_count; s++) {
        const cue_symbol *symbol = &m->symbols[k->shared[s]];
        mark_live(scratch.shared_template, symbol->value, symbol->bytes);
    }
    mark_live(scratch.shared_template, m->shared_static_end, dynamic);
    b->shared = scratch.shared;
    b->shared_shadow = scratch.shared_shadow;
}

static void prepare_local(cue_block *b)
{
    b->local_bytes = b->kernel->local_bytes;
    size_t bytes = (size_t)b->local_bytes * b->threads;
    b->local = scratch.local = grown(scratch.local, &scratch.local_bytes, bytes + 1);
    b->local_written = scratch.local_written = grown(scratch.local_written, &scratch.local_written_bytes, bytes + 1);
}

/* ---------------------------------------------------------------- order */
static void order_lanes(uint8_t order[CUE_WARP])
{
    cue_order mode = cue_settings_get()->order;
    for (uint32_t l = 0; l < CUE_WARP; l++)
        order[l] = (uint8_t)(mode == CUE_REVERSE ? CUE_WARP - 1 - l : l);
    for (uint32_t l = CUE_WARP - 1; mode == CUE_RANDOM && l > 0; l--) {
        uint32_t other = cue_random(l + 1);
        uint8_t swapped = order[l];
        order[l] = order[other];
        order[other] = swapped;
    }
}

/* A random order without a list: multiples of a stride that shares no factor with the count, from a random start. */
typedef struct block_order {
    uint64_t start, stride, count;
} block_order;

static uint64_t common_factor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static block_order order_blocks(uint64_t count)
{
    block_order o = {0, 1, count};
    cue_order mode = cue_settings_get()->order;
    if (mode == CUE_REVERSE)
        o = (block_order){count - 1, count - 1 + (count == 1), count};
    if (mode == CUE_RANDOM && count > 1) {
        o.start = cue_random((uint32_t)count);
        o.stride = 1 + cue_random((uint32_t)count - 1);
        while (common_factor(o.stride, count) != 1)
            o.stride = o.stride % count + 1;
    }
    return o;
}

/* ---------------------------------------------------------------- the grid */
static void begin_block(cue_block *b, uint64_t linear)
{
    const uint32_t *g = b->config->grid;
    b->index[0] = (uint32_t)(linear % g[0]);
    b->index[1] = (uint32_t)(linear / g[0] % g[1]);
    b->index[2] = (uint32_t)(linear / g[0] / g[1]);
    b->actor.serial = b->actor.op_first + (uint32_t)linear;
    b->steps = 0;
    memset(b->barriers, 0, sizeof b->barriers);
    memcpy(b->shared_shadow.state, scratch.shared_template, (b->shared_bytes + 3) / 4 * sizeof(uint32_t));
    memset(b->shared, 0xff, b->shared_bytes);
    for (uint32_t t = 0; t < b->threads && b->kernel->function->local_bytes > 0; t++)
        cue_local_clear(b, t, 0, b->kernel->function->local_bytes);
    cue_clock_begin_block(b->clock, b->threads);
    for (uint32_t n = 0; n < b->warp_count; n++)
        cue_warp_begin(&b->warps[n]);
}

static void check_config(const cue_launch_config *c)
{
    uint64_t threads = (uint64_t)c->block[0] * c->block[1] * c->block[2];
    uint64_t blocks = (uint64_t)c->grid[0] * c->grid[1] * c->grid[2];
    if (threads == 0 || threads > CUE_MAX_THREADS || blocks == 0 || blocks >= 1u << 30)
        cue_fatal("a launch of %llu blocks of %llu threads reached the executor", (unsigned long long)blocks,
                  (unsigned long long)threads);
}

cue_error cue_launch(cue_kernel *kernel, const cue_launch_config *config)
{
    check_config(config);
    cue_kernel_link(kernel);
    prepare_scratch();
    uint8_t lanes[CUE_WARP];
    uint64_t blocks = (uint64_t)config->grid[0] * config->grid[1] * config->grid[2];
    cue_block b = {.kernel = kernel,
                   .module = kernel->function->module,
                   .config = config,
                   .counters = kernel->counters,
                   .classes = cue_counters_classes(kernel->counters),
                   .threads = config->block[0] * config->block[1] * config->block[2],
                   .warps = scratch.warps,
                   .lane_order = lanes,
                   .clock = &scratch.clock,
                   .arena = cue_arena_get()};
    b.warp_count = (b.threads + CUE_WARP - 1) / CUE_WARP;
    prepare_warps(&b);
    prepare_shared(&b);
    prepare_local(&b);
    cue_actor_begin(&b.actor, config->op, (uint32_t)blocks);
    b.actor.clock = b.clock;
    b.counters->launches++;

    cue_mem_unlock();
    block_order order = order_blocks(blocks);
    for (uint64_t n = 0; n < blocks && b.error == CUE_SUCCESS; n++) {
        order_lanes(lanes);
        begin_block(&b, (order.start + n * order.stride) % blocks);
        cue_block_run(&b);
    }
    cue_mem_lock();
    b.counters->needed_read_bytes += b.actor.needed_read_bytes;
    b.counters->needed_write_bytes += b.actor.needed_write_bytes;
    return b.error;
}
