/* shadow.h: what cuemu remembers about each word (4 bytes) of device and shared memory.
 *
 * State, 4 bytes a word: which bytes are live and initialised. Accesses, 24 bytes a word: the last writer and two
 * readers. A word that is touched in parts has a second cell of 24 bytes, and the two together hold a writer per byte
 * and two readers with a byte mask each, so 1- and 2-byte data are checked exactly. In all 7 bytes of shadow per byte
 * for data of 4 bytes and more, 13 for smaller data; pages that no kernel touched are not committed.
 *
 * An access record is one number: serial (30 bits: a block of one launch, or one whole-range operation), thread in the
 * block (10), stamp (23: that thread's clock, see clock.h), atomic (1). 0 is no record. */
#ifndef CUE_SHADOW_H
#define CUE_SHADOW_H

#include "device/clock.h"
#include "device/device.h"

enum {
    CUE_STATE_INIT = 0x0f,  /* one bit a byte */
    CUE_STATE_LIVE = 0xf0,  /* one bit a byte */
    CUE_STATE_READY = 0xff, /* live, initialised, never freed, not in parts: what the fast path wants */
    CUE_STATE_FREED = 1 << 8,
    CUE_STATE_CONST = 1 << 9,
    CUE_STATE_PARTS = 1 << 10,
    CUE_STATE_MASK_SHIFT = 12, /* byte masks of the two readers, where in parts */
};

typedef struct cue_cell {
    uint64_t writer, reader[2];
} cue_cell;

typedef struct cue_shadow {
    uint32_t *state;
    cue_cell *first, *second;
    bool per_block; /* shared memory: records of other blocks mean nothing */
} cue_shadow;

/* Serials, of first and up to end. */
typedef struct cue_serials {
    uint32_t first, end;
} cue_serials;

/* Words of one array remember a writer and readers that unordered operations lie between: one run of serials alone
 * would be sought anew for nearly every word. */
enum { CUE_OK_RUNS = 4 };

/* Who accesses now. */
typedef struct cue_actor {
    cue_op_id op;
    uint32_t serial;             /* of the running block, or of the operation */
    uint32_t op_first;           /* serials from here on belong to this operation */
    cue_serials ok[CUE_OK_RUNS]; /* of operations that are known to be ordered before this one; the latest first */
    const cue_clock *clock;      /* of the running block; NULL for a whole-range operation */
    int64_t needed_read_bytes, needed_write_bytes;
} cue_actor;

/* cue_actor_begin: op starts and will use `blocks` serials, the first of which is current. */
void cue_actor_begin(cue_actor *actor, cue_op_id op, uint32_t blocks);
cue_op_id cue_op_of_serial(uint32_t serial);

static inline uint64_t cue_record(uint32_t serial, uint32_t thread, uint32_t stamp, bool atomic)
{
    return (uint64_t)serial << 34 | (uint64_t)thread << 24 | (uint64_t)stamp << 1 | (atomic ? 1 : 0);
}
static inline uint32_t cue_record_serial(uint64_t record)
{
    return (uint32_t)(record >> 34);
}
static inline uint32_t cue_record_thread(uint64_t record)
{
    return (uint32_t)(record >> 24) & 1023;
}
static inline uint32_t cue_record_stamp(uint64_t record)
{
    return (uint32_t)(record >> 1) & 0x7fffff;
}

typedef struct cue_conflict {
    uint64_t other;   /* 0: none */
    bool other_wrote; /* else it read */
} cue_conflict;

/* cue_shadow_note: the actor's thread of record `me` reads or writes the bytes of `mask` of one word; the record goes
 * into the shadow, and what it races with is returned. A record with the atomic bit reads and writes. */
cue_conflict cue_shadow_note(const cue_shadow *shadow, size_t word, unsigned mask, bool write, uint64_t me,
                             cue_actor *actor);

/* cue_shadow_foreign_ok: the record's operation is ordered before the actor's. Slow: remembers the answer in `ok`. */
bool cue_shadow_foreign_ok(cue_actor *actor, uint32_t serial);

static inline bool cue_serials_hold(const cue_serials *run, uint32_t serial)
{
    return serial - run->first < run->end - run->first;
}

/* cue_shadow_prior: nothing is wrong with the earlier record when `me` conflicts with it. */
static inline bool cue_shadow_prior(const cue_shadow *shadow, uint64_t earlier, uint64_t me, cue_actor *actor)
{
    uint32_t serial = cue_record_serial(earlier);
    if (serial == actor->serial)
        return (earlier ^ me) >> 24 == 0 || (earlier & me & 1) != 0 ||
               (actor->clock != NULL && cue_clock_before(actor->clock, cue_record_thread(earlier),
                                                         cue_record_stamp(earlier), cue_record_thread(me)));
    if (earlier == 0 || shadow->per_block || cue_serials_hold(&actor->ok[0], serial))
        return true;
    if ((earlier & me & 1) != 0)
        return true;
    return serial < actor->op_first && cue_shadow_foreign_ok(actor, serial);
}

/* cue_shadow_read_word, cue_shadow_write_word: the common case in line, everything else through cue_shadow_note. False
 * where the caller must look closer (state or conflict); then nothing has been noted. */
static inline bool cue_shadow_read_word(const cue_shadow *shadow, size_t word, uint64_t me, cue_actor *actor)
{
    cue_cell *cell = &shadow->first[word];
    if ((shadow->state[word] & ~(uint32_t)CUE_STATE_CONST) != CUE_STATE_READY)
        return false;
    uint64_t reader = cell->reader[0];
    if ((reader ^ me) >> 24 == 0 && !(cell->writer & 1)) { /* again; a newer plain writer would have cleared it */
        cell->reader[0] = me;
        return true;
    }
    if (!cue_shadow_prior(shadow, cell->writer, me, actor) || !cue_shadow_prior(shadow, reader, me, actor))
        return false;
    if (!shadow->per_block && cue_record_serial(reader) < actor->op_first &&
        cue_record_serial(cell->writer) < actor->op_first)
        actor->needed_read_bytes += 4;
    cell->reader[0] = me;
    return true;
}

static inline bool cue_shadow_write_word(const cue_shadow *shadow, size_t word, uint64_t me, cue_actor *actor)
{
    cue_cell *cell = &shadow->first[word];
    if ((shadow->state[word] | CUE_STATE_INIT) != CUE_STATE_READY)
        return false;
    if (!cue_shadow_prior(shadow, cell->writer, me, actor) || !cue_shadow_prior(shadow, cell->reader[0], me, actor) ||
        !cue_shadow_prior(shadow, cell->reader[1], me, actor))
        return false;
    if (!shadow->per_block && cue_record_serial(cell->writer) < actor->op_first)
        actor->needed_write_bytes += 4;
    shadow->state[word] = CUE_STATE_READY;
    *cell = (cue_cell){.writer = me};
    return true;
}

#endif
