/* range.c: operations that touch a whole range at once: memcpy, memset, cuBLAS operands. The same checks as for
 * kernels, word by word, reported as one place: the operation. */
#include "device/memory.h"

#include <string.h>

/* What a walk over a range found first; one report per range is enough. */
typedef struct finding {
    bool found;
    cue_report_kind kind;
    const uint8_t *address;
    cue_conflict conflict;
} finding;

static void remember(finding *f, cue_report_kind kind, const uint8_t *address, cue_conflict conflict)
{
    if (!f->found)
        *f = (finding){true, kind, address, conflict};
}

/* check_live: every byte is allocated. These stop the operation, so nothing is noted before. */
static bool check_live(const cue_arena *a, const uint8_t *from, size_t bytes, finding *f)
{
    for (size_t i = 0; i < bytes;) {
        size_t offset = (size_t)(from - a->base) + i;
        if (offset >= a->bytes) {
            remember(f, CUE_OUT_OF_BOUNDS, from + i, (cue_conflict){0});
            return false;
        }
        uint32_t state = a->shadow.state[offset / 4];
        if (state == 0 && cue_mem_unfold(from + i))
            state = a->shadow.state[offset / 4];
        if (offset % 4 == 0 && bytes - i >= 4 && (state & CUE_STATE_LIVE) == CUE_STATE_LIVE) {
            i += 4;
            continue;
        }
        if (!(state >> (4 + offset % 4) & 1)) {
            cue_report_kind kind = state & CUE_STATE_FREED ? CUE_USE_AFTER_FREE : CUE_OUT_OF_BOUNDS;
            remember(f, kind, from + i, (cue_conflict){0});
            return false;
        }
        i++;
    }
    return true;
}

static void note_word(const cue_arena *a, size_t word, unsigned mask, cue_access access, cue_actor *actor, finding *f)
{
    uint64_t me = cue_record(actor->serial, 0, 0, false);
    uint32_t *state = &a->shadow.state[word];
    const uint8_t *address = a->base + 4 * word;
    bool write = access == CUE_WRITE || access == CUE_CLAIM;
    if (access == CUE_READ && (*state & mask) != mask) {
        remember(f, CUE_UNINITIALISED, address, (cue_conflict){0});
        *state |= mask; /* say it once */
    }
    if (mask == 0xf && (write ? cue_shadow_write_word(&a->shadow, word, me, actor)
                              : cue_shadow_read_word(&a->shadow, word, me, actor)))
        return;
    cue_conflict conflict = cue_shadow_note(&a->shadow, word, mask, write, me, actor);
    if (conflict.other != 0)
        remember(f, CUE_RACE_STREAM, address, conflict);
    if (access == CUE_CLAIM)
        *state &= ~mask;
    else if (write)
        *state |= mask;
}

static void tell(const finding *f, cue_op_id op, const char *what, size_t bytes)
{
    char explained[160];
    cue_place place;
    cue_op_place(op, &place);
    if (f->kind == CUE_RACE_STREAM)
        cue_report(f->kind, &place, "%s at %p, which '%s' %s; no event, stream order or synchronisation between", what,
                   (const void *)f->address, cue_op_name(cue_op_of_serial(cue_record_serial(f->conflict.other))),
                   f->conflict.other_wrote ? "writes" : "reads");
    else
        cue_report(f->kind, &place, "%s of %zu bytes at %p: %s", what, bytes, (const void *)f->address,
                   cue_mem_explain(f->address, explained, sizeof explained));
}

cue_error cue_mem_access(cue_op_id op, const void *address, size_t bytes, cue_access access, const char *what)
{
    const cue_arena *a = cue_arena_get();
    const uint8_t *from = address;
    if (bytes == 0 || !cue_mem_is_device(address))
        return CUE_SUCCESS;
    finding f = {0};
    if (!check_live(a, from, bytes, &f)) {
        tell(&f, op, what, bytes);
        return CUE_ILLEGAL_ADDRESS;
    }
    cue_actor actor;
    cue_actor_begin(&actor, op, 1);
    size_t first = (size_t)(from - a->base), end = first + bytes;
    for (size_t word = first / 4; word * 4 < end; word++) {
        unsigned mask = 0xf;
        if (word * 4 < first)
            mask &= 0xfu << (first - word * 4);
        if (word * 4 + 4 > end)
            mask &= 0xfu >> (word * 4 + 4 - end);
        note_word(a, word, mask & 0xf, access, &actor, &f);
    }
    if (f.found)
        tell(&f, op, what, bytes);
    return CUE_SUCCESS;
}

/* copy_initialised: after a device to device copy, bytes that the source never had are not initialised either. */
static void copy_initialised(const cue_arena *a, const uint8_t *to, const uint8_t *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        size_t s = (size_t)(from - a->base) + i, d = (size_t)(to - a->base) + i;
        if (!(a->shadow.state[s / 4] >> s % 4 & 1))
            a->shadow.state[d / 4] &= ~(1u << d % 4);
    }
}

cue_error cue_mem_copy(cue_op_id op, void *destination, const void *source, size_t bytes, const char *what)
{
    bool within = cue_mem_is_device(destination) && cue_mem_is_device(source);
    cue_error error = cue_mem_access(op, source, bytes, within ? CUE_READ_ANY : CUE_READ, what);
    if (error == CUE_SUCCESS)
        error = cue_mem_access(op, destination, bytes, CUE_WRITE, what);
    if (error != CUE_SUCCESS || bytes == 0)
        return error;
    cue_mem_unlock();
    memmove(destination, source, bytes);
    cue_mem_lock();
    if (within)
        copy_initialised(cue_arena_get(), destination, source, bytes);
    return CUE_SUCCESS;
}
