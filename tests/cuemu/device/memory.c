/* memory.c: the arena that stands for device memory: who owns which bytes, and when host code may touch them.
 * What was done to the bytes is shadow.c's part. Contract: cuemu.h. */
#include "device/memory.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    ALIGN_BYTES = 256,
    GUARD_BYTES = 256, /* between allocations: an access just past the end hits nobody */
    PAGE_BYTES = 4096,
    HUGE_PAGE_BYTES = 2 << 20,
    REST_FACTOR = 4,    /* address space over modelled memory */
    CHARGE_BYTES = 512, /* an allocation costs a multiple of this, as on the real allocator */
    LARGE_BYTES = 4 << 20,
    UNFOLDED_BYTES = 64 << 10,
};

#define ARENA_HINT 0x200000000000u
#define WINDOW_HINT 0x100000000000u

typedef struct block {
    uint8_t *base;
    size_t bytes;
    bool live, variable;
    bool folded;       /* state that is 0 is to be made where it is asked for (cue_mem_unfold) */
    uint64_t freed_at; /* order of releases */
} block;

static cue_arena arena;
static block *blocks; /* by address */
static size_t block_count, block_room;
static size_t used_bytes;
static uint64_t releases;
static int unlocked;
static int key = -1; /* memory protection key of the arena, where the processor has such */

/* ---------------------------------------------------------------- host access */
static struct sigaction old_action;

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    const uint8_t *address = info->si_addr;
    if (address >= arena.base && address < arena.base + arena.bytes) {
        char text[160];
        cue_report(CUE_HOST_DEREFERENCE, NULL, "host code touches %p: %s", (void *)address,
                   cue_mem_explain(address, text, sizeof text));
        cue_json_write();
    }
    /* The instruction runs again and meets whoever handled the signal before, as a rule the default that ends us. */
    (void)signal_number;
    (void)context;
    sigaction(SIGSEGV, &old_action, NULL);
}

/* With a key, access is a right of the thread that is changed in no time; mprotect goes through all pages that were
 * touched so far, and took most of the time of tests with many small operations: without a key they are to be few and
 * huge, where the kernel has such. A signal handler begins without the right, so that unlock sets it whatever the
 * count.
 */
static void take_key(void)
{
    key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
    if (key >= 0 && pkey_mprotect(arena.base, arena.bytes, PROT_READ | PROT_WRITE, key) != 0) {
        (void)pkey_free(key);
        key = -1;
    }
    if (key < 0)
        (void)madvise(arena.base, arena.bytes, MADV_HUGEPAGE);
}

cue_arena *cue_arena_get(void)
{
    if (arena.base != NULL)
        return &arena;
    size_t modelled = (cue_settings_get()->memory_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    arena.bytes = REST_FACTOR * modelled + ((size_t)64 << 20);
    size_t words = arena.bytes / 4;
    arena.base = cue_reserve(arena.bytes, false, ARENA_HINT);
    take_key();
    arena.shadow.state = cue_reserve(words * sizeof(uint32_t), true, 0);
    arena.shadow.first = cue_reserve(words * sizeof(cue_cell), true, 0);
    arena.shadow.second = cue_reserve(words * sizeof(cue_cell), true, 0);
    arena.shared_window = (uint64_t)(uintptr_t)cue_reserve(3 * CUE_WINDOW_BYTES, false, WINDOW_HINT);
    arena.local_window = arena.shared_window + CUE_WINDOW_BYTES;
    arena.parameter_window = arena.local_window + CUE_WINDOW_BYTES;

    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGSEGV, &action, &old_action) != 0)
        cue_fatal("cannot handle SIGSEGV");
    return &arena;
}

static bool set_access(bool open)
{
    if (key >= 0)
        return pkey_set(key, open ? 0 : PKEY_DISABLE_ACCESS) == 0;
    return mprotect(arena.base, arena.bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE) == 0;
}

void cue_mem_unlock(void)
{
    cue_arena_get();
    if ((unlocked++ == 0 || key >= 0) && !set_access(true))
        cue_fatal("cannot open the device memory");
}

void cue_mem_lock(void)
{
    if (--unlocked == 0 && !set_access(false))
        cue_fatal("cannot close the device memory");
}

/* ---------------------------------------------------------------- owners */
/* first_at_or_after: index of the first block whose base is not below the address. */
static size_t first_at_or_after(const uint8_t *address)
{
    size_t low = 0, high = block_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (blocks[middle].base < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static block *block_at(const void *address)
{
    size_t i = first_at_or_after((const uint8_t *)address + 1);
    if (i == 0 || (const uint8_t *)address >= blocks[i - 1].base + blocks[i - 1].bytes)
        return NULL;
    return &blocks[i - 1];
}

static size_t span(size_t bytes)
{
    return (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES + GUARD_BYTES;
}

/* A run of freed blocks and free space between two live ones. */
typedef struct gap {
    size_t first, end; /* blocks in it */
    uint8_t *base;
    uint64_t freed_at; /* of the youngest release in it */
} gap;

/* find_rested_gap: no fresh addresses are left: the gap that is large enough and was released longest ago. */
static bool find_rested_gap(size_t bytes, gap *best)
{
    bool found = false;
    gap run = {0, 0, arena.base + PAGE_BYTES, 0};
    for (size_t i = 0; i <= block_count; i++) {
        if (i < block_count && !blocks[i].live) {
            run.freed_at = blocks[i].freed_at > run.freed_at ? blocks[i].freed_at : run.freed_at;
            continue;
        }
        run.end = i;
        const uint8_t *limit = i < block_count ? blocks[i].base : arena.base + arena.bytes;
        if (run.base + bytes <= limit && (!found || run.freed_at < best->freed_at)) {
            *best = run;
            found = true;
        }
        if (i < block_count)
            run = (gap){i + 1, i + 1, blocks[i].base + span(blocks[i].bytes), 0};
    }
    return found;
}

static block *insert_block(uint8_t *base, size_t bytes)
{
    if (block_count == block_room) {
        block_room = block_room == 0 ? 256 : 2 * block_room;
        blocks = cue_realloc(blocks, block_room * sizeof *blocks);
    }
    size_t i = first_at_or_after(base);
    memmove(&blocks[i + 1], &blocks[i], (block_count - i) * sizeof *blocks);
    block_count++;
    blocks[i] = (block){.base = base, .bytes = bytes, .live = true};
    return &blocks[i];
}

/* advise_pages: of the pages of this size that lie in a range as a whole. */
static void advise_pages(const void *from, const void *end, uintptr_t page, int advice)
{
    uintptr_t first = ((uintptr_t)from + page - 1) / page * page, last = (uintptr_t)end / page * page;
    if (first < last)
        (void)madvise((void *)first, last - first, advice);
}

/* clear: zeros; pages of them are given back, and read as zeros again. */
static void clear(void *from, size_t bytes)
{
    enum { WORTH_DROPPING = 24 * PAGE_BYTES };
    if (bytes < WORTH_DROPPING) {
        memset(from, 0, bytes);
        return;
    }
    uint8_t *first = from;
    memset(first, 0, PAGE_BYTES);
    memset(first + bytes - PAGE_BYTES, 0, PAGE_BYTES);
    advise_pages(first, first + bytes, PAGE_BYTES, MADV_DONTNEED);
}

static block *take(size_t bytes)
{
    size_t need = span(bytes);
    cue_arena_get();
    uint8_t *fresh = arena.base + PAGE_BYTES;
    if (block_count > 0)
        fresh = blocks[block_count - 1].base + span(blocks[block_count - 1].bytes);
    if (need <= (size_t)(arena.base + arena.bytes - fresh))
        return insert_block(fresh, bytes);
    gap rested;
    if (!find_rested_gap(need, &rested))
        return NULL;
    memmove(&blocks[rested.first], &blocks[rested.end], (block_count - rested.end) * sizeof *blocks);
    block_count -= rested.end - rested.first;
    clear(arena.shadow.state + (rested.base - arena.base) / 4, need / 4 * sizeof(uint32_t));
    return insert_block(rested.base, bytes);
}

static uint8_t *end_of(const block *b)
{
    return b->base + b->bytes;
}

/* drop_block: gives back the pages of a block that was freed; they read as zeros again. Without a key they are huge
 * (take_key), and one that is dropped in part falls apart into small ones, all of which each mprotect goes through: so
 * those go that lie between the live blocks on both sides, or before the place of the next one. */
static void drop_block(const block *freed)
{
    if (key >= 0) {
        advise_pages(freed->base, end_of(freed), PAGE_BYTES, MADV_DONTNEED);
        return;
    }
    const block *last = &blocks[block_count - 1], *before = freed, *after = freed;
    const uint8_t *from = freed->base - arena.base > HUGE_PAGE_BYTES ? freed->base - HUGE_PAGE_BYTES : arena.base;
    const uint8_t *end = end_of(freed) + HUGE_PAGE_BYTES;
    while (before > blocks && !before->live && end_of(before) > from)
        before--;
    while (after < last && !after->live && after->base < end)
        after++;
    if (before->live && end_of(before) > from)
        from = end_of(before);
    const uint8_t *bound = after->live ? after->base : last->base + span(last->bytes);
    advise_pages(from, bound < end ? bound : end, HUGE_PAGE_BYTES, MADV_DONTNEED);
}

/* large: what is known of a large block comes in huge pages, which costs a fraction of the page faults. */
static void large(void *from, size_t bytes)
{
    if (bytes >= LARGE_BYTES)
        advise_pages(from, (uint8_t *)from + bytes, HUGE_PAGE_BYTES, MADV_HUGEPAGE);
}

/* mark: state of the bytes of a block from one on, which starts a word. */
static void mark(const block *b, size_t from, size_t bytes, uint32_t flags, bool initialised)
{
    size_t first = (size_t)(b->base + from - arena.base) / 4, words = (bytes + 3) / 4;
    uint32_t full = flags | (b->live ? (uint32_t)CUE_STATE_LIVE : 0) | (initialised ? (uint32_t)CUE_STATE_INIT : 0);
    for (size_t i = 0; i < words; i++)
        arena.shadow.state[first + i] = full;
    if (bytes % 4 != 0) {
        uint32_t in_block = (1u << bytes % 4) - 1;
        arena.shadow.state[first + words - 1] = flags | (full & (in_block | in_block << 4));
    }
}

/* forget: no access records of a block. */
static void forget(const block *b)
{
    size_t first = (size_t)(b->base - arena.base) / 4, words = (b->bytes + 3) / 4;
    clear(arena.shadow.first + first, words * sizeof *arena.shadow.first);
    clear(arena.shadow.second + first, words * sizeof *arena.shadow.second);
    if (b->live) {
        large(arena.shadow.state + first, words * sizeof *arena.shadow.state);
        large(arena.shadow.first + first, words * sizeof *arena.shadow.first);
    }
}

/* fill: what memory holds that nothing wrote: NaN in every float format, -1 as an index. */
static void fill(const block *b, size_t from, size_t bytes)
{
    cue_mem_unlock();
    memset(b->base + from, 0xff, bytes);
    cue_mem_lock();
}

cue_error cue_mem_alloc(size_t bytes, void **out)
{
    *out = NULL;
    size_t charge = (bytes + CHARGE_BYTES - 1) / CHARGE_BYTES * CHARGE_BYTES;
    size_t total = cue_settings_get()->memory_bytes;
    if (bytes > total || charge > total - used_bytes)
        return CUE_OUT_OF_MEMORY;
    block *b = take(bytes);
    if (b == NULL)
        return CUE_OUT_OF_MEMORY;
    used_bytes += charge;
    forget(b);
    b->folded = bytes >= LARGE_BYTES;
    if (!b->folded) {
        mark(b, 0, bytes, 0, false);
        fill(b, 0, bytes);
    }
    *out = b->base;
    return CUE_SUCCESS;
}

/* The workspaces of cuBLAS are large, are made for every context, and few of their bytes are ever touched. */
bool cue_mem_unfold(const void *address)
{
    const block *b = block_at(address);
    if (b == NULL || !b->folded || arena.shadow.state[((const uint8_t *)address - arena.base) / 4] != 0)
        return false;
    size_t from = (size_t)((const uint8_t *)address - b->base) / UNFOLDED_BYTES * UNFOLDED_BYTES;
    size_t bytes = b->bytes - from < UNFOLDED_BYTES ? b->bytes - from : UNFOLDED_BYTES;
    mark(b, from, bytes, b->live ? 0 : CUE_STATE_FREED, false);
    if (b->live)
        fill(b, from, bytes);
    return true;
}

static void release(block *b)
{
    b->live = false;
    b->freed_at = ++releases;
    forget(b);
    if (b->folded)
        clear(arena.shadow.state + (b->base - arena.base) / 4, (b->bytes + 3) / 4 * sizeof *arena.shadow.state);
    else
        mark(b, 0, b->bytes, CUE_STATE_FREED, false);
}

cue_error cue_mem_free(void *pointer)
{
    block *b = block_at(pointer);
    if (b == NULL || !b->live || b->variable || b->base != pointer)
        return CUE_INVALID_VALUE;
    used_bytes -= (b->bytes + CHARGE_BYTES - 1) / CHARGE_BYTES * CHARGE_BYTES;
    release(b);
    drop_block(b);
    return CUE_SUCCESS;
}

void *cue_mem_variable(size_t bytes, bool constant)
{
    block *b = take(bytes > 0 ? bytes : 1);
    if (b == NULL)
        cue_fatal("no address space is left for a module variable of %zu bytes", bytes);
    b->variable = true;
    forget(b);
    mark(b, 0, b->bytes, constant ? CUE_STATE_CONST : 0, true);
    cue_mem_unlock();
    memset(b->base, 0, bytes);
    cue_mem_lock();
    return b->base;
}

void cue_mem_variable_free(void *base)
{
    release(block_at(base));
}

void cue_mem_info(size_t *free_bytes, size_t *total_bytes)
{
    *total_bytes = cue_settings_get()->memory_bytes;
    *free_bytes = *total_bytes - used_bytes;
}

bool cue_mem_is_device(const void *pointer)
{
    const cue_arena *a = cue_arena_get();
    return (const uint8_t *)pointer >= a->base && (const uint8_t *)pointer < a->base + a->bytes;
}

bool cue_mem_find(const void *address, void **base, size_t *bytes)
{
    const block *b = block_at(address);
    if (b == NULL || !b->live)
        return false;
    *base = b->base;
    *bytes = b->bytes;
    return true;
}

void cue_mem_each_live(void (*visit)(void *base, size_t bytes, void *user), void *user)
{
    for (size_t i = 0; i < block_count; i++)
        if (blocks[i].live && !blocks[i].variable)
            visit(blocks[i].base, blocks[i].bytes, user);
}

const char *cue_mem_explain(const void *address, char *text, size_t text_bytes)
{
    const uint8_t *a = address;
    const block *at = block_at(address);
    if (at != NULL) {
        snprintf(text, text_bytes, "byte %zu of %s of %zu bytes", (size_t)(a - at->base),
                 at->variable ? "a variable"
                 : at->live   ? "an allocation"
                              : "a freed allocation",
                 at->bytes);
        return text;
    }
    size_t i = first_at_or_after(a);
    if (!cue_mem_is_device(address))
        snprintf(text, text_bytes, "not an address of device memory");
    else if (i > 0)
        snprintf(text, text_bytes, "%zu bytes past the end of %s allocation of %zu bytes",
                 (size_t)(a - blocks[i - 1].base) - blocks[i - 1].bytes, blocks[i - 1].live ? "an" : "a freed",
                 blocks[i - 1].bytes);
    else
        snprintf(text, text_bytes, "before every allocation");
    return text;
}

/* ---------------------------------------------------------------- mapped host memory */
typedef struct host_range {
    uint8_t *base;
    size_t bytes;
} host_range;

static host_range *host_ranges;
static size_t host_count, host_room;

void cue_mem_host_map(void *base, size_t bytes)
{
    if (host_count == host_room) {
        host_room = host_room == 0 ? 64 : 2 * host_room;
        host_ranges = cue_realloc(host_ranges, host_room * sizeof *host_ranges);
    }
    host_ranges[host_count++] = (host_range){base, bytes};
}

void cue_mem_host_unmap(void *base)
{
    for (size_t i = 0; i < host_count; i++)
        if (host_ranges[i].base == base) {
            host_ranges[i] = host_ranges[--host_count];
            return;
        }
}

bool cue_mem_is_mapped_host(const void *address, size_t bytes)
{
    const uint8_t *a = address;
    for (size_t i = 0; i < host_count; i++)
        if (a >= host_ranges[i].base && a + bytes <= host_ranges[i].base + host_ranges[i].bytes)
            return true;
    return false;
}
