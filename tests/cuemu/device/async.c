/* async.c: cp.async. The bytes of a copy arrive as late as the program allows: when its thread waits for the group.
 * What reads the shared memory before sees what was there before. */
#include "device/exec.h"
#include "device/memory_words.h"

#include <string.h>

enum { WAIT_ALL = INT32_MAX };

/* read_source: the checks of reading `taken` bytes; false where the launch is over. */
static bool read_source(cue_warp *w, const cue_insn *i, uint32_t lane, uint64_t source, uint32_t taken)
{
    if (source % i->vector != 0) {
        cue_place place = cue_exec_place(w, i, lane);
        cue_report(CUE_MISALIGNED, &place, "cp.async of %u bytes from %#llx", i->vector, (unsigned long long)source);
        cue_block_fault(w->block, CUE_MISALIGNED_ADDRESS);
        return false;
    }
    if (taken == i->vector)
        return cue_touch(w, i, lane, CUE_GLOBAL, source, taken, CUE_LOADS) != NULL;
    for (uint32_t byte = 0; byte < taken; byte++)
        if (cue_touch(w, i, lane, CUE_GLOBAL, source + byte, 1, CUE_LOADS) == NULL)
            return false;
    return true;
}

static void run_copy(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    uint64_t sources[CUE_WARP], destinations[CUE_WARP];
    uint32_t bytes = i->vector;
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(mask >> l & 1))
            continue;
        uint64_t to = i->address.base == CUE_NO_ROW ? 0 : cue_row_source(w, i->address.base)[l];
        uint64_t from = i->address_2.base == CUE_NO_ROW ? 0 : cue_row_source(w, i->address_2.base)[l];
        destinations[l] = (uint32_t)(to + (uint64_t)i->address.offset);
        sources[l] = from + (uint64_t)i->address_2.offset;
    }
    cue_traffic_global(w->block, sources, mask, bytes, false);
    cue_traffic_shared(w->block, destinations, mask, bytes, true);
    uint32_t ignored = cue_predicate_mask(w, i->predicate[0]);
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(mask >> l & 1))
            continue;
        uint32_t taken = i->join ? (uint32_t)cue_row_source(w, i->src[0])[l] : bytes;
        taken = taken > bytes ? bytes : taken;
        if (ignored >> l & 1)
            taken = 0;
        if (taken > 0 && !read_source(w, i, l, sources[l], taken))
            return;
        if (w->async_count == CUE_MAX_ASYNC)
            cue_fatal("more than %d copies of cp.async are under way in one warp", CUE_MAX_ASYNC);
        w->async[w->async_count++] = (cue_async){.source = sources[l],
                                                 .shared = (uint32_t)destinations[l],
                                                 .bytes = bytes,
                                                 .source_bytes = taken,
                                                 .group = w->async_group[l],
                                                 .lane = (uint8_t)l,
                                                 .insn = i};
    }
}

static void arrive(cue_warp *w, const cue_async *copy)
{
    uint8_t *to = cue_touch(w, copy->insn, copy->lane, CUE_SHARED, copy->shared, copy->bytes, CUE_STORES);
    if (to == NULL)
        return;
    memset(to, 0, copy->bytes); /* bytes that the source does not give are zero */
    if (copy->source_bytes > 0)
        memcpy(to, (const void *)(uintptr_t)copy->source, copy->source_bytes);
}

/* finish_some: copies of the lanes in groups that are at least `keep` older than the one being filled; WAIT_ALL: all.
 */
static void finish_some(cue_warp *w, uint32_t mask, uint32_t keep)
{
    uint32_t left = 0;
    for (uint32_t n = 0; n < w->async_count; n++) {
        const cue_async copy = w->async[n];
        bool due = (mask >> copy.lane & 1) && (keep == WAIT_ALL || copy.group + keep < w->async_group[copy.lane]);
        if (due && w->block->error == CUE_SUCCESS)
            arrive(w, &copy);
        else
            w->async[left++] = copy;
    }
    w->async_count = left;
}

void cue_async_finish(cue_warp *w, uint32_t mask)
{
    if (w->async_count > 0)
        finish_some(w, mask, WAIT_ALL);
}

static void run_commit(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    (void)i;
    for (uint32_t l = 0; l < CUE_WARP; l++)
        w->async_group[l] += mask >> l & 1;
}

/* wait_group n: all groups but the newest n are complete; copies in no group yet are not waited for. */
static void run_wait(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    finish_some(w, mask, i->target);
}

static void select_copy(cue_decoder *d)
{
    cue_only_words(d, "async ca cg shared shared::cta global L2::cache_hint L2::64B L2::128B L2::256B");
    d->insn.run = run_copy;
    d->insn.class = CUE_CLASS_GLOBAL;
    d->insn.address = cue_bracketed(d, CUE_SHARED);
    cue_comma(d);
    d->insn.address_2 = cue_bracketed(d, CUE_GLOBAL);
    cue_comma(d);
    uint64_t bytes = cue_immediate(d);
    if ((bytes != 4 && bytes != 8 && bytes != 16) || (cue_has_word(d, "cg") && bytes != 16))
        cue_unknown(d, "no such size");
    d->insn.vector = (uint8_t)bytes;
    bool policy = cue_has_word(d, "L2::cache_hint");
    if (cue_token_is(d->at, ",") && !policy) {
        cue_comma(d);
        if (cue_at_predicate(d)) {
            d->insn.predicate[0] = cue_predicate(d);
        } else {
            d->insn.src[0] = cue_source(d, CUE_U32);
            d->insn.join = 1;
        }
    }
    cue_skip_cache_policy(d);
}

bool cue_select_async(cue_decoder *d)
{
    if (!cue_word_is(d, 0, "cp") || !cue_word_is(d, 1, "async"))
        return false;
    d->insn.class = CUE_CLASS_CONTROL;
    if (cue_word_is(d, 2, "commit_group")) {
        d->insn.run = run_commit;
    } else if (cue_word_is(d, 2, "wait_all")) {
        d->insn.run = run_wait;
        d->insn.target = WAIT_ALL;
    } else if (cue_word_is(d, 2, "wait_group")) {
        d->insn.run = run_wait;
        d->insn.target = (uint32_t)cue_immediate(d);
    } else {
        select_copy(d);
    }
    return true;
}
