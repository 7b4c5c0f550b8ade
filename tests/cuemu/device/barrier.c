/* barrier.c: barriers of the block: bar.sync, bar.arrive, bar.red and their barrier.cta names. Threads wait per split;
 * when no warp can run any more, barriers whose threads have all come let go. */
#include "device/decoder.h"
#include "device/exec.h"

#include <string.h>

enum { SYNC, ARRIVE, RED_POPC, RED_AND, RED_OR, BARRIERS = 16 };

static void arrive(cue_warp *w, cue_split *split, const cue_insn *i, uint32_t mask)
{
    cue_block *b = w->block;
    uint32_t lane = (uint32_t)__builtin_ctz(mask);
    uint32_t which = (uint32_t)cue_row_source(w, i->src[0])[lane];
    uint32_t expected = i->join ? (uint32_t)cue_row_source(w, i->src[1])[lane] : 0;
    if (which >= BARRIERS || expected % CUE_WARP != 0) {
        cue_place place = cue_exec_place(w, i, lane);
        cue_report(CUE_BARRIER_DIVERGENCE, &place, "barrier %u for %u threads: there are 16, for multiples of 32",
                   which, expected);
        cue_block_fault(b, CUE_ILLEGAL_INSTRUCTION);
        return;
    }
    b->counters->barriers++;
    if (i->what == ARRIVE) {
        b->barriers[which].arrived += (uint32_t)__builtin_popcount(mask);
        b->barriers[which].arrived_warps |= 1u << w->index;
        return;
    }
    split->state = CUE_AT_BARRIER;
    split->waits_at = i;
    split->barrier = which;
    split->expected = expected;
    w->look_around = true;
}

/* Lanes may name different barriers: each group goes its way. */
static void run_barrier(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    uint64_t which[CUE_WARP];
    memcpy(which, cue_row_source(w, i->src[0]), sizeof which);
    while (mask != 0 && w->block->error == CUE_SUCCESS) {
        uint32_t lane = (uint32_t)__builtin_ctz(mask), same = 0;
        for (uint32_t l = lane; l < CUE_WARP; l++)
            same |= (uint32_t)((mask >> l & 1) && (uint32_t)which[l] == (uint32_t)which[lane]) << l;
        mask &= ~same;
        cue_split *split = same == w->mask || i->what == ARRIVE ? w->split : cue_warp_part(w, same);
        if (split == w->split)
            split->pc = w->pc;
        arrive(w, split, i, same);
    }
}

/* ---------------------------------------------------------------- completion */
typedef struct meeting {
    uint32_t waiting, alive, ended; /* threads */
    uint32_t expected, warps;
    uint32_t votes; /* threads whose predicate holds */
    cue_warp *warp; /* of the first one that waits */
    cue_split *first;
    cue_split *elsewhere; /* waits at another barrier instruction of the same number */
} meeting;

static bool same_line(const cue_block *b, const cue_insn *x, const cue_insn *y)
{
    cue_place px = {0}, py = {0};
    if (x == y)
        return true;
    cue_place_of(b->module, x, &px);
    cue_place_of(b->module, y, &py);
    return px.file != NULL && px.file == py.file && px.line == py.line;
}

static meeting look(cue_block *b, uint32_t which)
{
    meeting m = {0};
    for (uint32_t n = 0; n < b->warp_count; n++) {
        cue_warp *w = &b->warps[n];
        m.alive += (uint32_t)__builtin_popcount(w->alive);
        m.ended += (uint32_t)__builtin_popcount(w->all & ~w->alive);
        for (uint32_t s = 0; s < w->split_count; s++) {
            cue_split *split = &w->splits[s];
            if (split->state != CUE_AT_BARRIER || split->barrier != which || split->mask == 0)
                continue;
            cue_warp_use(w, split);
            m.waiting += (uint32_t)__builtin_popcount(split->mask);
            m.votes += (uint32_t)__builtin_popcount(split->mask & cue_predicate_mask(w, split->waits_at->predicate[0]));
            m.warps |= 1u << n;
            m.expected = split->expected > m.expected ? split->expected : m.expected;
            if (m.first == NULL) {
                m.first = split;
                m.warp = w;
            } else if (!same_line(b, split->waits_at, m.first->waits_at)) {
                m.elsewhere = split;
            }
        }
    }
    return m;
}

static void report_divergence(cue_block *b, const meeting *m)
{
    uint32_t lane = (uint32_t)__builtin_ctz(m->first->mask);
    cue_place place = cue_exec_place(m->warp, m->first->waits_at, lane), other = {0};
    if (m->elsewhere != NULL) {
        cue_place_of(b->module, m->elsewhere->waits_at, &other);
        cue_report(CUE_BARRIER_DIVERGENCE, &place, "other threads of the block wait at another barrier, at %s:%d",
                   other.file != NULL ? other.file : "?", other.line);
    } else {
        cue_report(CUE_BARRIER_DIVERGENCE, &place, "%u threads wait, %u have ended before they came here", m->waiting,
                   m->ended);
    }
}

static uint64_t answer_of(const cue_insn *i, const meeting *m)
{
    return i->what == RED_POPC ? m->votes : i->what == RED_AND ? m->votes == m->waiting : m->votes != 0;
}

static void let_go(cue_block *b, uint32_t which, const meeting *m)
{
    uint32_t warps = m->warps | b->barriers[which].arrived_warps;
    if (m->expected == 0)
        cue_clock_block_barrier(b->clock, b->threads);
    else
        cue_clock_warps_barrier(b->clock, warps, b->threads);
    b->barriers[which] = (cue_barrier){0};
    for (uint32_t n = 0; n < b->warp_count; n++) {
        cue_warp *w = &b->warps[n];
        for (uint32_t s = 0; s < w->split_count; s++) {
            cue_split *split = &w->splits[s];
            if (split->state != CUE_AT_BARRIER || split->barrier != which)
                continue;
            const cue_insn *i = split->waits_at;
            cue_warp_use(w, split);
            for (uint32_t l = 0; l < CUE_WARP && i->dst != CUE_NO_ROW; l++)
                if (split->mask >> l & 1)
                    w->rows[i->dst][l] = answer_of(i, m);
            cue_set_predicate(w, i->dst_predicate, answer_of(i, m) ? UINT32_MAX : 0, split->mask);
            split->state = CUE_RUNS;
        }
    }
}

bool cue_barriers_complete(cue_block *b)
{
    bool any = false;
    for (uint32_t which = 0; which < BARRIERS; which++) {
        meeting m = look(b, which);
        if (m.first == NULL)
            continue;
        bool whole = m.expected == 0;
        if (whole ? m.waiting != m.alive : m.waiting + b->barriers[which].arrived < m.expected)
            continue;
        if ((whole && m.ended > 0) || m.elsewhere != NULL)
            report_divergence(b, &m);
        let_go(b, which, &m);
        any = true;
    }
    return any;
}

/* ---------------------------------------------------------------- selection */
static void take_barrier_operands(cue_decoder *d, bool needs_count)
{
    d->insn.src[0] = cue_source(d, CUE_U32);
    if (d->insn.what < RED_POPC && cue_try(d, ",")) {
        d->insn.src[1] = cue_source(d, CUE_U32);
        d->insn.join = 1;
    }
    if (needs_count && !d->insn.join)
        cue_unknown(d, "bar.arrive without a number of threads");
}

static void take_reduction(cue_decoder *d)
{
    cue_comma(d);
    if (!cue_at_predicate(d)) {
        d->insn.src[1] = cue_source(d, CUE_U32);
        d->insn.join = 1;
        cue_comma(d);
    }
    d->insn.predicate[0] = cue_predicate(d);
}

bool cue_select_barrier(cue_decoder *d)
{
    static const char *const kinds[] = {"sync", "arrive", "popc", "and", "or", NULL};
    if (!cue_word_is(d, 0, "bar") && !cue_word_is(d, 0, "barrier"))
        return false;
    cue_only_words(d, "cta sync arrive red popc and or aligned");
    int kind = cue_one_of(d, kinds);
    if (kind < 0 || (kind >= RED_POPC) != cue_has_word(d, "red"))
        cue_unknown(d, "no such barrier");
    d->insn.run = run_barrier;
    d->insn.class = CUE_CLASS_BARRIER;
    d->insn.what = (uint8_t)kind;
    if (kind == RED_POPC) {
        d->insn.dst = cue_destination(d);
        cue_comma(d);
    } else if (kind > RED_POPC) {
        d->insn.dst_predicate = cue_predicate_destination(d);
        cue_comma(d);
    }
    take_barrier_operands(d, kind == ARRIVE);
    if (kind >= RED_POPC)
        take_reduction(d);
    return true;
}
