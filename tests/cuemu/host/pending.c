/* pending.c: transfers to and from pinned memory that the host has not waited for yet.
 *
 * Until then host code must not read or write a target, and must not write a source. The pages are guarded with
 * mprotect, so that the first wrong touch is reported where it stands, whatever the mode; a touch of a neighbour in
 * the same page is stepped through (fault.c). Besides, a target is filled with 0xFF when the transfer is enqueued, and
 * a source's checksum is compared when it runs: that also works for registered memory, whose pages are not ours. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct transfer {
    cue_op_id op;
    char *base;
    size_t bytes; /* from the first byte to the last */
    size_t pitch, width;
    cue_host_use use;
    bool guarded, has_checksum;
    uint64_t checksum;
} transfer;

static transfer *transfers;
static size_t count, room;

static void protect(const transfer *t, int protection)
{
    if (!t->guarded)
        return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = (uintptr_t)t->base / page * page, to = ((uintptr_t)t->base + t->bytes + page - 1) / page * page;
    mprotect((void *)from, to - from, protection);
}

/* Sources first: where a source and a target share a page, the stricter guard of the target stays. */
static void guard_unless_before(cue_op_id op)
{
    for (size_t i = 0; i < count; i++)
        if (transfers[i].use == CUE_HOST_SOURCE && !(op != 0 && cue_op_before(transfers[i].op, op)))
            protect(&transfers[i], PROT_READ);
    for (size_t i = 0; i < count; i++)
        if (transfers[i].use == CUE_HOST_TARGET && !(op != 0 && cue_op_before(transfers[i].op, op)))
            protect(&transfers[i], PROT_NONE);
}

static void open_all(void)
{
    for (size_t i = 0; i < count; i++)
        protect(&transfers[i], PROT_READ | PROT_WRITE);
}

void cue_pending_guard(void)
{
    guard_unless_before(0);
}

void cue_pending_open(cue_op_id op, bool host_function)
{
    if (count == 0)
        return;
    open_all();
    if (host_function)
        guard_unless_before(op);
}

void cue_pending_close(void)
{
    if (count == 0)
        return;
    open_all();
    guard_unless_before(0);
}

static uint64_t checksum_row(uint64_t h, const char *bytes, size_t n)
{
    uint64_t word;
    for (; n >= sizeof word; n -= sizeof word, bytes += sizeof word) {
        memcpy(&word, bytes, sizeof word);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    for (; n > 0; n--, bytes++)
        h = (h ^ (unsigned char)*bytes) * 0x100000001b3u;
    return h;
}

static uint64_t checksum(const transfer *t)
{
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (size_t at = 0; at < t->bytes; at += t->pitch)
        h = checksum_row(h, t->base + at, t->width);
    return h;
}

static void poison(const transfer *t)
{
    for (size_t at = 0; at < t->bytes; at += t->pitch)
        memset(t->base + at, 0xff, t->width);
}

/* What lies between the rows of a two-dimensional copy is not touched by it. */
static bool covers(const transfer *t, const char *address)
{
    return address >= t->base && address < t->base + t->bytes && (size_t)(address - t->base) % t->pitch < t->width;
}

static bool overlap(const transfer *t, const char *base, size_t bytes)
{
    return base < t->base + t->bytes && t->base < base + bytes;
}

/* Work that was enqueued before and has not run may still need or make these bytes: then they are neither poisoned
 * nor summed up now. */
static bool still_in_use(const char *base, size_t bytes, bool by_targets_only)
{
    for (size_t i = 0; i < count; i++)
        if (overlap(&transfers[i], base, bytes) && !cue_op_has_run(transfers[i].op) &&
            (!by_targets_only || transfers[i].use == CUE_HOST_TARGET))
            return true;
    return false;
}

void cue_pending_add(cue_op_id op, void *address, size_t pitch, size_t width, size_t height, cue_host_use use)
{
    size_t bytes = cue_extent(pitch, width, height);
    if (bytes == 0)
        return;
    transfer t = {.op = op, .base = address, .bytes = bytes, .pitch = pitch, .width = width, .use = use};
    cue_pinned_find(address, bytes, &t.guarded);
    open_all();
    if (use == CUE_HOST_TARGET && !still_in_use(address, bytes, false))
        poison(&t);
    if (use == CUE_HOST_SOURCE && !still_in_use(address, bytes, true)) {
        t.checksum = checksum(&t);
        t.has_checksum = true;
    }
    if (count == room) {
        room = room ? room * 2 : 16;
        transfers = realloc(transfers, room * sizeof *transfers);
        if (transfers == NULL)
            cue_fatal("no memory for the record of transfers");
    }
    transfers[count++] = t;
    guard_unless_before(0);
}

void cue_pending_check_source(cue_op_id op)
{
    for (size_t i = 0; i < count; i++) {
        transfer *t = &transfers[i];
        if (t->op != op || !t->has_checksum || checksum(t) == t->checksum)
            continue;
        cue_place place;
        cue_op_place(op, &place);
        cue_report(CUE_PINNED_EARLY, &place, "the %zu source bytes at %p changed between the call and the copy",
                   t->bytes, (void *)t->base);
    }
}

void cue_pending_settle(void)
{
    size_t kept = 0;
    if (count == 0)
        return;
    open_all();
    for (size_t i = 0; i < count; i++)
        if (!cue_host_knows(transfers[i].op))
            transfers[kept++] = transfers[i];
    count = kept;
    guard_unless_before(0);
}

cue_op_id cue_pending_overlaps(const void *address, size_t bytes)
{
    for (size_t i = 0; i < count; i++)
        if (overlap(&transfers[i], address, bytes))
            return transfers[i].op;
    return 0;
}

void cue_pending_unguard_page(void *address)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    mprotect((void *)((uintptr_t)address / page * page), page, PROT_READ | PROT_WRITE);
}

static bool shares_page(const transfer *t, const char *address)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)address / page * page;
    return t->guarded && (uintptr_t)t->base < start + page && start < (uintptr_t)t->base + t->bytes;
}

/* The transfer that was hurt is forgotten: one report is enough, and the program goes on. */
bool cue_pending_fault(void *address, bool write, cue_site where, bool *step)
{
    bool guarded_page = false;
    for (size_t i = 0; i < count; i++) {
        transfer t = transfers[i];
        guarded_page = guarded_page || shares_page(&t, address);
        if (!covers(&t, address) || (t.use == CUE_HOST_SOURCE && !write))
            continue;
        cue_place place;
        cue_site_place(where, &place);
        cue_report(CUE_PINNED_EARLY, &place, "host code %s pinned memory that %s %s: wait for it first",
                   write ? "writes" : "reads", cue_op_name(t.op), t.use == CUE_HOST_SOURCE ? "reads" : "writes");
        open_all();
        transfers[i] = transfers[--count];
        guard_unless_before(cue_op_running());
        *step = false;
        return true;
    }
    *step = guarded_page;
    return guarded_page;
}
