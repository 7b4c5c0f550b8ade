/* shadow.c: the careful half of the shadow memory: words touched in parts, conflicts, order between operations. The
 * common case stands in shadow.h. */
#include "device/shadow.h"

/* ---------------------------------------------------------------- serials */
typedef struct serial_range {
    uint32_t first;
    cue_op_id op;
} serial_range;

static serial_range *ranges;
static size_t range_count, range_room;
static uint32_t next_serial = 1;

enum { MAX_SERIAL = 1 << 30, WIDEN_BY = 64 };

void cue_actor_begin(cue_actor *actor, cue_op_id op, uint32_t blocks)
{
    if (blocks >= MAX_SERIAL - next_serial)
        cue_fatal("more than %d blocks were run by one process: that is more than the shadow memory can tell apart",
                  MAX_SERIAL);
    if (range_count == range_room) {
        range_room = range_room == 0 ? 256 : 2 * range_room;
        ranges = cue_realloc(ranges, range_room * sizeof *ranges);
    }
    ranges[range_count++] = (serial_range){next_serial, op};
    *actor = (cue_actor){.op = op, .serial = next_serial, .op_first = next_serial};
    next_serial += blocks;
}

static size_t range_of(uint32_t serial)
{
    size_t low = 0, high = range_count; /* ranges[low].first <= serial < ranges[high].first */
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (ranges[middle].first <= serial)
            low = middle;
        else
            high = middle;
    }
    return low;
}

cue_op_id cue_op_of_serial(uint32_t serial)
{
    return ranges[range_of(serial)].op;
}

static uint32_t range_end(size_t i)
{
    return i + 1 < range_count ? ranges[i + 1].first : next_serial;
}

/* to_front: what is in the first place goes to the second, and so on; what was in place k is lost. */
static void to_front(cue_actor *actor, int k, cue_serials run)
{
    for (; k > 0; k--)
        actor->ok[k] = actor->ok[k - 1];
    actor->ok[0] = run;
}

bool cue_shadow_foreign_ok(cue_actor *actor, uint32_t serial)
{
    for (int k = 1; k < CUE_OK_RUNS; k++)
        if (cue_serials_hold(&actor->ok[k], serial)) {
            to_front(actor, k, actor->ok[k]);
            return true;
        }
    size_t here = range_of(serial);
    if (!cue_op_before(ranges[here].op, actor->op))
        return false;
    /* Remember the neighbours too: with one stream all earlier operations make one range. */
    size_t from = here, to = here;
    while (from > 0 && here - from < WIDEN_BY && cue_op_before(ranges[from - 1].op, actor->op))
        from--;
    while (to + 1 < range_count && ranges[to + 1].first < actor->op_first && to - here < WIDEN_BY &&
           cue_op_before(ranges[to + 1].op, actor->op))
        to++;
    uint32_t end = range_end(to) < actor->op_first ? range_end(to) : actor->op_first;
    to_front(actor, CUE_OK_RUNS - 1, (cue_serials){ranges[from].first, end});
    return true;
}

/* ---------------------------------------------------------------- words in parts */
/* The two cells of a word in parts, as one. */
typedef struct parts {
    uint64_t *writer[4], *reader[2];
} parts;

static parts parts_of(const cue_shadow *shadow, size_t word)
{
    cue_cell *a = &shadow->first[word], *b = &shadow->second[word];
    return (parts){{&a->writer, &a->reader[0], &a->reader[1], &b->writer}, {&b->reader[0], &b->reader[1]}};
}

static void split(const cue_shadow *shadow, size_t word)
{
    cue_cell whole = shadow->first[word];
    parts p = parts_of(shadow, word);
    for (int i = 0; i < 4; i++)
        *p.writer[i] = whole.writer;
    for (int i = 0; i < 2; i++)
        *p.reader[i] = whole.reader[i];
    shadow->state[word] |= CUE_STATE_PARTS | 0xffu << CUE_STATE_MASK_SHIFT;
}

static void join(const cue_shadow *shadow, size_t word)
{
    shadow->state[word] &= ~(uint32_t)(CUE_STATE_PARTS | 0xffu << CUE_STATE_MASK_SHIFT);
    shadow->first[word] = (cue_cell){0};
}

static unsigned reader_mask(uint32_t state, int i)
{
    return state >> (CUE_STATE_MASK_SHIFT + 4 * i) & 0xf;
}

static void set_reader(const cue_shadow *shadow, size_t word, const parts *p, int i, uint64_t record, unsigned mask)
{
    uint32_t shift = CUE_STATE_MASK_SHIFT + 4 * (uint32_t)i;
    *p->reader[i] = record;
    shadow->state[word] = (shadow->state[word] & ~(0xfu << shift)) | mask << shift;
}

/* note_reader_in_parts: the newest reader goes to slot 0. A slot of the same thread and stamp grows; one whose bytes
 * are all read again by an access that comes after it can go; else the older of the two is forgotten. */
static void note_reader_in_parts(const cue_shadow *shadow, size_t word, const parts *p, unsigned mask, uint64_t me,
                                 cue_actor *actor)
{
    for (int i = 0; i < 2; i++) {
        unsigned have = reader_mask(shadow->state[word], i);
        if (*p->reader[i] == me) {
            set_reader(shadow, word, p, i, me, have | mask);
            return;
        }
        if (*p->reader[i] == 0 || ((have & ~mask) == 0 && cue_shadow_prior(shadow, *p->reader[i], me, actor))) {
            set_reader(shadow, word, p, i, me, mask);
            return;
        }
    }
    set_reader(shadow, word, p, 1, *p->reader[0], reader_mask(shadow->state[word], 0));
    set_reader(shadow, word, p, 0, me, mask);
}

static void count_needed(const cue_shadow *shadow, bool write, bool fresh, int bytes, cue_actor *actor)
{
    if (shadow->per_block)
        return;
    if (fresh && write)
        actor->needed_write_bytes += bytes;
    else if (fresh)
        actor->needed_read_bytes += bytes;
}

static cue_conflict note_in_parts(const cue_shadow *shadow, size_t word, unsigned mask, bool write, uint64_t me,
                                  cue_actor *actor)
{
    parts p = parts_of(shadow, word);
    cue_conflict conflict = {0};
    unsigned read_before = 0;
    for (int i = 0; i < 2; i++) {
        unsigned shared = reader_mask(shadow->state[word], i) & mask;
        if (shared == 0)
            continue;
        if (cue_record_serial(*p.reader[i]) >= actor->op_first)
            read_before |= shared;
        if (write && conflict.other == 0 && !cue_shadow_prior(shadow, *p.reader[i], me, actor))
            conflict = (cue_conflict){*p.reader[i], false};
    }
    for (int i = 0; i < 4; i++) {
        if (!(mask >> i & 1))
            continue;
        if (!cue_shadow_prior(shadow, *p.writer[i], me, actor))
            conflict = (cue_conflict){*p.writer[i], true};
        bool written_before = cue_record_serial(*p.writer[i]) >= actor->op_first;
        count_needed(shadow, write, !written_before && (write || !(read_before >> i & 1)), 1, actor);
        if (write)
            *p.writer[i] = me;
    }
    if (!write) {
        note_reader_in_parts(shadow, word, &p, mask, me, actor);
    } else if (!(me & 1)) {
        for (int i = 0; i < 2; i++) {
            unsigned left = reader_mask(shadow->state[word], i) & ~mask;
            set_reader(shadow, word, &p, i, left != 0 ? *p.reader[i] : 0, left);
        }
    }
    return conflict;
}

/* ---------------------------------------------------------------- whole words */
/* note_reader: slot 0 holds the newest reader. The one it pushes out stays in slot 1 unless the newest comes after it
 * anyway, or slot 1 holds a reader of another block, which is the likelier one to race with a later writer. */
static void note_reader(const cue_shadow *shadow, cue_cell *cell, uint64_t me, cue_actor *actor)
{
    uint64_t old = cell->reader[0], older = cell->reader[1];
    cell->reader[0] = me;
    if (cue_shadow_prior(shadow, old, me, actor))
        return;
    bool keep_older = older != 0 && cue_record_serial(older) != actor->serial &&
                      cue_record_serial(old) == actor->serial && !cue_shadow_prior(shadow, older, me, actor);
    if (!keep_older)
        cell->reader[1] = old;
}

static cue_conflict note_whole(const cue_shadow *shadow, size_t word, bool write, uint64_t me, cue_actor *actor)
{
    cue_cell *cell = &shadow->first[word];
    cue_conflict conflict = {0};
    bool written_before = cue_record_serial(cell->writer) >= actor->op_first;
    bool read_before = cue_record_serial(cell->reader[0]) >= actor->op_first;
    if (write)
        for (int i = 0; i < 2; i++)
            if (!cue_shadow_prior(shadow, cell->reader[i], me, actor))
                conflict = (cue_conflict){cell->reader[i], false};
    if (!cue_shadow_prior(shadow, cell->writer, me, actor))
        conflict = (cue_conflict){cell->writer, true};
    count_needed(shadow, write, !written_before && (write || !read_before), 4, actor);

    if (!write) {
        note_reader(shadow, cell, me, actor);
    } else if (me & 1) {
        /* An atomic must not hide an earlier plain write or read that other blocks' atomics may still race with. */
        if (cell->writer != 0 && !(cell->writer & 1) && cell->reader[1] == 0)
            cell->reader[1] = cell->writer;
        cell->writer = me;
    } else {
        *cell = (cue_cell){.writer = me};
    }
    return conflict;
}

cue_conflict cue_shadow_note(const cue_shadow *shadow, size_t word, unsigned mask, bool write, uint64_t me,
                             cue_actor *actor)
{
    bool in_parts = (shadow->state[word] & CUE_STATE_PARTS) != 0;
    if (!in_parts && mask == 0xf)
        return note_whole(shadow, word, write, me, actor);
    if (!in_parts)
        split(shadow, word);
    cue_conflict conflict = note_in_parts(shadow, word, mask, write, me, actor);
    if (write && mask == 0xf && !(me & 1)) {
        join(shadow, word);
        shadow->first[word].writer = me;
    }
    return conflict;
}
