/* access.c: the checks that every access of a thread goes through: bounds, alignment, freed, initialised, races. The
 * fast path for whole words that are in good order stands in load_store.c; here is everything else, and the reports. */
#include "device/exec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

cue_place cue_exec_place(const cue_warp *w, const cue_insn *insn, uint32_t lane)
{
    const cue_block *b = w->block;
    const uint32_t *n = b->config->block;
    uint32_t thread = cue_thread(w, lane);
    cue_place place = {.kernel = b->kernel->function->name, .has_thread = true};
    memcpy(place.block, b->index, sizeof place.block);
    place.thread[0] = thread % n[0];
    place.thread[1] = thread / n[0] % n[1];
    place.thread[2] = thread / (n[0] * n[1]);
    cue_place_of(b->module, insn, &place);
    return place;
}

cue_space cue_generic_space(const cue_block *block, uint64_t *address)
{
    const cue_arena *a = block->arena;
    const uint64_t windows[] = {a->shared_window, a->local_window, a->parameter_window};
    const cue_space spaces[] = {CUE_SHARED, CUE_LOCAL, CUE_ENTRY_PARAM};
    for (int i = 0; i < 3; i++)
        if (*address - windows[i] < CUE_WINDOW_BYTES) {
            *address -= windows[i];
            return spaces[i];
        }
    return CUE_GLOBAL;
}

/* One access on its way through the checks. */
typedef struct access {
    cue_warp *warp;
    const cue_insn *insn;
    uint32_t lane;
    cue_space space;
    uint64_t address; /* global: the pointer; else the offset */
    uint32_t bytes;
    cue_access_mode mode;
} access;

static const char *verb(const access *a)
{
    static const char *const verbs[] = {"read", "write", "atomic"};
    return verbs[a->mode];
}

/* explain_shared: which array of the block an address belongs to, or comes after. */
static const char *explain_shared(const access *a, char *text, size_t text_bytes)
{
    const cue_block *b = a->warp->block;
    const struct cue_module *m = b->module;
    const cue_symbol *nearest = NULL;
    uint64_t dynamic = m->shared_static_end;
    if (a->address >= dynamic && b->config->dynamic_shared_bytes > 0) {
        snprintf(text, text_bytes, "byte %llu of %zu dynamic ones", (unsigned long long)(a->address - dynamic),
                 b->config->dynamic_shared_bytes);
        return text;
    }
    for (uint32_t i = 0; i < b->kernel->shared_count; i++) {
        const cue_symbol *s = &m->symbols[b->kernel->shared[i]];
        if (!s->dynamic && s->value <= a->address && (nearest == NULL || s->value > nearest->value))
            nearest = s;
    }
    if (nearest == NULL)
        snprintf(text, text_bytes, "address %llu, where the block has none", (unsigned long long)a->address);
    else
        snprintf(text, text_bytes, "byte %llu of %llu in %.*s", (unsigned long long)(a->address - nearest->value),
                 (unsigned long long)nearest->bytes, (int)nearest->name.length, nearest->name.text);
    return text;
}

static void report_fault(const access *a, cue_report_kind kind, cue_error error)
{
    char text[200];
    cue_place place = cue_exec_place(a->warp, a->insn, a->lane);
    if (a->space == CUE_SHARED)
        cue_report(kind, &place, "%s of %u bytes of shared memory: %s; the block has %u bytes", verb(a), a->bytes,
                   explain_shared(a, text, sizeof text), a->warp->block->total_shared);
    else if (a->space == CUE_LOCAL)
        cue_report(kind, &place, "%s of %u bytes at local address %llu; the thread has %u bytes", verb(a), a->bytes,
                   (unsigned long long)a->address, a->warp->block->local_bytes);
    else
        cue_report(kind, &place, "%s of %u bytes at %p: %s", verb(a), a->bytes, (void *)(uintptr_t)a->address,
                   cue_mem_explain((void *)(uintptr_t)a->address, text, sizeof text));
    if (error != CUE_SUCCESS)
        cue_block_fault(a->warp->block, error);
}

static void report_race(const access *a, cue_conflict conflict)
{
    const cue_block *b = a->warp->block;
    cue_place place = cue_exec_place(a->warp, a->insn, a->lane);
    uint32_t serial = cue_record_serial(conflict.other), thread = cue_record_thread(conflict.other);
    const char *did = conflict.other_wrote ? (conflict.other & 1 ? "updates it atomically" : "writes it") : "reads it";
    if (serial < b->actor.op_first) {
        cue_report(CUE_RACE_STREAM, &place,
                   "%s of %u bytes at %p, and '%s' %s; no event, stream order or "
                   "synchronisation between",
                   verb(a), a->bytes, (void *)(uintptr_t)a->address, cue_op_name(cue_op_of_serial(serial)), did);
        return;
    }
    const uint32_t *g = b->config->grid, *n = b->config->block;
    uint32_t other = serial - b->actor.op_first;
    char text[200];
    if (a->space == CUE_SHARED)
        cue_report(CUE_RACE_SHARED, &place,
                   "%s of %u bytes of shared memory: %s; thread (%u,%u,%u) %s, no barrier between", verb(a), a->bytes,
                   explain_shared(a, text, sizeof text), thread % n[0], thread / n[0] % n[1], thread / (n[0] * n[1]),
                   did);
    else
        cue_report(CUE_RACE_GLOBAL, &place,
                   "%s of %u bytes at %p (%s), and block (%u,%u,%u) thread (%u,%u,%u) %s; "
                   "nothing orders them",
                   verb(a), a->bytes, (void *)(uintptr_t)a->address,
                   cue_mem_explain((void *)(uintptr_t)a->address, text, sizeof text), other % g[0], other / g[0] % g[1],
                   other / (g[0] * g[1]), thread % n[0], thread / n[0] % n[1], thread / (n[0] * n[1]), did);
}

/* check_bytes: one word's part of an access. False: the launch is over. */
static bool check_word(const access *a, const cue_shadow *shadow, size_t word, unsigned mask)
{
    uint32_t *state = &shadow->state[word];
    bool write = a->mode != CUE_LOADS;
    if (*state == 0 && !shadow->per_block)
        (void)cue_mem_unfold(a->warp->block->arena->base + 4 * word);
    if ((*state >> 4 & mask) != mask) {
        report_fault(a, *state & CUE_STATE_FREED ? CUE_USE_AFTER_FREE : CUE_OUT_OF_BOUNDS, CUE_ILLEGAL_ADDRESS);
        return false;
    }
    if (write && (*state & CUE_STATE_CONST)) {
        report_fault(a, CUE_CONST_WRITE, CUE_ILLEGAL_ADDRESS);
        return false;
    }
    if (a->mode != CUE_STORES && (*state & mask) != mask)
        report_fault(a, CUE_UNINITIALISED, CUE_SUCCESS);
    *state |= mask; /* written now, or reported: once is enough */

    cue_block *b = a->warp->block;
    uint32_t thread = cue_thread(a->warp, a->lane);
    bool strong = a->mode == CUE_UPDATES || a->insn->strong;
    uint64_t me = cue_record(b->actor.serial, thread, b->clock->stamp[thread], strong);
    cue_conflict conflict = cue_shadow_note(shadow, word, mask, write, me, &b->actor);
    if (conflict.other != 0)
        report_race(a, conflict);
    return true;
}

static bool check_words(const access *a, const cue_shadow *shadow, uint64_t offset)
{
    for (uint64_t word = offset / 4; word * 4 < offset + a->bytes; word++) {
        unsigned mask = 0xf;
        if (word * 4 < offset)
            mask &= 0xfu << (offset - word * 4);
        if (word * 4 + 4 > offset + a->bytes)
            mask &= 0xfu >> (word * 4 + 4 - offset - a->bytes);
        if (!check_word(a, shadow, word, mask & 0xf))
            return false;
    }
    return true;
}

static bool is_mapped(uint64_t address)
{
    unsigned char in_core;
    uintptr_t page = (uintptr_t)address & ~(uintptr_t)4095;
    return mincore((void *)page, 1, &in_core) == 0 || errno != ENOMEM;
}

static uint8_t *global_access(const access *a)
{
    const cue_arena *arena = a->warp->block->arena;
    uint64_t offset = a->address - (uint64_t)(uintptr_t)arena->base;
    if (offset < arena->bytes)
        return check_words(a, &arena->shadow, offset) ? arena->base + offset : NULL;
    if (cue_mem_is_mapped_host((const void *)(uintptr_t)a->address, a->bytes))
        return (uint8_t *)(uintptr_t)a->address;
    report_fault(a, is_mapped(a->address) ? CUE_HOST_ADDRESS : CUE_OUT_OF_BOUNDS, CUE_ILLEGAL_ADDRESS);
    return NULL;
}

static uint8_t *shared_access(const access *a)
{
    cue_block *b = a->warp->block;
    if (a->address + a->bytes > b->shared_bytes) {
        report_fault(a, CUE_OUT_OF_BOUNDS, CUE_ILLEGAL_ADDRESS);
        return NULL;
    }
    return check_words(a, &b->shared_shadow, a->address) ? b->shared + a->address : NULL;
}

void cue_local_clear(cue_block *block, uint32_t thread, uint32_t first, uint32_t bytes)
{
    size_t at = (size_t)thread * block->local_bytes + first;
    memset(block->local + at, 0xff, bytes);
    memset(block->local_written + at, 0, bytes);
}

static uint8_t *local_access(const access *a)
{
    cue_block *b = a->warp->block;
    if (a->address + a->bytes > b->local_bytes) {
        report_fault(a, CUE_OUT_OF_BOUNDS, CUE_ILLEGAL_ADDRESS);
        return NULL;
    }
    size_t at = (size_t)cue_thread(a->warp, a->lane) * b->local_bytes + a->address;
    for (uint32_t i = 0; a->mode == CUE_LOADS && i < a->bytes; i++)
        if (!b->local_written[at + i]) {
            report_fault(a, CUE_UNINITIALISED, CUE_SUCCESS);
            break;
        }
    memset(b->local_written + at, 1, a->bytes);
    return b->local + at;
}

uint8_t *cue_touch(cue_warp *w, const cue_insn *insn, uint32_t lane, cue_space space, uint64_t address, uint32_t bytes,
                   cue_access_mode mode)
{
    access a = {w, insn, lane, space, address, bytes, mode};
    if (space == CUE_GENERIC)
        a.space = cue_generic_space(w->block, &a.address);
    if (a.space == CUE_SHARED || a.space == CUE_LOCAL)
        a.address = (uint32_t)a.address;
    if (a.address % bytes != 0) {
        report_fault(&a, CUE_MISALIGNED, CUE_MISALIGNED_ADDRESS);
        return NULL;
    }
    switch (a.space) {
    case CUE_SHARED:
        return shared_access(&a);
    case CUE_LOCAL:
        return local_access(&a);
    case CUE_FRAME_PARAM:
        return w->parameters + (size_t)lane * w->block->kernel->frame_parameter_bytes + a.address;
    case CUE_ENTRY_PARAM:
        if (mode == CUE_LOADS && a.address + bytes <= w->block->kernel->function->parameter_bytes)
            return (uint8_t *)w->block->config->parameters + a.address;
        report_fault(&a, CUE_OUT_OF_BOUNDS, CUE_ILLEGAL_ADDRESS);
        return NULL;
    default:
        return global_access(&a);
    }
}
